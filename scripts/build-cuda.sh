#!/bin/bash
# Builds the edgemaxx command with the engine for NVIDIA GPUs (feature `cuda`).
#
# usage: scripts/build-cuda.sh [OUT]         default OUT: target/cuda
#
# Needs a CUDA 13 toolkit: CUDA_HOME, /usr/local/cuda, or else nvcc on the PATH; scripts/cuda-toolkit.sh makes one where
# none is installed. A quarter of an hour on two cores, most of it candle's own kernels. OUT gets the program
# (edgemaxx-gpu) and a launcher (edgemaxx), which says what is missing where the program cannot start, with exit code 3.
#
# Runs on cards of compute capability 8.9 and newer (RTX 40, L40, H100, H200, RTX 50); CUDA_COMPUTE_CAP=80 before the
# script for older ones. Needs there: NVIDIA's driver 580 or newer, and CUDA 13's libcudart, libcublas, libcublasLt,
# libcurand and cuDNN 9, found by the dynamic linker.
set -euo pipefail
case "${1:-}" in -h | --help) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "$0"; exit ;; esac
cd "$(dirname "$0")/.."
out=${1:-target/cuda}
if [ -z "${CUDA_HOME:-}" ]; then
  if [ -x /usr/local/cuda/bin/nvcc ]; then CUDA_HOME=/usr/local/cuda
  elif command -v nvcc > /dev/null; then CUDA_HOME=$(dirname "$(dirname "$(readlink -f "$(command -v nvcc)")")")
  else echo "no CUDA toolkit: install CUDA 13, or make one with scripts/cuda-toolkit.sh FOLDER and set CUDA_HOME=FOLDER" >&2; exit 3
  fi
fi
export CUDA_HOME CUDA_PATH=$CUDA_HOME PATH=$CUDA_HOME/bin:$PATH CUDA_COMPUTE_CAP=${CUDA_COMPUTE_CAP:-89}
export LIBRARY_PATH=$CUDA_HOME/lib64:$CUDA_HOME/lib64/stubs${LIBRARY_PATH:+:$LIBRARY_PATH}
cargo build --release --workspace --features edgemaxx-cli/cuda --bin edgemaxx --example gpu
mkdir -p "$out"
built=${CARGO_TARGET_DIR:-target}/release
install "$built/edgemaxx" "$out/edgemaxx-gpu"
install "$built/examples/gpu" "$out/gpu"
strip "$out/edgemaxx-gpu" "$out/gpu"
cat > "$out/edgemaxx" <<'LAUNCHER'
#!/bin/sh
# Starts edgemaxx-gpu beside this file, or says what it lacks.
program=$(dirname "$(readlink -f "$0")")/edgemaxx-gpu
missing=$(ldd "$program" 2>&1 | awk '/not found/ { print $1 }' | sort -u | tr '\n' ' ')
if [ -n "$missing" ]; then
  echo "error: not found on this machine: $missing" >&2
  case $missing in *libcuda.so*) echo "libcuda comes with NVIDIA's driver (580 or newer): install that" >&2 ;; esac
  echo "the others come with CUDA 13 and cuDNN 9; where they are installed, name their folder in a file in /etc/ld.so.conf.d and run ldconfig (engines inherit no LD_LIBRARY_PATH)" >&2
  exit 3
fi
exec "$program" "$@"
LAUNCHER
chmod +x "$out/edgemaxx"
echo "$out/edgemaxx"
