# SPDX-License-Identifier: MIT
# The test_package of the recipe in the root: the consumer of tests/package/find_package, built by Conan.
import os

from conan import ConanFile
from conan.tools.build import can_run
from conan.tools.cmake import CMake, CMakeDeps, CMakeToolchain, cmake_layout


class Rwkv7Consumer(ConanFile):
    settings = "os", "arch", "compiler", "build_type"

    def requirements(self):
        self.requires(self.tested_reference_str)

    def layout(self):
        cmake_layout(self)

    def generate(self):
        CMakeDeps(self).generate()
        toolchain = CMakeToolchain(self)
        toolchain.user_presets_path = False
        toolchain.cache_variables["WITH_MODEL"] = bool(self.dependencies["rwkv7"].options.model)
        toolchain.generate()

    def build(self):
        cmake = CMake(self)
        cmake.configure(build_script_folder=os.path.join(self.recipe_folder, "..", "find_package"))
        cmake.build()

    def test(self):
        if can_run(self):
            for program in ["consumer"] + ["model_consumer"] * bool(self.dependencies["rwkv7"].options.model):
                self.run(os.path.join(self.cpp.build.bindir, program), env="conanrun")
