# Finds what the headers include. Used by our own build and, installed beside rwkv7Config.cmake, by everybody else's, so
# that both accept the same versions.
#
#   rwkv7_find_dependencies(<error> [MODEL])   sets <error> to one clear line, or to nothing
#
# * No find_package here names a version. Eigen's and xsimd's version files refuse every range that crosses a major
#   number (3.4...5 is refused by 3.4.0 itself), so versions are compared here.
# * A target that the surrounding project already has is taken as it is.
# * Nothing is REQUIRED: a package's Config reports, its caller decides.

# rwkv7::xsimd is xsimd's include directory and nothing else. The target of Debian 12's libxsimd-dev (8.1.0) must not be
# linked: it adds -lxtl, a header-only library that cannot be linked and that the package does not depend upon. Leaving
# that target as it is and having our own also makes the headers "system" ones, without which a user's -Wconversion
# -Werror would stop inside xsimd.
function(_rwkv7_find_xsimd error)
  if(TARGET rwkv7::xsimd)
    return()
  endif()
  set(dirs "")
  if(RWKV7_XSIMD_INCLUDE_DIR)
    if(NOT EXISTS "${RWKV7_XSIMD_INCLUDE_DIR}/xsimd/xsimd.hpp")
      set(${error} "RWKV7_XSIMD_INCLUDE_DIR is '${RWKV7_XSIMD_INCLUDE_DIR}', which has no xsimd/xsimd.hpp" PARENT_SCOPE)
      return()
    endif()
    set(dirs "${RWKV7_XSIMD_INCLUDE_DIR}")
  else()
    if(NOT TARGET xsimd AND NOT TARGET xsimd::xsimd)
      find_package(xsimd CONFIG QUIET)
    endif()
    if(xsimd_VERSION AND xsimd_VERSION VERSION_LESS 8.1)
      set(${error} "xsimd 8.1 or newer is needed, and ${xsimd_DIR} is ${xsimd_VERSION}" PARENT_SCOPE)
      return()
    endif()
    foreach(target xsimd::xsimd xsimd) # either name, whatever the release
      if(TARGET ${target} AND NOT dirs)
        get_target_property(dirs ${target} INTERFACE_INCLUDE_DIRECTORIES)
      endif()
    endforeach()
  endif()
  if(NOT dirs)
    set(${error} "xsimd was not found (Debian: libxsimd-dev; or give its folder as RWKV7_XSIMD_INCLUDE_DIR)" PARENT_SCOPE)
    return()
  endif()
  add_library(rwkv7::xsimd INTERFACE IMPORTED GLOBAL)
  set_target_properties(rwkv7::xsimd PROPERTIES INTERFACE_INCLUDE_DIRECTORIES "${dirs}")
endfunction()

# rwkv7::minizip is minizip under whichever name it comes: a package manager's target, or the bare library (Debian).
function(_rwkv7_find_minizip error)
  if(TARGET rwkv7::minizip)
    return()
  endif()
  set(targets minizip::minizip unofficial::minizip::minizip MINIZIP::minizip)
  set(found "")
  foreach(package IN ITEMS minizip unofficial-minizip)
    foreach(target IN LISTS targets)
      if(TARGET ${target} AND NOT found)
        set(found ${target})
      endif()
    endforeach()
    if(NOT found)
      find_package(${package} CONFIG QUIET)
    endif()
  endforeach()
  foreach(target IN LISTS targets)
    if(TARGET ${target} AND NOT found)
      set(found ${target})
    endif()
  endforeach()
  set(dirs "")
  if(NOT found)
    find_path(RWKV7_MINIZIP_INCLUDE_DIR minizip/unzip.h)
    find_path(RWKV7_ZLIB_INCLUDE_DIR zlib.h) # its headers include it; Debian's package does not bring it
    find_library(RWKV7_MINIZIP_LIBRARY minizip)
    mark_as_advanced(RWKV7_MINIZIP_INCLUDE_DIR RWKV7_ZLIB_INCLUDE_DIR RWKV7_MINIZIP_LIBRARY)
    if(RWKV7_MINIZIP_INCLUDE_DIR AND RWKV7_ZLIB_INCLUDE_DIR AND RWKV7_MINIZIP_LIBRARY)
      set(dirs ${RWKV7_MINIZIP_INCLUDE_DIR} ${RWKV7_ZLIB_INCLUDE_DIR})
      set(found ${RWKV7_MINIZIP_LIBRARY})
    endif()
  endif()
  if(NOT found)
    set(${error} "minizip was not found (Debian: libminizip-dev and zlib1g-dev), which the component model needs" PARENT_SCOPE)
    return()
  endif()
  add_library(rwkv7::minizip INTERFACE IMPORTED GLOBAL)
  set_target_properties(rwkv7::minizip PROPERTIES INTERFACE_LINK_LIBRARIES "${found}"
                                                  INTERFACE_INCLUDE_DIRECTORIES "${dirs}")
endfunction()

function(rwkv7_find_dependencies error)
  cmake_parse_arguments(arg "MODEL" "" "" ${ARGN})
  set(text "")

  if(NOT TARGET Eigen3::Eigen)
    find_package(Eigen3 CONFIG QUIET)
  endif()
  if(NOT TARGET Eigen3::Eigen)
    set(text "Eigen3 was not found (Debian: libeigen3-dev)")
  elseif(Eigen3_VERSION AND Eigen3_VERSION VERSION_LESS 3.4)
    set(text "Eigen 3.4 or newer is needed, and ${Eigen3_DIR} is ${Eigen3_VERSION}")
  endif()

  if(NOT text)
    _rwkv7_find_xsimd(text)
  endif()

  if(NOT text AND NOT TARGET Threads::Threads)
    find_package(Threads QUIET)
    if(NOT TARGET Threads::Threads)
      set(text "no thread library was found")
    endif()
  endif()

  if(NOT text AND arg_MODEL AND NOT TARGET nlohmann_json::nlohmann_json)
    find_package(nlohmann_json CONFIG QUIET)
    if(NOT TARGET nlohmann_json::nlohmann_json)
      set(text "nlohmann_json was not found (Debian: nlohmann-json3-dev), which the component model needs")
    endif()
  endif()

  if(NOT text AND arg_MODEL)
    _rwkv7_find_minizip(text)
  endif()

  set(${error} "${text}" PARENT_SCOPE)
endfunction()
