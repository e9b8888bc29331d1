#!/bin/bash
# Type-checks the GPU code on a machine without a CUDA toolkit: an nvcc that compiles nothing stands in for the real one,
# so candle's kernels come out empty and only Rust is checked. Nothing built this way can run.
#
# usage: scripts/check-cuda.sh [check|clippy] [CARGO ARGUMENTS…]     e.g. scripts/check-cuda.sh clippy -- -D warnings
set -euo pipefail
case "${1:-}" in -h | --help) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "$0"; exit ;; esac
verb=${1:-check}; shift || true
cd "$(dirname "$0")/.."
stub=$(mktemp -d); trap 'rm -rf "$stub"' EXIT
mkdir -p "$stub/bin" "$stub/include" "$stub/lib64"
cat > "$stub/bin/nvcc" <<'NVCC'
#!/bin/bash
case "$*" in
  *--version*)
    printf '%s\n' "nvcc: NVIDIA (R) Cuda compiler driver" "Copyright" "Built" \
      "Cuda compilation tools, release 13.0, V13.0.88" "Build"
    exit ;;
  *--list-gpu-code*) printf 'sm_%s\n' 80 86 89 90; exit ;;
esac
out=; dir=.; ptx=; src=
while (($#)); do
  case $1 in
    -o) out=$2; shift ;;
    --output-directory) dir=$2; shift ;;
    --ptx) ptx=1 ;;
    *.cu) src=$1 ;;
  esac
  shift
done
[ -n "$ptx" ] && [ -z "$out" ] && out=$dir/$(basename "${src%.cu}").ptx
case $out in *.a) ar rc "$out" ;; *) : > "$out" ;; esac
NVCC
chmod +x "$stub/bin/nvcc"; : > "$stub/include/cuda.h"
export CUDA_HOME=$stub CUDA_PATH=$stub CUDA_ROOT=$stub NVCC=$stub/bin/nvcc PATH=$stub/bin:$PATH CUDA_COMPUTE_CAP=89
CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-target}/check-cuda cargo "$verb" -p edgemaxx-candle --features cuda --all-targets "$@"
