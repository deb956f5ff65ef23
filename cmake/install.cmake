# What goes where: program, library, header, addnorm.pc and the CMake package. The library is static, so both ways of
# finding it name what it stands on.
include(CMakePackageConfigHelpers)

set_property(TARGET addnorm PROPERTY EXPORT_NAME addnorm)
install(TARGETS addnorm EXPORT addnorm-targets ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(TARGETS addnorm_cli RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/addnorm DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.h")

set(an_package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/addnorm)
install(EXPORT addnorm-targets NAMESPACE addnorm:: DESTINATION ${an_package_dir})
configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/addnorm-config.cmake.in ${PROJECT_BINARY_DIR}/addnorm-config.cmake INSTALL_DESTINATION ${an_package_dir})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/addnorm-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/addnorm-config.cmake ${PROJECT_BINARY_DIR}/addnorm-config-version.cmake DESTINATION ${an_package_dir})

# addnorm.pc: libraries without a .pc of their own stand in Libs.
set(AN_PC_LIBS "-pthread -lm")
if(OpenMP_C_FOUND)
  string(PREPEND AN_PC_LIBS "${OpenMP_C_FLAGS} ")
endif()
foreach(library ${AN_CBLAS_LIBRARY} ${AN_DNNL_LIBRARY})
  if(library IN_LIST AN_LIBS)
    get_filename_component(stem ${library} NAME_WE)
    string(REGEX REPLACE "^lib" "-l" stem ${stem})
    string(PREPEND AN_PC_LIBS "${stem} ")
  endif()
endforeach()
# Relative to the place of the file, so that an installation may be moved, or staged and installed elsewhere.
if(IS_ABSOLUTE "${CMAKE_INSTALL_LIBDIR}")
  set(AN_PC_PREFIX "${CMAKE_INSTALL_PREFIX}")
  set(AN_PC_LIBDIR "${CMAKE_INSTALL_LIBDIR}")
else()
  file(RELATIVE_PATH up "/x/${CMAKE_INSTALL_LIBDIR}/pkgconfig" "/x")
  string(REGEX REPLACE "/$" "" up "${up}")
  set(AN_PC_PREFIX "\${pcfiledir}/${up}")
  set(AN_PC_LIBDIR "\${prefix}/${CMAKE_INSTALL_LIBDIR}")
endif()
configure_file(${PROJECT_SOURCE_DIR}/cmake/addnorm.pc.in ${PROJECT_BINARY_DIR}/addnorm.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/addnorm.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
