// Attention without the score matrix, for tensor cores from compute capability 8.0 on. A language model that decodes one token
// attends with `attend` in text.cu instead.
//
// o = softmax(q·kᵀ·scale)·v per batch and head, where a row is `*_row` numbers behind the one before and heads lie side by
// side in a row. A block takes ROWS = 16·TILES·WARPS queries and walks over the keys KEYS at a time, two stages of cp.async
// deep; every warp keeps its 16·TILES rows of queries, scores and results in registers (FlashAttention-2's order of work).
#include "common.cuh"
#include <stdint.h>

struct Sizes {
  int queries, keys, heads, causal, share;  // heads of queries that share one of keys
  float scale;  // times log2(e)
  int q_row, k_row, v_row, o_row;
};

__device__ __forceinline__ void copy16(uint32_t to, const void* from, bool real) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(to), "l"(from), "r"(real ? 16 : 0));
}
__device__ __forceinline__ void commit() { asm volatile("cp.async.commit_group;"); }
template <int N> __device__ __forceinline__ void wait() { asm volatile("cp.async.wait_group %0;" ::"n"(N)); }
__device__ __forceinline__ void matrices(uint32_t (&r)[4], uint32_t at) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];" : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(at));
}
__device__ __forceinline__ void matrices_turned(uint32_t (&r)[4], uint32_t at) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];" : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(at));
}
template <typename T> __device__ __forceinline__ void multiply(float (&d)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1);
template <> __device__ __forceinline__ void multiply<__half>(float (&d)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
  asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
               : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3]) : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}
template <> __device__ __forceinline__ void multiply<__nv_bfloat16>(float (&d)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
  asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
               : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3]) : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}
template <typename T> __device__ __forceinline__ uint32_t pair(float a, float b);
template <> __device__ __forceinline__ uint32_t pair<__half>(float a, float b) {
  const __half2 h = __floats2half2_rn(a, b);
  return *reinterpret_cast<const uint32_t*>(&h);
}
template <> __device__ __forceinline__ uint32_t pair<__nv_bfloat16>(float a, float b) {
  const __nv_bfloat162 h = __floats2bfloat162_rn(a, b);
  return *reinterpret_cast<const uint32_t*>(&h);
}
__device__ __forceinline__ float power(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

// A shared row holds WIDTH numbers in 16-byte chunks so that the same chunk of eight consecutive rows lies in eight banks:
// turned by the row's number where a row fills all banks, else padded to an odd count of chunks.
template <int WIDTH> struct Row {
  static constexpr int DEEP = (WIDTH + 15) / 16 * 16;  // the products' inner size
  static constexpr int CHUNKS = DEEP / 8;              // chunks with meaning or zeros
  static constexpr bool TURNED = CHUNKS % 8 == 0;
  static constexpr int STRIDE = (TURNED ? CHUNKS : CHUNKS | 1) * 16;  // bytes
  // Offset in its row of a chunk of row r.
  static __device__ __forceinline__ int chunk(int r, int c) { return (TURNED ? c ^ (r & 7) : c) * 16; }
};

// Copies ROWS rows, zeros beyond `limit` rows (unless ALL are there) and WIDTH numbers.
template <typename T, int WIDTH, int ROWS, int THREADS, bool ALL>
__device__ __forceinline__ void fetch(uint32_t to, const T* from, int row, int limit) {
  constexpr int C = Row<WIDTH>::CHUNKS;
  static_assert(ROWS * C % THREADS == 0);
#pragma unroll
  for (int n = 0; n < ROWS * C / THREADS; n++) {
    const int i = n * THREADS + threadIdx.x, r = i / C, chunk = i % C;
    const bool real = (ALL || r < limit) && (WIDTH % 16 == 0 || chunk * 8 < WIDTH);
    copy16(to + r * Row<WIDTH>::STRIDE + Row<WIDTH>::chunk(r, chunk), real ? from + (size_t)r * row + chunk * 8 : from, real);
  }
}

template <typename T, int WIDTH, int TILES, int WARPS, int KEYS>
__device__ __forceinline__ void flash(const T* q, const T* k, const T* v, T* o, const Sizes& z) {
  constexpr int DEEP = Row<WIDTH>::DEEP, STRIDE = Row<WIDTH>::STRIDE, ROWS = 16 * TILES * WARPS, THREADS = 32 * WARPS;
  constexpr int STAGE = KEYS * STRIDE, OUT = WIDTH / 8;
  extern __shared__ __align__(16) unsigned char memory[];
  // two stages of keys, then two of values; before them the queries
  const uint32_t base = (uint32_t)__cvta_generic_to_shared(memory);
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  const int first = blockIdx.x * ROWS, head = blockIdx.y, batch = blockIdx.z;
  q += ((size_t)batch * z.queries + first) * z.q_row + head * WIDTH;
  k += (size_t)batch * z.keys * z.k_row + head / z.share * WIDTH;
  v += (size_t)batch * z.keys * z.v_row + head / z.share * WIDTH;
  o += ((size_t)batch * z.queries + first) * z.o_row + head * WIDTH;

  fetch<T, WIDTH, ROWS, THREADS, false>(base, q, z.q_row, z.queries - first);
  commit();
  wait<0>();
  __syncthreads();
  uint32_t qf[TILES][DEEP / 16][4];
#pragma unroll
  for (int t = 0; t < TILES; t++)
#pragma unroll
    for (int d = 0; d < DEEP / 16; d++)
      matrices(qf[t][d], base + ((warp * TILES + t) * 16 + lane % 16) * STRIDE + Row<WIDTH>::chunk(lane, d * 2 + lane / 16));
  __syncthreads();

  const int end = z.causal ? min(z.keys, first + ROWS) : z.keys, steps = (end + KEYS - 1) / KEYS;
  auto bring = [&](uint32_t to, const T* from, int row, int s) {
    const int left = z.keys - s * KEYS;
    from += (size_t)s * KEYS * row;
    if (left >= KEYS) fetch<T, WIDTH, KEYS, THREADS, true>(to, from, row, left);
    else fetch<T, WIDTH, KEYS, THREADS, false>(to, from, row, left);
  };
  auto bring_keys = [&](int s) { if (s < steps) bring(base + (s & 1) * STAGE, k, z.k_row, s); };
  auto bring_values = [&](int s) { if (s < steps) bring(base + (2 + (s & 1)) * STAGE, v, z.v_row, s); };

  using Scores = float[TILES][KEYS / 8][4];
  auto products = [&](Scores& score, int s) {
    const uint32_t at = base + (s & 1) * STAGE + (lane % 8 + lane / 16 * 8) * STRIDE;
#pragma unroll
    for (int t = 0; t < TILES; t++)
#pragma unroll
      for (int j = 0; j < KEYS / 8; j++)
#pragma unroll
        for (int e = 0; e < 4; e++) score[t][j][e] = 0.f;
#pragma unroll
    for (int d = 0; d < DEEP / 16; d++)
#pragma unroll
      for (int j = 0; j < KEYS / 16; j++) {
        uint32_t b[4];
        matrices(b, at + j * 16 * STRIDE + Row<WIDTH>::chunk(lane, d * 2 + lane / 8 % 2));
#pragma unroll
        for (int t = 0; t < TILES; t++) {
          multiply<T>(score[t][2 * j], qf[t][d], b[0], b[1]);
          multiply<T>(score[t][2 * j + 1], qf[t][d], b[2], b[3]);
        }
      }
  };

  float acc[TILES][OUT][4] = {}, top[TILES][2], sum[TILES][2] = {};
#pragma unroll
  for (int t = 0; t < TILES; t++) top[t][0] = top[t][1] = -INFINITY;
  // takes the scores of stage s into the result; a row that has seen nothing yet keeps zeros
  auto absorb = [&](Scores& score, int s) {
#pragma unroll
    for (int t = 0; t < TILES; t++)
#pragma unroll
      for (int h = 0; h < 2; h++) {
        float m = top[t][h];
#pragma unroll
        for (int j = 0; j < KEYS / 8; j++) m = fmaxf(m, fmaxf(score[t][j][2 * h], score[t][j][2 * h + 1]));
        m = fmaxf(m, __shfl_xor_sync(~0u, m, 1));
        m = fmaxf(m, __shfl_xor_sync(~0u, m, 2));
        const float low = m == -INFINITY ? 0.f : m * z.scale, keep = power(top[t][h] * z.scale - low);
        top[t][h] = m;
        float part = 0.f;
#pragma unroll
        for (int j = 0; j < KEYS / 8; j++)
#pragma unroll
          for (int e = 2 * h; e < 2 * h + 2; e++) {
            score[t][j][e] = power(score[t][j][e] * z.scale - low);
            part += score[t][j][e];
          }
        sum[t][h] = sum[t][h] * keep + part;
#pragma unroll
        for (int n = 0; n < OUT; n++) {
          acc[t][n][2 * h] *= keep;
          acc[t][n][2 * h + 1] *= keep;
        }
      }
    const uint32_t at = base + (2 + (s & 1)) * STAGE + lane % 16 * STRIDE;
#pragma unroll
    for (int j = 0; j < KEYS / 16; j++) {
      uint32_t p[TILES][4];
#pragma unroll
      for (int t = 0; t < TILES; t++) {
        p[t][0] = pair<T>(score[t][2 * j][0], score[t][2 * j][1]);
        p[t][1] = pair<T>(score[t][2 * j][2], score[t][2 * j][3]);
        p[t][2] = pair<T>(score[t][2 * j + 1][0], score[t][2 * j + 1][1]);
        p[t][3] = pair<T>(score[t][2 * j + 1][2], score[t][2 * j + 1][3]);
      }
#pragma unroll
      for (int n = 0; n < (OUT + 1) / 2; n++) {
        uint32_t b[4];
        matrices_turned(b, at + j * 16 * STRIDE + Row<WIDTH>::chunk(lane, n * 2 + lane / 16));
#pragma unroll
        for (int t = 0; t < TILES; t++) {
          multiply<T>(acc[t][2 * n], p[t], b[0], b[1]);
          if (2 * n + 1 < OUT) multiply<T>(acc[t][2 * n + 1], p[t], b[2], b[3]);
        }
      }
    }
  };
  auto hide = [&](Scores& score, int s) {
#pragma unroll
    for (int t = 0; t < TILES; t++)
#pragma unroll
      for (int j = 0; j < KEYS / 8; j++)
#pragma unroll
        for (int e = 0; e < 4; e++) {
          const int key = s * KEYS + j * 8 + lane % 4 * 2 + e % 2;
          const int row = first + (warp * TILES + t) * 16 + lane / 4 + e / 2 * 8;
          if (key >= z.keys || (z.causal && key > row)) score[t][j][e] = -INFINITY;
        }
  };

  bring_keys(0);
  bring_keys(1);
  bring_values(0);
  commit();
  wait<0>();
  __syncthreads();
  Scores now;
  products(now, 0);
  for (int s = 0; s + 1 < steps; s++) {
    if (z.causal) hide(now, s);
    wait<0>();
    __syncthreads();
    bring_keys(s + 2);
    bring_values(s + 1);
    commit();
    // the next stage's products keep the tensor cores busy while this one's powers are taken
    Scores next;
    products(next, s + 1);
    absorb(now, s);
#pragma unroll
    for (int t = 0; t < TILES; t++)
#pragma unroll
      for (int j = 0; j < KEYS / 8; j++)
#pragma unroll
        for (int e = 0; e < 4; e++) now[t][j][e] = next[t][j][e];
  }
  wait<0>();
  __syncthreads();
  if (steps * KEYS > z.keys || z.causal) hide(now, steps - 1);
  absorb(now, steps - 1);

#pragma unroll
  for (int t = 0; t < TILES; t++)
#pragma unroll
    for (int h = 0; h < 2; h++) {
      float all = sum[t][h];
      all += __shfl_xor_sync(~0u, all, 1);
      all += __shfl_xor_sync(~0u, all, 2);
      const float share = 1.f / all;
      const int row = (warp * TILES + t) * 16 + lane / 4 + h * 8;
      if (first + row < z.queries)
#pragma unroll
        for (int n = 0; n < OUT; n++)
          *reinterpret_cast<uint32_t*>(o + (size_t)row * z.o_row + n * 8 + lane % 4 * 2) =
              pair<T>(acc[t][n][2 * h] * share, acc[t][n][2 * h + 1] * share);
    }
}

// name, type, head width, tiles a warp, warps, keys a stage, least blocks a multiprocessor
#define KERNEL(name, T, WIDTH, TILES, WARPS, KEYS, BLOCKS)                                                             \
  extern "C" __global__ void __launch_bounds__(32 * WARPS, BLOCKS)                                                     \
      name(const T* q, const T* k, const T* v, T* o, int queries, int keys, int heads, int causal, float scale, int q_row, \
           int k_row, int v_row, int o_row, int share) {                                                                          \
    const Sizes z{queries, keys, heads, causal, share, scale, q_row, k_row, v_row, o_row};                                    \
    flash<T, WIDTH, TILES, WARPS, KEYS>(q, k, v, o, z);                                                                \
  }
#define KERNELS(type, T)                             \
  KERNEL(flash_32_##type, T, 32, 1, 4, 64, 3)        \
  KERNEL(flash_40_##type, T, 40, 1, 4, 64, 3)        \
  KERNEL(flash_64_##type, T, 64, 1, 4, 64, 3)        \
  KERNEL(flash_64_long_##type, T, 64, 2, 4, 64, 2)   \
  KERNEL(flash_80_##type, T, 80, 1, 4, 64, 2)        \
  KERNEL(flash_128_##type, T, 128, 1, 4, 32, 2)
KERNELS(f16, __half)
KERNELS(bf16, __nv_bfloat16)
