// What the kernels share: numbers in vectors of 16 bytes, widened to f32 on the way in, rounded on the way out.
#pragma once
#include <cuda_bf16.h>
#include <cuda_fp16.h>

// Numbers of type T that a thread moves at a time.
template <typename T> struct Pack { static constexpr int N = 16 / sizeof(T); };

__device__ __forceinline__ float2 widen(__half2 v) { return __half22float2(v); }
__device__ __forceinline__ float2 widen(__nv_bfloat162 v) { return __bfloat1622float2(v); }
__device__ __forceinline__ float widen(__half v) { return __half2float(v); }
__device__ __forceinline__ float widen(__nv_bfloat16 v) { return __bfloat162float(v); }
__device__ __forceinline__ float widen(float v) { return v; }
template <typename T> __device__ __forceinline__ T narrow(float v);
template <> __device__ __forceinline__ __half narrow<__half>(float v) { return __float2half_rn(v); }
template <> __device__ __forceinline__ __nv_bfloat16 narrow<__nv_bfloat16>(float v) { return __float2bfloat16_rn(v); }
template <> __device__ __forceinline__ float narrow<float>(float v) { return v; }

// Reads the 16 bytes at p; the compiler merges the parts into one access.
template <typename T> __device__ __forceinline__ void load(const T* p, float (&v)[Pack<T>::N]) {
  const uint4 raw = *reinterpret_cast<const uint4*>(p);
  const T* t = reinterpret_cast<const T*>(&raw);
#pragma unroll
  for (int i = 0; i < Pack<T>::N; i++) v[i] = widen(t[i]);
}
template <typename T> __device__ __forceinline__ void store(T* p, const float (&v)[Pack<T>::N]) {
  uint4 raw;
  T* t = reinterpret_cast<T*>(&raw);
#pragma unroll
  for (int i = 0; i < Pack<T>::N; i++) t[i] = narrow<T>(v[i]);
  *reinterpret_cast<uint4*>(p) = raw;
}

__device__ __forceinline__ float silu(float x) { return x / (1.f + __expf(-x)); }
__device__ __forceinline__ float gelu(float x) { return 0.5f * x * (1.f + erff(x * 0.70710678118654752f)); }

__device__ __forceinline__ float warp_sum(float v) {
#pragma unroll
  for (int o = 16; o; o >>= 1) v += __shfl_xor_sync(~0u, v, o);
  return v;
}

#define FOR_TYPES(M) M(f16, __half) M(bf16, __nv_bfloat16) M(f32, float)
