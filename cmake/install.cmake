# `cmake --install`: the program, both libraries, the public headers, a CMake package and a pkg-config file.
include(CMakePackageConfigHelpers)

set(package ${CMAKE_INSTALL_LIBDIR}/cmake/llmcodec)
install(TARGETS llmcodec RUNTIME COMPONENT program)
install(TARGETS llmcodec_shared llmcodec_static EXPORT llmcodec)
install(DIRECTORY include/llmcodec DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.h")
install(EXPORT llmcodec NAMESPACE llmcodec:: FILE llmcodecTargets.cmake DESTINATION ${package})

configure_package_config_file(cmake/llmcodecConfig.cmake.in llmcodecConfig.cmake INSTALL_DESTINATION ${package})
write_basic_package_version_file(llmcodecConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/llmcodecConfig.cmake ${PROJECT_BINARY_DIR}/llmcodecConfigVersion.cmake
        DESTINATION ${package})

# From the folder of the .pc file, so that what was installed can be moved.
file(RELATIVE_PATH prefix_from_pkgconfig ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig ${CMAKE_INSTALL_PREFIX})
configure_file(cmake/llmcodec.pc.in llmcodec.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/llmcodec.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
