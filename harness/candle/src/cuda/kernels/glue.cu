// What lies between matrix products, one pass over memory each.
#include "common.cuh"

// y = x[…, :c] · gelu(x[…, c:]) over rows of 2c numbers; `vectors` = rows·c/N.
template <typename T> __device__ void geglu(const T* x, T* y, long vectors, int c) {
  constexpr int N = Pack<T>::N;
  const long i = (long)blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= vectors) return;
  const int per = c / N;
  const T* in = x + (i / per) * 2 * c + (i % per) * N;
  float a[N], g[N];
  load(in, a);
  load(in + c, g);
#pragma unroll
  for (int k = 0; k < N; k++) a[k] *= gelu(g[k]);
  store(y + i * N, a);
}

// x·Φ(x) (kind 0) or x·σ(1.702·x) (kind 1), in place.
template <typename T> __device__ void activate(T* x, long vectors, int kind) {
  constexpr int N = Pack<T>::N;
  const long i = (long)blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= vectors) return;
  float a[N];
  load(x + i * N, a);
#pragma unroll
  for (int k = 0; k < N; k++) a[k] = kind ? a[k] / (1.f + __expf(-1.702f * a[k])) : gelu(a[k]);
  store(x + i * N, a);
}

// Rows of a (c channels) and b (d channels) side by side; `vectors` = rows·(c + d)/N.
template <typename T> __device__ void beside(const T* a, const T* b, T* y, long vectors, int c, int d) {
  constexpr int N = Pack<T>::N;
  const long i = (long)blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= vectors) return;
  const int per = (c + d) / N;
  const long row = i / per;
  const int at = (int)(i % per) * N;
  const T* from = at < c ? a + row * c + at : b + row * d + at - c;
  *reinterpret_cast<uint4*>(y + i * N) = *reinterpret_cast<const uint4*>(from);
}

// Nearest-neighbour enlargement of (n, h, w, c) to (n, oh, ow, c): pixel i comes from ⌊i·h/oh⌋.
template <typename T>
__device__ void enlarge(const T* x, T* y, long vectors, int h, int w, int oh, int ow, int c) {
  constexpr int N = Pack<T>::N;
  const long i = (long)blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= vectors) return;
  const int per = c / N;
  const long pixel = i / per;
  const int col = (int)(pixel % ow) * w / ow, row = (int)(pixel / ow % oh) * h / oh;
  const long image = pixel / ow / oh;
  const T* from = x + ((image * h + row) * w + col) * c + (i % per) * N;
  *reinterpret_cast<uint4*>(y + i * N) = *reinterpret_cast<const uint4*>(from);
}

// y += bias per channel, per image where `image` (numbers of an image, else 0) says so, and += rest where given.
template <typename T>
__device__ void finish(T* y, const T* bias, const T* rest, long vectors, int c, long image) {
  constexpr int N = Pack<T>::N;
  const long i = (long)blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= vectors) return;
  const int ch = (int)(i * N % c);
  float a[N], b[N];
  load(y + i * N, a);
  const T* from = bias + (image ? i * N / image * c : 0);
  if (c % N == 0) load(from + ch, b);
  else
#pragma unroll
    for (int k = 0; k < N; k++) b[k] = widen(from[(ch + k) % c]);
#pragma unroll
  for (int k = 0; k < N; k++) a[k] += b[k];
  if (rest) {
    load(rest + i * N, b);
#pragma unroll
    for (int k = 0; k < N; k++) a[k] += b[k];
  }
  store(y + i * N, a);
}

// Rows of f32 scores to probabilities: softmax(scale · x), one block a row.
template <typename T> __device__ void soften(const float* x, T* y, int c, float scale) {
  __shared__ float part[32];
  const float* in = x + (size_t)blockIdx.x * c;
  T* out = y + (size_t)blockIdx.x * c;
  float top = -INFINITY;
  for (int i = threadIdx.x; i < c; i += blockDim.x) top = fmaxf(top, in[i]);
#pragma unroll
  for (int o = 16; o; o >>= 1) top = fmaxf(top, __shfl_xor_sync(~0u, top, o));
  if (threadIdx.x % 32 == 0) part[threadIdx.x / 32] = top;
  __syncthreads();
  top = part[0];
  for (int i = 1; i < blockDim.x / 32; i++) top = fmaxf(top, part[i]);
  __syncthreads();
  float sum = 0.f;
  for (int i = threadIdx.x; i < c; i += blockDim.x) sum += __expf((in[i] - top) * scale);
  sum = warp_sum(sum);
  if (threadIdx.x % 32 == 0) part[threadIdx.x / 32] = sum;
  __syncthreads();
  sum = 0.f;
  for (int i = 0; i < blockDim.x / 32; i++) sum += part[i];
  const float share = 1.f / sum;
  for (int i = threadIdx.x; i < c; i += blockDim.x) out[i] = narrow<T>(__expf((in[i] - top) * scale) * share);
}

#define KERNELS(name, T)                                                                                              \
  extern "C" __global__ void geglu_##name(const T* x, T* y, long vectors, int c) { geglu(x, y, vectors, c); }         \
  extern "C" __global__ void activate_##name(T* x, long vectors, int kind) { activate(x, vectors, kind); }            \
  extern "C" __global__ void beside_##name(const T* a, const T* b, T* y, long vectors, int c, int d) {                \
    beside(a, b, y, vectors, c, d);                                                                                   \
  }                                                                                                                   \
  extern "C" __global__ void enlarge_##name(const T* x, T* y, long vectors, int h, int w, int oh, int ow, int c) {    \
    enlarge(x, y, vectors, h, w, oh, ow, c);                                                                          \
  }                                                                                                                   \
  extern "C" __global__ void finish_##name(T* y, const T* bias, const T* rest, long vectors, int c, long image) {     \
    finish(y, bias, rest, vectors, c, image);                                                                         \
  }                                                                                                                   \
  extern "C" __global__ void soften_##name(const float* x, T* y, int c, float scale) { soften(x, y, c, scale); }
FOR_TYPES(KERNELS)
