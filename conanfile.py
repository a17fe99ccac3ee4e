# SPDX-License-Identifier: MIT
#
#   conan create .                        Conan 2; with the component model: -o rwkv7/*:model=True
#
# The package is what `cmake --install` writes, found through its own rwkv7Config.cmake: the same targets, checks and
# messages as without Conan.
import os
import re

from conan import ConanFile
from conan.tools.build import check_min_cppstd
from conan.tools.cmake import CMake, CMakeDeps, CMakeToolchain, cmake_layout
from conan.tools.files import load

required_conan_version = ">=2.0"


class Rwkv7(ConanFile):
    name = "rwkv7"
    description = "RWKV-7 primitives, header-only C++20"
    license = "MIT"
    topics = ("rwkv", "rwkv-7", "rnn", "simd", "header-only")
    package_type = "header-library"
    settings = "os", "arch", "compiler", "build_type"
    options = {"model": [True, False]}
    default_options = {"model": False}
    exports_sources = "CMakeLists.txt", "cmake/*", "include/*", "LICENSE"
    no_copy_source = True
    test_package_folder = "tests/package/conan"

    def set_version(self):
        header = load(self, os.path.join(self.recipe_folder, "include", "rwkv7", "version.hpp"))
        self.version = ".".join(re.findall(r"#define RWKV7_VERSION_\w+ +(\d+)", header))

    def layout(self):
        cmake_layout(self)

    def requirements(self):
        self.requires("eigen/[>=3.4]", transitive_headers=True)
        self.requires("xsimd/[>=8.1 <15]", transitive_headers=True)
        if self.options.model:
            self.requires("nlohmann_json/[>=3.11 <4]", transitive_headers=True)
            self.requires("minizip/[>=1.2 <2]", transitive_headers=True, transitive_libs=True)

    def validate(self):
        check_min_cppstd(self, 20)

    def generate(self):
        CMakeDeps(self).generate()
        toolchain = CMakeToolchain(self)
        for part in ("TESTS", "EXAMPLES", "BENCHMARKS"):
            toolchain.cache_variables[f"RWKV7_BUILD_{part}"] = False
        toolchain.cache_variables["RWKV7_BUILD_MODEL"] = bool(self.options.model)
        toolchain.generate()

    def package(self):
        cmake = CMake(self)
        cmake.configure()
        cmake.install()

    def package_id(self):
        # Headers are the same for every compiler and system; the option decides which of them are there.
        self.info.settings.clear()
        self.info.requires.clear()

    def package_info(self):
        self.cpp_info.bindirs = []
        self.cpp_info.libdirs = []
        self.cpp_info.set_property("cmake_find_mode", "none")  # rwkv7Config.cmake is in the package
        self.cpp_info.builddirs = [os.path.join("share", "cmake", "rwkv7")]
