# cmake --install <build> --prefix <anywhere>; the result may be moved. Header-only, hence share/ and ARCH_INDEPENDENT.

include(GNUInstallDirs)
include(CMakePackageConfigHelpers)
set(_package ${CMAKE_INSTALL_DATADIR}/cmake/rwkv7)

# Without the component its headers would be there and not compile.
set(_exclude "")
if(NOT RWKV7_BUILD_MODEL)
  set(_exclude REGEX "/include/rwkv7/model(\\.hpp)?$" EXCLUDE)
endif()
install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/rwkv7 DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
        FILES_MATCHING PATTERN "*.hpp" PATTERN "*.cuh" ${_exclude})
install(FILES ${PROJECT_SOURCE_DIR}/LICENSE DESTINATION ${CMAKE_INSTALL_DATADIR}/licenses/rwkv7)

# One export per component, so that a user of the core alone is never asked for nlohmann_json and minizip.
install(TARGETS rwkv7 EXPORT rwkv7Targets INCLUDES DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(EXPORT rwkv7Targets NAMESPACE rwkv7:: DESTINATION ${_package})
if(RWKV7_BUILD_MODEL)
  set_target_properties(rwkv7_model PROPERTIES EXPORT_NAME model)
  install(TARGETS rwkv7_model EXPORT rwkv7-modelTargets)
  install(EXPORT rwkv7-modelTargets NAMESPACE rwkv7:: DESTINATION ${_package})
endif()

configure_package_config_file(${CMAKE_CURRENT_LIST_DIR}/rwkv7Config.cmake.in ${PROJECT_BINARY_DIR}/rwkv7Config.cmake
                              INSTALL_DESTINATION ${_package} NO_SET_AND_CHECK_MACRO NO_CHECK_REQUIRED_COMPONENTS_MACRO)
# Before 1.0 a new minor version may break callers; from 1.0 on this becomes SameMajorVersion.
write_basic_package_version_file(${PROJECT_BINARY_DIR}/rwkv7ConfigVersion.cmake
                                 COMPATIBILITY SameMinorVersion ARCH_INDEPENDENT)
install(FILES ${PROJECT_BINARY_DIR}/rwkv7Config.cmake ${PROJECT_BINARY_DIR}/rwkv7ConfigVersion.cmake
              ${CMAKE_CURRENT_LIST_DIR}/rwkv7Dependencies.cmake ${CMAKE_CURRENT_LIST_DIR}/CpuDispatch.cmake
        DESTINATION ${_package})

# pkg-config --cflags rwkv7 (rwkv7-model). The prefix is where the file lies, so that these may be moved, too.
file(RELATIVE_PATH RWKV7_PC_TO_PREFIX /prefix/${CMAKE_INSTALL_DATADIR}/pkgconfig /prefix)
set(_files rwkv7.pc)
if(RWKV7_BUILD_MODEL)
  list(APPEND _files rwkv7-model.pc)
endif()
foreach(_file IN LISTS _files)
  configure_file(${CMAKE_CURRENT_LIST_DIR}/${_file}.in ${PROJECT_BINARY_DIR}/${_file} @ONLY)
  install(FILES ${PROJECT_BINARY_DIR}/${_file} DESTINATION ${CMAKE_INSTALL_DATADIR}/pkgconfig)
endforeach()
