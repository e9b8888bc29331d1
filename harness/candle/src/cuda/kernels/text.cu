// A language model of LLaMA's layout: one token at a time at the speed of memory, and what lies around the products of a
// prompt. The residual stream is f32; a product with one row reads it as f32, so that only the weights are rounded. Sums are
// in an order that the shapes alone decide; the one atomic on data takes a maximum.
#include "common.cuh"
#include <stdint.h>

constexpr int WARPS = 8, THREADS = 32 * WARPS;

// What the steps of an answer share.
struct State {
  unsigned long long best;  // largest logit so far: its bits in order, and the complement of its token
  unsigned token, unfit;    // the token taken last; whether any logit was no number
  int position;             // where that token stands
  int none;
};

// -- weights, 16 bytes at a time ---------------------------------------------------------------------------------------

// A matrix of rows: numbers, and scale and shift to 32 of them where they are quantised.
struct Matrix {
  const void* numbers;
  const __half* scales;
  const __half* shifts;
};

template <typename T> struct Plain {
  static constexpr int N = 8;
  struct Chunk { uint4 raw; };
  static __device__ __forceinline__ Chunk fetch(const Matrix& m, size_t row, int k, int i) {
    return {__ldcs(reinterpret_cast<const uint4*>(static_cast<const T*>(m.numbers) + row * k) + i)};
  }
  static __device__ __forceinline__ void values(const Chunk& c, float (&v)[N]) {
    const T* t = reinterpret_cast<const T*>(&c.raw);
#pragma unroll
    for (int i = 0; i < N; i++) v[i] = widen(t[i]);
  }
};
struct Bytes {
  static constexpr int N = 16;
  struct Chunk { uint4 raw; float scale; };
  static __device__ __forceinline__ Chunk fetch(const Matrix& m, size_t row, int k, int i) {
    return {__ldcs(reinterpret_cast<const uint4*>(static_cast<const int8_t*>(m.numbers) + row * k) + i),
            widen(m.scales[row * (k / 32) + i / 2])};
  }
  static __device__ __forceinline__ void values(const Chunk& c, float (&v)[N]) {
    const int8_t* t = reinterpret_cast<const int8_t*>(&c.raw);
#pragma unroll
    for (int i = 0; i < N; i++) v[i] = c.scale * (float)t[i];
  }
};
// Byte j of a group holds its numbers j and, above, j + 16, as llama.cpp has them.
struct Nibbles {
  static constexpr int N = 32;
  struct Chunk { uint4 raw; float scale, shift; };
  static __device__ __forceinline__ Chunk fetch(const Matrix& m, size_t row, int k, int i) {
    return {__ldcs(reinterpret_cast<const uint4*>(static_cast<const uint8_t*>(m.numbers) + row * (k / 2)) + i),
            widen(m.scales[row * (k / 32) + i]), widen(m.shifts[row * (k / 32) + i])};
  }
  static __device__ __forceinline__ void values(const Chunk& c, float (&v)[N]) {
    const uint8_t* t = reinterpret_cast<const uint8_t*>(&c.raw);
#pragma unroll
    for (int i = 0; i < 16; i++) {
      v[i] = c.scale * (float)(t[i] & 15) + c.shift;
      v[i + 16] = c.scale * (float)(t[i] >> 4) + c.shift;
    }
  }
};

// -- a row times a matrix ----------------------------------------------------------------------------------------------

// Where vector i of four numbers lies in shared memory, so that eight lanes that read N numbers apart touch all banks.
template <int N> __device__ __forceinline__ int place(int i) { return i ^ (i >> 3 & (N / 4 - 1)); }

__device__ __forceinline__ float block_sum(float v) {
  __shared__ float parts[WARPS];
  v = warp_sum(v);
  if (threadIdx.x % 32 == 0) parts[threadIdx.x / 32] = v;
  __syncthreads();
  float all = 0.f;
#pragma unroll
  for (int w = 0; w < WARPS; w++) all += parts[w];
  __syncthreads();
  return all;
}

// Puts x (k numbers), normalised with `norm` where that is given, into shared memory.
template <int N> __device__ __forceinline__ void bring(float4* to, const float* x, const float* norm, int k, float eps) {
  const float4* from = reinterpret_cast<const float4*>(x);
  if (norm == nullptr) {
    for (int i = threadIdx.x; i < k / 4; i += THREADS) to[place<N>(i)] = from[i];
    __syncthreads();
    return;
  }
  float squares = 0.f;
  for (int i = threadIdx.x; i < k / 4; i += THREADS) {
    const float4 v = from[i];
    to[place<N>(i)] = v;
    squares += v.x * v.x + v.y * v.y + v.z * v.z + v.w * v.w;
  }
  const float by = rsqrtf(block_sum(squares) / k + eps);
  const float4* weights = reinterpret_cast<const float4*>(norm);
  for (int i = threadIdx.x; i < k / 4; i += THREADS) {
    const float4 g = weights[i], v = to[place<N>(i)];
    to[place<N>(i)] = make_float4(v.x * by * g.x, v.y * by * g.y, v.z * by * g.z, v.w * by * g.w);
  }
  __syncthreads();
}

// The sums of ROWS rows of a warp; the first loads are under way while x is brought.
template <typename W, int ROWS>
__device__ __forceinline__ void sums(const Matrix& m, const size_t (&row)[ROWS], const float* x, const float* norm, int k,
                                     float eps, float (&sum)[ROWS]) {
  constexpr int N = W::N, AHEAD = N == 8 ? 4 : 2;
  extern __shared__ float4 shared[];
  const int lane = threadIdx.x % 32, chunks = k / N;
  typename W::Chunk c[AHEAD][ROWS];
  auto ask = [&](int from) {
#pragma unroll
    for (int a = 0; a < AHEAD; a++) {
      const int i = from + a * 32 + lane;
#pragma unroll
      for (int r = 0; r < ROWS; r++)
        if (i < chunks) c[a][r] = W::fetch(m, row[r], k, i);
    }
  };
  ask(0);
  bring<N>(shared, x, norm, k, eps);
#pragma unroll
  for (int r = 0; r < ROWS; r++) sum[r] = 0.f;
  for (int from = 0; from < chunks; from += AHEAD * 32) {
#pragma unroll
    for (int a = 0; a < AHEAD; a++) {
      const int i = from + a * 32 + lane;
      if (i < chunks) {
        float4 v[N / 4];
#pragma unroll
        for (int j = 0; j < N / 4; j++) v[j] = shared[place<N>(i * (N / 4) + j)];
#pragma unroll
        for (int r = 0; r < ROWS; r++) {
          float w[N];
          W::values(c[a][r], w);
#pragma unroll
          for (int j = 0; j < N / 4; j++)
            sum[r] += w[4 * j] * v[j].x + w[4 * j + 1] * v[j].y + w[4 * j + 2] * v[j].z + w[4 * j + 3] * v[j].w;
        }
      }
    }
    ask(from + AHEAD * 32);
  }
#pragma unroll
  for (int r = 0; r < ROWS; r++) sum[r] = warp_sum(sum[r]);
}

// Rows of a warp, the last ones again where there are too few.
template <int ROWS> __device__ __forceinline__ void rows_of_warp(size_t (&row)[ROWS], int rows, int& first) {
  first = (blockIdx.x * WARPS + threadIdx.x / 32) * ROWS;
#pragma unroll
  for (int r = 0; r < ROWS; r++) row[r] = min(first + r, rows - 1);
}

// y = W·norm(x)
template <typename W> __device__ void times(Matrix m, const float* x, const float* norm, float* y, int rows, int k, float eps) {
  size_t row[2];
  int first;
  float sum[2];
  rows_of_warp(row, rows, first);
  sums<W, 2>(m, row, x, norm, k, eps, sum);
  if (threadIdx.x % 32 < 2 && first + threadIdx.x % 32 < rows) y[first + threadIdx.x % 32] = threadIdx.x % 32 ? sum[1] : sum[0];
}
// y += W·x
template <typename W> __device__ void add_times(Matrix m, const float* x, float* y, int rows, int k) {
  size_t row[2];
  int first;
  float sum[2];
  rows_of_warp(row, rows, first);
  sums<W, 2>(m, row, x, nullptr, k, 0.f, sum);
  if (threadIdx.x % 32 < 2 && first + threadIdx.x % 32 < rows) y[first + threadIdx.x % 32] += threadIdx.x % 32 ? sum[1] : sum[0];
}
// y = silu(G·norm(x)) * U·norm(x), where U's rows follow G's in one matrix
template <typename W> __device__ void gated(Matrix m, const float* x, const float* norm, float* y, int inner, int k, float eps) {
  const int n = blockIdx.x * WARPS + threadIdx.x / 32;
  const size_t at = min(n, inner - 1), row[2] = {at, at + inner};
  float sum[2];
  sums<W, 2>(m, row, x, norm, k, eps, sum);
  if (threadIdx.x % 32 == 0 && n < inner) y[n] = sum[0] / (1.f + expf(-sum[0])) * sum[1];
}
// logits = W·norm(x), and the largest of them
template <typename W>
__device__ void choose(Matrix m, const float* x, const float* norm, float* logits, State* state, int rows, int k, float eps) {
  __shared__ unsigned long long best[WARPS];
  size_t row[2];
  int first;
  float sum[2];
  rows_of_warp(row, rows, first);
  sums<W, 2>(m, row, x, norm, k, eps, sum);
  if (threadIdx.x % 32 == 0) {
    unsigned long long top = 0;
#pragma unroll
    for (int r = 0; r < 2; r++)
      if (first + r < rows) {
        logits[first + r] = sum[r];
        if (!isfinite(sum[r])) state->unfit = 1;
        const unsigned bits = __float_as_uint(sum[r] == 0.f ? 0.f : sum[r]), order = bits >> 31 ? ~bits : bits | 0x80000000u;
        const unsigned long long key = (unsigned long long)order << 32 | ~(unsigned)(first + r);
        top = key > top ? key : top;
      }
    best[threadIdx.x / 32] = top;
  }
  __syncthreads();
  if (threadIdx.x == 0) {
    unsigned long long top = best[0];
#pragma unroll
    for (int w = 1; w < WARPS; w++) top = best[w] > top ? best[w] : top;
    atomicMax(&state->best, top);
  }
}
// The row of a token
template <typename W> __device__ void embed(const Matrix& m, size_t row, float* x, int k) {
  for (int i = threadIdx.x; i < k / W::N; i += blockDim.x) {
    float v[W::N];
    W::values(W::fetch(m, row, k, i), v);
#pragma unroll
    for (int j = 0; j < W::N; j++) x[i * W::N + j] = v[j];
  }
}
// Takes the best token, or the one that is named, and begins its step.
template <typename W> __device__ void take(Matrix m, State* state, long long named, int position, float* x, int k) {
  const unsigned token = named >= 0 ? (unsigned)named : ~(unsigned)state->best;
  __syncthreads();
  if (threadIdx.x == 0) {
    state->token = token;
    state->best = 0;
    state->position = position;
  }
  embed<W>(m, token, x, k);
}
// All of a matrix as T, one block a row
template <typename W, typename T> __device__ void widened(Matrix m, T* to, int k) {
  for (int i = threadIdx.x; i < k / W::N; i += blockDim.x) {
    float v[W::N];
    W::values(W::fetch(m, blockIdx.x, k, i), v);
#pragma unroll
    for (int j = 0; j < W::N; j++) to[(size_t)blockIdx.x * k + i * W::N + j] = narrow<T>(v[j]);
  }
}

#define MATRIX const void *numbers, const __half *scales, const __half *shifts
#define OF_WEIGHTS(type, W)                                                                                                 \
  extern "C" __global__ void __launch_bounds__(THREADS) times_##type(MATRIX, const float* x, const float* norm, float* y,    \
                                                                     int rows, int k, float eps) {                          \
    times<W>({numbers, scales, shifts}, x, norm, y, rows, k, eps);                                                          \
  }                                                                                                                         \
  extern "C" __global__ void __launch_bounds__(THREADS) add_times_##type(MATRIX, const float* x, float* y, int rows, int k) { \
    add_times<W>({numbers, scales, shifts}, x, y, rows, k);                                                                 \
  }                                                                                                                         \
  extern "C" __global__ void __launch_bounds__(THREADS) gated_##type(MATRIX, const float* x, const float* norm, float* y,    \
                                                                     int inner, int k, float eps) {                         \
    gated<W>({numbers, scales, shifts}, x, norm, y, inner, k, eps);                                                         \
  }                                                                                                                         \
  extern "C" __global__ void __launch_bounds__(THREADS) choose_##type(MATRIX, const float* x, const float* norm,             \
                                                                      float* logits, State* state, int rows, int k, float eps) { \
    choose<W>({numbers, scales, shifts}, x, norm, logits, state, rows, k, eps);                                             \
  }                                                                                                                         \
  extern "C" __global__ void take_##type(MATRIX, State* state, long long named, int position, float* x, int k) {            \
    take<W>({numbers, scales, shifts}, state, named, position, x, k);                                                       \
  }                                                                                                                         \
  extern "C" __global__ void embed_##type(MATRIX, const unsigned* tokens, float* x, int k) {                                \
    embed<W>({numbers, scales, shifts}, tokens[blockIdx.x], x + (size_t)blockIdx.x * k, k);                                 \
  }
OF_WEIGHTS(f16, Plain<__half>)
OF_WEIGHTS(bf16, Plain<__nv_bfloat16>)
OF_WEIGHTS(bytes, Bytes)
OF_WEIGHTS(nibbles, Nibbles)

#define WIDENED(type, T)                                                                       \
  extern "C" __global__ void widened_bytes_##type(MATRIX, T* to, int k) {                      \
    widened<Bytes, T>({numbers, scales, shifts}, to, k);                                       \
  }                                                                                            \
  extern "C" __global__ void widened_nibbles_##type(MATRIX, T* to, int k) {                    \
    widened<Nibbles, T>({numbers, scales, shifts}, to, k);                                     \
  }
WIDENED(f16, __half)
WIDENED(bf16, __nv_bfloat16)

// -- attention of one token --------------------------------------------------------------------------------------------

constexpr int MOST = 8;  // heads of queries that share one of keys, at most

// Of pair i of a head's numbers, half a head apart, the two turned by an angle.
__device__ __forceinline__ float2 turned(const float* head, int i, int half, float cos, float sin) {
  const float a = head[i], b = head[i + half];
  return make_float2(a * cos - b * sin, b * cos + a * sin);
}

// Block (split, key head): a part of the positions, for all queries of the head. The new key and value are stored by whoever
// has their position; the last block of a head to finish puts the parts together, in order.
//
// `cos` and `sin` are (positions, WIDTH/2); keys and values (positions, kv heads, WIDTH); `parts` (heads, splits, WIDTH + 2);
// `done` (kv heads) zeros, left as zeros.
template <typename T, int WIDTH>
__device__ void attend(const float* qkv, const float* cos, const float* sin, T* keys, T* values, const State* state,
                       float* parts, unsigned* done, float* mixed, int heads, int kv_heads, float scale) {
  constexpr int EACH = WIDTH / 32, HALF = WIDTH / 2, AHEAD = 2;
  __shared__ float q[MOST][WIDTH], top[WARPS][MOST], sum[WARPS][MOST], acc[WARPS][MOST][WIDTH];
  __shared__ bool last;
  const int split = blockIdx.x, splits = gridDim.x, head = blockIdx.y, per = heads / kv_heads;
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  const int position = state->position, count = position + 1, run = (count + splits - 1) / splits;
  const int from = split * run, to = min(count, from + run), row = kv_heads * WIDTH;
  const float *c = cos + (size_t)position * HALF, *s = sin + (size_t)position * HALF;
  for (int i = threadIdx.x; i < per * HALF; i += THREADS) {
    const int g = i / HALF, pair = i % HALF;
    const float2 v = turned(qkv + (head * per + g) * WIDTH, pair, HALF, c[pair], s[pair]);
    q[g][pair] = v.x * scale;
    q[g][pair + HALF] = v.y * scale;
  }
  if (from <= position && position < to) {
    const float *key = qkv + (heads + head) * WIDTH, *value = key + kv_heads * WIDTH;
    const size_t at = (size_t)position * row + head * WIDTH;
    for (int i = threadIdx.x; i < HALF; i += THREADS) {
      const float2 v = turned(key, i, HALF, c[i], s[i]);
      keys[at + i] = narrow<T>(v.x);
      keys[at + i + HALF] = narrow<T>(v.y);
      values[at + i] = narrow<T>(value[i]);
      values[at + i + HALF] = narrow<T>(value[i + HALF]);
    }
  }
  __syncthreads();

  float m[MOST], l[MOST], a[MOST][EACH], mine[MOST][EACH];
#pragma unroll
  for (int g = 0; g < MOST; g++) {
    m[g] = -INFINITY;
    l[g] = 0.f;
#pragma unroll
    for (int e = 0; e < EACH; e++) {
      a[g][e] = 0.f;
      mine[g][e] = g < per ? q[g][lane * EACH + e] : 0.f;
    }
  }
  for (int p = from + warp; p < to; p += WARPS * AHEAD) {
    float k[AHEAD][EACH], v[AHEAD][EACH];
#pragma unroll
    for (int n = 0; n < AHEAD; n++) {
      const size_t at = (size_t)min(p + n * WARPS, to - 1) * row + head * WIDTH + lane * EACH;
#pragma unroll
      for (int e = 0; e < EACH; e++) {
        k[n][e] = widen(keys[at + e]);
        v[n][e] = widen(values[at + e]);
      }
    }
#pragma unroll
    for (int n = 0; n < AHEAD; n++)
      if (p + n * WARPS < to) {
#pragma unroll
        for (int g = 0; g < MOST; g++)
          if (g < per) {
            float score = 0.f;
#pragma unroll
            for (int e = 0; e < EACH; e++) score += mine[g][e] * k[n][e];
            score = warp_sum(score);
            const float high = fmaxf(m[g], score), keep = expf(m[g] - high), share = expf(score - high);
            m[g] = high;
            l[g] = l[g] * keep + share;
#pragma unroll
            for (int e = 0; e < EACH; e++) a[g][e] = a[g][e] * keep + share * v[n][e];
          }
      }
  }
#pragma unroll
  for (int g = 0; g < MOST; g++)
    if (g < per) {
      if (lane == 0) {
        top[warp][g] = m[g];
        sum[warp][g] = l[g];
      }
#pragma unroll
      for (int e = 0; e < EACH; e++) acc[warp][g][lane * EACH + e] = a[g][e];
    }
  __syncthreads();
  for (int i = threadIdx.x; i < per * WIDTH; i += THREADS) {
    const int g = i / WIDTH, d = i % WIDTH;
    float high = -INFINITY, all = 0.f, value = 0.f;
    for (int w = 0; w < WARPS; w++) high = fmaxf(high, top[w][g]);
    for (int w = 0; w < WARPS; w++) {
      const float share = top[w][g] == -INFINITY ? 0.f : expf(top[w][g] - high);
      all += share * sum[w][g];
      value += share * acc[w][g][d];
    }
    float* part = parts + ((size_t)(head * per + g) * splits + split) * (WIDTH + 2);
    part[d] = value;
    if (d == 0) {
      part[WIDTH] = high;
      part[WIDTH + 1] = all;
    }
  }
  __threadfence();
  __syncthreads();
  if (threadIdx.x == 0) last = atomicAdd(done + head, 1) == splits - 1;
  __syncthreads();
  if (!last) return;
  __threadfence();
  for (int i = threadIdx.x; i < per * WIDTH; i += THREADS) {
    const int g = i / WIDTH, d = i % WIDTH;
    const float* of = parts + (size_t)(head * per + g) * splits * (WIDTH + 2);
    float high = -INFINITY, all = 0.f, value = 0.f;
    for (int n = 0; n < splits; n++) high = fmaxf(high, __ldcg(of + n * (WIDTH + 2) + WIDTH));
    for (int n = 0; n < splits; n++) {
      const float* part = of + n * (WIDTH + 2);
      const float its = __ldcg(part + WIDTH), share = its == -INFINITY ? 0.f : expf(its - high);
      all += share * __ldcg(part + WIDTH + 1);
      value += share * __ldcg(part + d);
    }
    mixed[(head * per + g) * WIDTH + d] = value / all;
  }
  if (threadIdx.x == 0) done[head] = 0;
}

#define ATTEND(type, T, WIDTH)                                                                                            \
  extern "C" __global__ void __launch_bounds__(THREADS)                                                                   \
      attend_##WIDTH##_##type(const float* qkv, const float* cos, const float* sin, T* keys, T* values, const State* state, \
                              float* parts, unsigned* done, float* mixed, int heads, int kv_heads, float scale) {         \
    attend<T, WIDTH>(qkv, cos, sin, keys, values, state, parts, done, mixed, heads, kv_heads, scale);                     \
  }

// -- around the products of a prompt -----------------------------------------------------------------------------------

// Every row normalised, as T; a block a row.
template <typename T> __device__ void normalised(const float* x, const float* norm, T* y, int k, float eps) {
  const float* row = x + (size_t)blockIdx.x * k;
  float squares = 0.f;
  for (int i = threadIdx.x; i < k; i += THREADS) squares += row[i] * row[i];
  const float by = rsqrtf(block_sum(squares) / k + eps);
  for (int i = threadIdx.x; i < k; i += THREADS) y[(size_t)blockIdx.x * k + i] = narrow<T>(row[i] * by * norm[i]);
}
// Queries, keys and values of a row: turned, as T, keys and values to their places. A block a row.
template <typename T>
__device__ void turn(const float* qkv, const float* cos, const float* sin, T* q, T* keys, T* values, int heads, int kv_heads,
                     int width) {
  const int half = width / 2, at = blockIdx.x, all = heads + 2 * kv_heads;
  const float *row = qkv + (size_t)at * all * width, *c = cos + (size_t)at * half, *s = sin + (size_t)at * half;
  for (int i = threadIdx.x; i < all * half; i += THREADS) {
    const int head = i / half, pair = i % half;
    const float* from = row + head * width;
    float2 v = make_float2(from[pair], from[pair + half]);
    T* to = values + ((size_t)at * kv_heads + head - heads - kv_heads) * width;
    if (head < heads + kv_heads) {
      v = turned(from, pair, half, c[pair], s[pair]);
      to = head < heads ? q + ((size_t)at * heads + head) * width : keys + ((size_t)at * kv_heads + head - heads) * width;
    }
    to[pair] = narrow<T>(v.x);
    to[pair + half] = narrow<T>(v.y);
  }
}
// silu of the first half of a row times the second; a vector of 16 bytes a thread.
template <typename T> __device__ void swiglu(const T* x, T* y, long long vectors, int inner) {
  constexpr int N = Pack<T>::N;
  const long long i = (long long)blockIdx.x * THREADS + threadIdx.x;
  if (i >= vectors) return;
  const long long row = i / (inner / N), at = i % (inner / N) * N;
  float gate[N], up[N];
  load(x + row * 2 * inner + at, gate);
  load(x + row * 2 * inner + inner + at, up);
#pragma unroll
  for (int j = 0; j < N; j++) gate[j] = silu(gate[j]) * up[j];
  store(y + row * inner + at, gate);
}

#define OF_TYPE(type, T)                                                                                               \
  ATTEND(type, T, 32)                                                                                                  \
  ATTEND(type, T, 64)                                                                                                  \
  ATTEND(type, T, 128)                                                                                                 \
  extern "C" __global__ void __launch_bounds__(THREADS)                                                                \
      normalised_##type(const float* x, const float* norm, T* y, int k, float eps) {                                   \
    normalised<T>(x, norm, y, k, eps);                                                                                 \
  }                                                                                                                    \
  extern "C" __global__ void __launch_bounds__(THREADS)                                                                \
      turn_##type(const float* qkv, const float* cos, const float* sin, T* q, T* keys, T* values, int heads,           \
                  int kv_heads, int width) {                                                                           \
    turn<T>(qkv, cos, sin, q, keys, values, heads, kv_heads, width);                                                   \
  }                                                                                                                    \
  extern "C" __global__ void __launch_bounds__(THREADS) swiglu_##type(const T* x, T* y, long long vectors, int inner) { \
    swiglu<T>(x, y, vectors, inner);                                                                                   \
  }
OF_TYPE(f16, __half)
OF_TYPE(bf16, __nv_bfloat16)
