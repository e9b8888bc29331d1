// Normalisations over channels-last tensors. Sums are f32, in an order that the shapes alone decide: no atomics on data.
#include "common.cuh"

// Group norm, first half: mean and 1/σ of every image and group.
//
// x is (n, pixels, c) plus shift (n, c) where given. A block sums a run of pixels over all channels, each thread a fixed
// vector of channels, about a pivot (the group's first number), so that a large mean costs no digits; the last block of an
// image to finish adds the runs up, in order. `partial` is (n, runs, groups, 2), `stats` (n, groups, 2), `done` (n) zeros,
// left as zeros.
template <typename T>
__device__ void group_stats(const T* x, const T* shift, float* partial, unsigned* done, float* stats, int pixels, int c,
                            int groups, float eps) {
  constexpr int N = Pack<T>::N;
  extern __shared__ float sums[];  // (rows, c), twice
  const int n = blockIdx.y, runs = gridDim.x, vectors = c / N, rows = blockDim.x / vectors, per = c / groups;
  const int v = threadIdx.x % vectors, r = threadIdx.x / vectors;
  const int run = (pixels + runs - 1) / runs, from = blockIdx.x * run, to = min(from + run, pixels);
  const T* image = x + (size_t)n * pixels * c;
  float* squares = sums + rows * c;
  if (r < rows) {
    float s[N], q[N], off[N];
#pragma unroll
    for (int i = 0; i < N; i++) {
      const int first = (v * N + i) / per * per;
      s[i] = q[i] = 0.f;
      off[i] = (shift ? widen(shift[(size_t)n * c + v * N + i]) - widen(shift[(size_t)n * c + first]) : 0.f) - widen(image[first]);
    }
#pragma unroll 8
    for (int p = from + r; p < to; p += rows) {
      float e[N];
      load(image + (size_t)p * c + v * N, e);
#pragma unroll
      for (int i = 0; i < N; i++) {
        const float d = e[i] + off[i];
        s[i] += d;
        q[i] += d * d;
      }
    }
#pragma unroll
    for (int i = 0; i < N; i++) {
      sums[r * c + v * N + i] = s[i];
      squares[r * c + v * N + i] = q[i];
    }
  }
  __syncthreads();
  // eight threads a group
  for (int g = threadIdx.x / 8; g < (groups + 3) / 4 * 4; g += blockDim.x / 8) {
    float s = 0.f, q = 0.f;
    if (g < groups)
#pragma unroll 4
      for (int i = threadIdx.x % 8; i < per * rows; i += 8) {
        const int at = i / per * c + g * per + i % per;
        s += sums[at];
        q += squares[at];
      }
#pragma unroll
    for (int o = 4; o; o >>= 1) {
      s += __shfl_xor_sync(~0u, s, o);
      q += __shfl_xor_sync(~0u, q, o);
    }
    if (g < groups && threadIdx.x % 8 == 0) {
      float* out = partial + (((size_t)n * runs + blockIdx.x) * groups + g) * 2;
      out[0] = s;
      out[1] = q;
    }
  }
  __shared__ bool last;
  __threadfence();
  __syncthreads();
  if (threadIdx.x == 0) last = atomicInc(done + n, runs - 1) == (unsigned)runs - 1;
  __syncthreads();
  if (!last) return;
  __threadfence();
  for (int g = threadIdx.x / 8; g < (groups + 3) / 4 * 4; g += blockDim.x / 8) {
    float s = 0.f, q = 0.f;
    if (g < groups)
#pragma unroll 8
      for (int i = threadIdx.x % 8; i < runs; i += 8) {
        // past the first-level cache, which may hold what another image's sums left there
        const float2 in = __ldcg(reinterpret_cast<const float2*>(partial + (((size_t)n * runs + i) * groups + g) * 2));
        s += in.x;
        q += in.y;
      }
#pragma unroll
    for (int o = 4; o; o >>= 1) {
      s += __shfl_xor_sync(~0u, s, o);
      q += __shfl_xor_sync(~0u, q, o);
    }
    if (g < groups && threadIdx.x % 8 == 0) {
      const float count = (float)pixels * per, about = s / count;
      const int first = g * per;
      const float pivot = widen(image[first]) + (shift ? widen(shift[(size_t)n * c + first]) : 0.f);
      stats[((size_t)n * groups + g) * 2] = about + pivot;
      stats[((size_t)n * groups + g) * 2 + 1] = rsqrtf(fmaxf(q / count - about * about, 0.f) + eps);
    }
  }
}

// Group norm, second half: y = ((x + shift) − mean)/σ · w + b, followed by x·σ(x) if `act`.
template <typename T>
__device__ void group_apply(const T* x, const T* shift, const float* stats, const T* w, const T* b, T* y, int pixels,
                            int c, int groups, int act) {
  constexpr int N = Pack<T>::N;
  const int n = blockIdx.y, vectors = c / N, rows = blockDim.x / vectors, per = c / groups;
  const int v = threadIdx.x % vectors, r = threadIdx.x / vectors;
  if (r >= rows) return;
  float scale[N], add[N], more[N] = {};
  load(w + v * N, scale);
  load(b + v * N, add);
  if (shift) load(shift + (size_t)n * c + v * N, more);
#pragma unroll
  for (int i = 0; i < N; i++) {
    const float2 s = reinterpret_cast<const float2*>(stats)[n * groups + (v * N + i) / per];
    scale[i] *= s.y;
    add[i] += (more[i] - s.x) * scale[i];
  }
  const size_t base = (size_t)n * pixels * c + v * N;
#pragma unroll 4
  for (int p = blockIdx.x * rows + r; p < pixels; p += gridDim.x * rows) {
    float e[N];
    load(x + base + (size_t)p * c, e);
#pragma unroll
    for (int i = 0; i < N; i++) {
      e[i] = e[i] * scale[i] + add[i];
      if (act) e[i] = silu(e[i]);
    }
    store(y + base + (size_t)p * c, e);
  }
}

// Layer norm of rows of c ≤ 32·N·M numbers, one warp a row, kept in registers between the passes.
template <typename T, int M>
__device__ void layer_norm(const T* x, const T* w, const T* b, T* y, int rows, int c, float eps) {
  constexpr int N = Pack<T>::N;
  const int row = blockIdx.x * (blockDim.x / 32) + threadIdx.x / 32, lane = threadIdx.x % 32, vectors = c / N;
  if (row >= rows) return;
  const T* in = x + (size_t)row * c;
  float e[M][N], s = 0.f;
#pragma unroll
  for (int m = 0; m < M; m++) {
    if (m * 32 + lane < vectors) load(in + (m * 32 + lane) * N, e[m]);
    else
#pragma unroll
      for (int i = 0; i < N; i++) e[m][i] = 0.f;
#pragma unroll
    for (int i = 0; i < N; i++) s += e[m][i];
  }
  const float mean = warp_sum(s) / c;
  s = 0.f;
#pragma unroll
  for (int m = 0; m < M; m++)
    if (m * 32 + lane < vectors)
#pragma unroll
      for (int i = 0; i < N; i++) s += (e[m][i] - mean) * (e[m][i] - mean);
  const float scale = rsqrtf(warp_sum(s) / c + eps);
#pragma unroll
  for (int m = 0; m < M; m++) {
    const int at = (m * 32 + lane) * N;
    if (m * 32 + lane >= vectors) continue;
    float ww[N], bb[N];
    load(w + at, ww);
    load(b + at, bb);
#pragma unroll
    for (int i = 0; i < N; i++) e[m][i] = (e[m][i] - mean) * scale * ww[i] + bb[i];
    store(y + (size_t)row * c + at, e[m]);
  }
}

#define LAYER_NORM(M, name, T)                                                                                        \
  extern "C" __global__ void layer_norm_##M##_##name(const T* x, const T* w, const T* b, T* y, int rows, int c, float eps) { \
    layer_norm<T, M>(x, w, b, y, rows, c, eps);                                                                       \
  }
#define KERNELS(name, T)                                                                                              \
  extern "C" __global__ void group_stats_##name(const T* x, const T* shift, float* partial, unsigned* done, float* stats, \
                                                int pixels, int c, int groups, float eps) {                           \
    group_stats(x, shift, partial, done, stats, pixels, c, groups, eps);                                              \
  }                                                                                                                   \
  extern "C" __global__ void group_apply_##name(const T* x, const T* shift, const float* stats, const T* w, const T* b, \
                                                T* y, int pixels, int c, int groups, int act) {                       \
    group_apply(x, shift, stats, w, b, y, pixels, c, groups, act);                                                    \
  }                                                                                                                   \
  LAYER_NORM(3, name, T)                                                                                              \
  LAYER_NORM(5, name, T)                                                                                              \
  LAYER_NORM(12, name, T)
FOR_TYPES(KERNELS)
