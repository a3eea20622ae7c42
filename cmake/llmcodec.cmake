# How this project is compiled, and two helpers: llmcodec_library() and llmcodec_test().

set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
# What the shared library shows is what LLMCODEC_API marks.
set(CMAKE_CXX_VISIBILITY_PRESET hidden)
set(CMAKE_VISIBILITY_INLINES_HIDDEN ON)
if(PROJECT_IS_TOP_LEVEL)
  set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
  if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
    set(CMAKE_BUILD_TYPE Release)
  endif()
  find_program(LLMCODEC_CCACHE ccache)
  if(LLMCODEC_CCACHE)
    set(CMAKE_CXX_COMPILER_LAUNCHER ${LLMCODEC_CCACHE})
  endif()
endif()

# What our own files are compiled with. Every target of ours links it PRIVATE, so that none of it, warnings as errors
# least of all, reaches a project that uses the libraries.
add_library(llmcodec_flags INTERFACE)
# -ffp-contract=off: the same floating-point results on every processor, and so the same bytes.
# Clang warns of deprecated functions in libstdc++'s own headers.
target_compile_options(llmcodec_flags INTERFACE -Wall -Wextra -Wshadow -Werror -ffp-contract=off
                                                $<$<CXX_COMPILER_ID:Clang>:-Wno-error=deprecated-declarations>)
target_include_directories(llmcodec_flags INTERFACE ${PROJECT_SOURCE_DIR}/src)
if(LLMCODEC_SANITIZE)
  target_compile_options(llmcodec_flags INTERFACE -fsanitize=${LLMCODEC_SANITIZE} -fno-sanitize-recover=all
                                                  -fno-omit-frame-pointer)
  target_link_options(llmcodec_flags INTERFACE -fsanitize=${LLMCODEC_SANITIZE})
endif()
if(LLMCODEC_SANITIZE STREQUAL "thread")
  # One instruction set builds sooner, and threads meet in the same places whichever it is.
  target_compile_definitions(llmcodec_flags INTERFACE HWY_COMPILE_ONLY_STATIC)
endif()
if(LLMCODEC_BUILD_FUZZERS)
  target_compile_options(llmcodec_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()

find_package(Threads REQUIRED)
find_package(fmt REQUIRED)

# A third less time to compile, for builds whose program nobody keeps; the others compile each file with its own includes
# alone, so that none is missing.
set(precompiled_headers <algorithm> <functional> <map> <optional> <span> <string> <vector> <fmt/format.h>
                        <nlohmann/json.hpp>)
function(llmcodec_precompile target sources)
  list(LENGTH sources count)
  if(LLMCODEC_PRECOMPILED_HEADERS AND count GREATER 3)
    target_precompile_headers(${target} PRIVATE ${precompiled_headers} ${ARGN})
  endif()
endfunction()

# llmcodec_library(NAME SOURCES a.cc ... [DEPENDS target ...]): one static library per folder of src/.
function(llmcodec_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPENDS" ${ARGN})
  add_library(llmcodec_${name} STATIC ${ARG_SOURCES})
  target_compile_features(llmcodec_${name} PUBLIC cxx_std_20)
  target_include_directories(llmcodec_${name} PUBLIC $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>)
  target_link_libraries(llmcodec_${name} PUBLIC fmt::fmt ${ARG_DEPENDS} PRIVATE $<BUILD_INTERFACE:llmcodec_flags>)
  llmcodec_precompile(llmcodec_${name} "${ARG_SOURCES}")
endfunction()

# llmcodec_test(NAME SOURCES a_test.cc ... DEPENDS target ...): one GoogleTest binary, registered with ctest under
# its own name. Tests that need data or a program that is absent call GTEST_SKIP() with the reason.
function(llmcodec_test name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPENDS;LABELS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE llmcodec_flags ${ARG_DEPENDS} GTest::gtest GTest::gmock GTest::gtest_main)
  llmcodec_precompile(${name} "${ARG_SOURCES}" <gmock/gmock.h> <gtest/gtest.h>)
  target_compile_definitions(${name} PRIVATE LLMCODEC_TEST_DATA="${PROJECT_SOURCE_DIR}/tests/data")
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES TIMEOUT $<IF:$<BOOL:${CMAKE_CROSSCOMPILING}>,3600,600>)
  if(ARG_LABELS)
    set_tests_properties(${name} PROPERTIES LABELS "${ARG_LABELS}")
  endif()
endfunction()
