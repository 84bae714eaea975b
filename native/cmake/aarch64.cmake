# SPDX-License-Identifier: Apache-2.0
# Builds for arm64 Linux on another machine (Debian: apt-get install g++-aarch64-linux-gnu):
#
#   cmake -S native -B <folder> -DCMAKE_TOOLCHAIN_FILE=cmake/aarch64.cmake -DNODE_API_HEADERS=…
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++)
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
