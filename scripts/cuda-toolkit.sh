#!/bin/bash
# Makes a CUDA 13.0 toolkit to build with on a machine without one (and without a GPU): nvcc and headers from five wheels
# (271 MB from the Python package index), and stand-ins to link against for the libraries, which only have to be real
# where the program runs.
#
# usage: scripts/cuda-toolkit.sh FOLDER      then: CUDA_HOME=FOLDER scripts/build-cuda.sh
set -euo pipefail
case "${1:--h}" in -h | --help) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "$0"; exit ;; esac
mkdir -p "$1"
home=$(cd "$1" && pwd)
cd "$(dirname "$0")/.."
cargo fetch --quiet
cudarc=$(cargo metadata --format-version 1 --features edgemaxx-cli/cuda | python3 -c '
import json, os, sys
print(next(os.path.dirname(p["manifest_path"]) for p in json.load(sys.stdin)["packages"] if p["name"] == "cudarc"))')
wheels=$home/wheels
python3 -m pip install --quiet --no-compile --no-deps --upgrade --target "$wheels" nvidia-cuda-nvcc==13.0.88 \
  nvidia-nvvm==13.0.88 nvidia-cuda-crt==13.0.88 nvidia-cuda-runtime==13.0.96 nvidia-cuda-cccl==13.0.85
real=$wheels/nvidia/cu13
mkdir -p "$home/lib64/stubs" "$home/include"
ln -sfn lib64 "$home/lib"
ln -sfn "$real/bin" "$home/bin"
ln -sfn "$real/nvvm" "$home/nvvm"
ln -sf "$real"/include/* "$home/include/"
ln -sf "$real/lib/libcudart.so.13" "$home/lib64/libcudart.so.13"
ln -sf "$real/lib/libcudart.so.13" "$home/lib64/libcudart.so"
# every function that cudarc names, doing nothing
stand_in() { # library, name in the program, module of cudarc
  grep -hoE 'pub unsafe fn [A-Za-z_][A-Za-z0-9_]*' "$cudarc/src/$3/sys/"*.rs | awk '{print $4}' | sort -u |
    awk '{print "void " $1 "(void) {}"}' |
    gcc -shared -fPIC -fno-builtin -x c - -Wl,-soname,"$2" -o "$home/lib64/stubs/lib$1.so"
}
stand_in cuda libcuda.so.1 driver
stand_in cublas libcublas.so.13 cublas
stand_in cublasLt libcublasLt.so.13 cublaslt
stand_in curand libcurand.so.10 curand
stand_in nvrtc libnvrtc.so.13 nvrtc
stand_in cudnn libcudnn.so.9 cudnn
echo "$home"
