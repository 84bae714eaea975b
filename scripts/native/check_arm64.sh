#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Checks that the native library compiles and links for arm64 Linux: bash scripts/native/check_arm64.sh
# It is not run. In CI the cross compiler is installed from Debian where it is missing; elsewhere that is said.
set -euo pipefail
cd "$(dirname "$0")/../.."

if ! command -v aarch64-linux-gnu-g++ > /dev/null; then
  if [ -z "${CI:-}" ]; then
    echo 'There is no arm64 compiler: apt-get install g++-aarch64-linux-gnu'
    exit 1
  fi
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends g++-aarch64-linux-gnu
fi

folder=.cache/native-arm64
cmake -S native -B "$folder" -DCMAKE_TOOLCHAIN_FILE="$PWD/native/cmake/aarch64.cmake" \
  -DCMAKE_BUILD_TYPE=Release -DNODE_API_HEADERS="$PWD/node_modules/node-api-headers" > /dev/null
cmake --build "$folder" --parallel "$(nproc)"
test -f "$folder/tfjs_xformers.node"
echo "arm64: $folder/tfjs_xformers.node is built"
