#!/bin/bash
# Compiles harness/candle/src/cuda/kernels/*.cu to the PTX beside them, for compute capability 8.0 on: the driver makes
# machine code for the card at hand. The PTX is committed, so that nobody needs nvcc to build the rest.
#
# usage: scripts/build-kernels.sh            write the PTX
#        scripts/build-kernels.sh --check    compile and compare with what is committed; differs: exit 1
#
# The same nvcc gives the same bytes: 13.0.88, from a CUDA 13.0 toolkit or from scripts/cuda-toolkit.sh.
set -euo pipefail
case "${1:-}" in -h | --help) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "$0"; exit ;; esac
cd "$(dirname "$0")/../harness/candle/src/cuda/kernels"
nvcc=${NVCC:-${CUDA_HOME:+$CUDA_HOME/bin/}nvcc}
command -v "$nvcc" > /dev/null || { echo "no nvcc: set CUDA_HOME to a CUDA 13.0 toolkit, e.g. one made by scripts/cuda-toolkit.sh" >&2; exit 3; }
to=.
if [ "${1:-}" = --check ]; then to=$(mktemp -d); trap 'rm -rf "$to"' EXIT; fi
for source in *.cu; do
  "$nvcc" -std=c++17 -O3 -arch=compute_80 -ptx "$source" -o "$to/${source%.cu}.ptx"
  if [ "$to" != . ] && ! cmp "$to/${source%.cu}.ptx" "${source%.cu}.ptx"; then
    echo "$source: the PTX beside it is another; run scripts/build-kernels.sh and commit it" >&2
    exit 1
  fi
done
