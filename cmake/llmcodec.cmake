# Compiler settings shared by every target, and two helpers: llmcodec_library() and llmcodec_test().

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
# What the shared library shows is what LLMCODEC_API marks.
set(CMAKE_CXX_VISIBILITY_PRESET hidden)
set(CMAKE_VISIBILITY_INLINES_HIDDEN ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
  set(CMAKE_BUILD_TYPE Release)
endif()
find_program(LLMCODEC_CCACHE ccache)
if(LLMCODEC_CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${LLMCODEC_CCACHE})
endif()

add_library(llmcodec_flags INTERFACE)
# -ffp-contract=off: the same floating-point results on every CPU, so the same bytes (design: determinism).
target_compile_options(llmcodec_flags INTERFACE -Wall -Wextra -Wshadow -Werror -ffp-contract=off)
target_include_directories(llmcodec_flags INTERFACE ${PROJECT_SOURCE_DIR}/include ${PROJECT_SOURCE_DIR}/src)
if(LLMCODEC_SANITIZE)
  target_compile_options(llmcodec_flags INTERFACE -fsanitize=address,undefined -fno-sanitize-recover=all
                                                  -fno-omit-frame-pointer)
  target_link_options(llmcodec_flags INTERFACE -fsanitize=address,undefined)
endif()

find_package(Threads REQUIRED)
find_package(fmt REQUIRED)

# llmcodec_library(NAME SOURCES a.cc ... [DEPENDS target ...]): one static library per folder of src/.
function(llmcodec_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPENDS" ${ARGN})
  add_library(llmcodec_${name} STATIC ${ARG_SOURCES})
  target_link_libraries(llmcodec_${name} PUBLIC llmcodec_flags fmt::fmt ${ARG_DEPENDS})
endfunction()

# llmcodec_test(NAME SOURCES a_test.cc ... DEPENDS target ...): one GoogleTest binary, registered with ctest under
# its own name. Tests that need data or a program that is absent call GTEST_SKIP() with the reason.
function(llmcodec_test name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPENDS;LABELS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE ${ARG_DEPENDS} GTest::gtest GTest::gmock GTest::gtest_main)
  target_compile_definitions(${name} PRIVATE LLMCODEC_TEST_DATA="${PROJECT_SOURCE_DIR}/tests/data")
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES TIMEOUT $<IF:$<BOOL:${CMAKE_CROSSCOMPILING}>,3600,600>)
  if(ARG_LABELS)
    set_tests_properties(${name} PROPERTIES LABELS "${ARG_LABELS}")
  endif()
endfunction()
