#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Goes with a bundle (bundle.ts) to a machine with a GPU and runs the benchmark there, some minutes at a time:
# what has been measured is kept in results.json, and the next call goes on from there.
#
#   sh bench.sh                     # nine minutes of the whole grid
#   MINUTES=25 sh bench.sh          # or as many as there are
#   sh bench.sh --only "D64|norm"   # any option of the benchmark
set -eu
cd "$(dirname "$0")"

libraries=$(ldconfig -p 2>/dev/null || true)
has() { case "$libraries" in *"$1"*) true ;; *) false ;; esac; }

# The machine's own Vulkan loader goes first.
if ! has libvulkan.so.1 && [ -e vulkan/libvulkan.so.1 ]; then
  LD_LIBRARY_PATH="$PWD/vulkan${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
  export LD_LIBRARY_PATH
fi

# Containers may have NVIDIA's driver without the manifest that tells the loader of it.
if [ -z "${VK_ICD_FILENAMES:-}" ] && has libGLX_nvidia.so.0 &&
  ! ls /usr/share/vulkan/icd.d/*.json /etc/vulkan/icd.d/*.json >/dev/null 2>&1; then
  mkdir -p vulkan
  VK_ICD_FILENAMES="$PWD/vulkan/nvidia_icd.json"
  printf '{"file_format_version":"1.0.0","ICD":{"library_path":"libGLX_nvidia.so.0","api_version":"1.3.0"}}\n' \
    >"$VK_ICD_FILENAMES"
  export VK_ICD_FILENAMES
fi

node=node
if [ -x ./node ]; then node=./node; fi
exec "$node" bench_webgpu.mjs --adapter hardware --gather results.json --continue \
  --minutes "${MINUTES:-9}" "$@"
