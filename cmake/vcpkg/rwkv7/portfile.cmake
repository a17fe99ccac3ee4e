# An overlay port of the checkout it lies in:
#
#   vcpkg install rwkv7 --overlay-ports=<this repository>/cmake/vcpkg        rwkv7[model] for the component model
#
# A port outside the repository would get its source from vcpkg_from_github instead of SOURCE_PATH.
get_filename_component(SOURCE_PATH "${CMAKE_CURRENT_LIST_DIR}/../../.." ABSOLUTE)

set(VCPKG_BUILD_TYPE release) # headers only: one configuration serves all

vcpkg_check_features(OUT_FEATURE_OPTIONS FEATURE_OPTIONS FEATURES model RWKV7_BUILD_MODEL)
vcpkg_cmake_configure(
  SOURCE_PATH "${SOURCE_PATH}"
  OPTIONS
    ${FEATURE_OPTIONS}
    -DRWKV7_BUILD_TESTS=OFF
    -DRWKV7_BUILD_EXAMPLES=OFF
    -DRWKV7_BUILD_BENCHMARKS=OFF)
vcpkg_cmake_install()
vcpkg_cmake_config_fixup(CONFIG_PATH share/cmake/rwkv7)
vcpkg_fixup_pkgconfig()

file(REMOVE_RECURSE "${CURRENT_PACKAGES_DIR}/share/licenses") # vcpkg has its own place for it
vcpkg_install_copyright(FILE_LIST "${SOURCE_PATH}/LICENSE")
file(INSTALL "${CMAKE_CURRENT_LIST_DIR}/usage" DESTINATION "${CURRENT_PACKAGES_DIR}/share/${PORT}")
