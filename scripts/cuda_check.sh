#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Checks and measures the CUDA kernels on this machine's GPU: bash scripts/cuda_check.sh [--quick] [--to FOLDER]
#
# 1. Builds native/tests with the kernels, into .cache/native-cuda (needs nvcc, CMake, a C++ compiler).
# 2. Runs every golden case and the fuzz, hidden and edge suites on the GPU; on compute capability 9.0 once more for the
#    kernels of warpgroups (problems that they take), and without them (TFXF_NO_WGMMA).
# 3. Runs some of them under compute-sanitizer: memcheck, racecheck, initcheck, synccheck, where it is there.
# 4. Times the kernels, attention with and without the kernels of warpgroups, and PyTorch on the same GPU where python3 has it.
# 5. Writes the table, with the chip, the driver and the date, to FOLDER (benchmarks/results).
#
# --quick leaves out 3 and 4. Exit code 3: there is no GPU or no driver, which is said, and nothing was checked. On other
# failures the rest still runs, and the exit code is 1.
set -uo pipefail
cd "$(dirname "$0")/.."

quick=false
to=benchmarks/results
while [ $# -gt 0 ]; do
  case "$1" in
    --quick) quick=true ;;
    --to)
      to=${2:?"--to needs a folder"}
      shift
      ;;
    *)
      echo "unknown option: $1"
      exit 2
      ;;
  esac
  shift
done

folder=.cache/native-cuda
failed=()
part() {
  echo
  echo "######## $*"
}
try() {
  local name=$1
  shift
  "$@" || failed+=("$name")
}

part Build
generator=()
command -v ninja > /dev/null && generator=(-G Ninja)
cmake -S native -B "$folder" "${generator[@]}" -DCMAKE_BUILD_TYPE=Release -DTFXF_TESTS=ON -DTFXF_CUDA=ON > /dev/null || exit 1
cmake --build "$folder" --target cuda_check cuda_bench --parallel "$(nproc)" || exit 1
check=$folder/tests/cuda_check
bench=$folder/tests/cuda_bench

part 'Is there a GPU'
"$check" --filter golden/bf16
code=$?
if [ "$code" = 3 ]; then
  echo 'Nothing was checked on a GPU.'
  exit 3
fi

part 'Golden, fuzz, hidden and edge suites'
for suite in golden/ fuzz/ hidden/ edge/; do try "$suite" "$check" --filter "$suite"; done
for suite in fuzz/attention hidden/; do try "$suite plain" "$check" --filter "$suite" --plain; done
for suite in golden/attention fuzz/attention hidden/; do
  try "$suite without wgmma" env TFXF_NO_WGMMA=1 "$check" --filter "$suite" --plain
done

if [ "$quick" = false ] && command -v compute-sanitizer > /dev/null; then
  for tool in memcheck racecheck initcheck synccheck; do
    part "compute-sanitizer $tool"
    for suite in fuzz/attention fuzz/norm; do
      try "$tool $suite" compute-sanitizer --tool "$tool" --error-exitcode 9 --print-limit 5 \
        "$check" --filter "$suite" --rounds 12
    done
    try "$tool plain" compute-sanitizer --tool "$tool" --error-exitcode 9 --print-limit 5 \
      "$check" --filter fuzz/attention --rounds 12 --plain
  done
elif [ "$quick" = false ]; then
  echo 'compute-sanitizer is not here: left out'
fi

if [ "$quick" = false ]; then
  part 'Times'
  mkdir -p "$to"
  chip=$(nvidia-smi --query-gpu=name --format=csv,noheader | head -1)
  driver=$(nvidia-smi --query-gpu=driver_version --format=csv,noheader | head -1)
  name=cuda-$(date +%F)-$(echo "$chip" | tr -c 'A-Za-z0-9\n' '-')
  times() { # who, then the command
    local who=$1
    shift
    "$@" | grep -E ',(TFLOP/s|GB/s)$' | sed "s/,/,$who,/"
  }
  times tfjs-xformers "$bench" > "$folder/times.csv" || failed+=(bench)
  times tfjs-xformers-mma env TFXF_NO_WGMMA=1 "$bench" attention >> "$folder/times.csv" || failed+=(bench-mma)
  if python3 -c 'import torch' 2> /dev/null; then
    python3 benchmarks/cuda_pytorch.py >> "$folder/times.csv" || failed+=(pytorch)
  else
    echo 'python3 has no PyTorch: only this library is timed'
  fi
  {
    echo 'case,who,milliseconds,rate,unit'
    sort "$folder/times.csv"
  } > "$to/$name.csv"
  {
    echo "# CUDA kernels on $chip, driver $driver, $(date +%F)"
    echo
    echo "\`bash scripts/cuda_check.sh\`, commit $(git rev-parse --short HEAD 2> /dev/null || echo unknown)." \
      "Medians of 30 event times, random data; failed parts: ${failed[*]:-none}."
    echo
    echo '| case | who | ms | rate |'
    echo '|---|---|---|---|'
    tail -n +2 "$to/$name.csv" | awk -F, '{ print "| " $1 " | " $2 " | " $3 " | " $4 " " $5 " |" }'
  } > "$to/$name.md"
  cat "$to/$name.md"
fi

part Result
if [ "${#failed[@]}" -gt 0 ]; then
  echo "failed: ${failed[*]}"
  exit 1
fi
echo 'all passed'
