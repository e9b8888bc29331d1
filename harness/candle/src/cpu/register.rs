//! A vector register as a trait, so that one kernel text serves every instruction set.
//!
//! Every lane computes a fused multiply-add of its own output element in the same order, so the bits of a result do not
//! depend on the width of the registers.
use half::f16;

/// A register of f32 lanes.
///
/// # Safety
/// The methods may be called only where the CPU has the instructions, and pointers must be valid for `N` values.
pub(super) unsafe trait Lane: Copy {
    /// Lanes.
    const N: usize;
    /// As many unsigned integers of 32 bits.
    type Words: Copy;
    unsafe fn zero() -> Self;
    unsafe fn splat(x: f32) -> Self;
    unsafe fn load(p: *const f32) -> Self;
    unsafe fn store(self, p: *mut f32);
    /// a·b + self
    unsafe fn fma(self, a: Self, b: Self) -> Self;
    /// Values stored as f16.
    unsafe fn halves(p: *const u16) -> Self;
    /// Values stored as bf16.
    unsafe fn brains(p: *const u16) -> Self;
    /// Values stored as signed bytes.
    unsafe fn bytes(p: *const i8) -> Self;
    unsafe fn words(p: *const u32) -> Self::Words;
    /// The eight groups of four bits of every word, lowest first, as numbers from 0, or from −8 if `SIGNED`.
    unsafe fn nibbles<const SIGNED: bool>(words: Self::Words) -> [Self; 8];
    /// Has the cache line at an address, which need not be valid, fetched where the CPU can be asked to.
    #[inline(always)]
    fn prefetch(_: *const f32) {}
}

/// Eight lanes in plain Rust, which compilers turn into whatever the target has.
#[derive(Clone, Copy)]
pub(super) struct Plain([f32; 8]);

// SAFETY: needs no particular instructions.
unsafe impl Lane for Plain {
    const N: usize = 8;
    type Words = [u32; 8];
    #[inline(always)]
    unsafe fn zero() -> Self {
        Self([0.0; 8])
    }
    #[inline(always)]
    unsafe fn splat(x: f32) -> Self {
        Self([x; 8])
    }
    #[inline(always)]
    unsafe fn load(p: *const f32) -> Self {
        // SAFETY: the caller's pointer is valid for eight values.
        Self(unsafe { p.cast::<[f32; 8]>().read_unaligned() })
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut f32) {
        // SAFETY: the caller's pointer is valid for eight values.
        unsafe { p.cast::<[f32; 8]>().write_unaligned(self.0) }
    }
    #[inline(always)]
    unsafe fn fma(self, a: Self, b: Self) -> Self {
        Self(std::array::from_fn(|i| a.0[i].mul_add(b.0[i], self.0[i])))
    }
    #[inline(always)]
    unsafe fn halves(p: *const u16) -> Self {
        // SAFETY: the caller's pointer is valid for eight values.
        let stored = unsafe { p.cast::<[f16; 8]>().read_unaligned() };
        Self(stored.map(f16::to_f32))
    }
    #[inline(always)]
    unsafe fn brains(p: *const u16) -> Self {
        // SAFETY: the caller's pointer is valid for eight values.
        let stored = unsafe { p.cast::<[u16; 8]>().read_unaligned() };
        Self(stored.map(|bits| f32::from_bits(u32::from(bits) << 16)))
    }
    #[inline(always)]
    unsafe fn bytes(p: *const i8) -> Self {
        // SAFETY: the caller's pointer is valid for eight values.
        let stored = unsafe { p.cast::<[i8; 8]>().read_unaligned() };
        Self(stored.map(f32::from))
    }
    #[inline(always)]
    unsafe fn words(p: *const u32) -> [u32; 8] {
        // SAFETY: the caller's pointer is valid for eight values.
        unsafe { p.cast::<[u32; 8]>().read_unaligned() }
    }
    #[inline(always)]
    unsafe fn nibbles<const SIGNED: bool>(words: [u32; 8]) -> [Self; 8] {
        let least = if SIGNED { 8.0 } else { 0.0 };
        std::array::from_fn(|j| Self(words.map(|w| (w >> (4 * j) & 15) as f32 - least)))
    }
}

#[cfg(target_arch = "x86_64")]
pub(super) mod x86 {
    //! The two instruction sets worth their own registers.
    use super::Lane;
    use std::arch::x86_64::*;

    /// AVX-512.
    #[derive(Clone, Copy)]
    pub(in crate::cpu) struct Wide(__m512);
    /// AVX2 with FMA.
    #[derive(Clone, Copy)]
    pub(in crate::cpu) struct Half(__m256);

    macro_rules! lane {
        (
            $name:ident, $n:literal, $zero:ident, $splat:ident, $load:ident, $store:ident, $fma:ident,
            $words:ident, $load_words:ident, $halves:expr, $brains:expr, $bytes:expr, $nibble:ident
        ) => {
            // SAFETY: only called from functions compiled for these instructions, see `gemm` and `tile`.
            unsafe impl Lane for $name {
                const N: usize = $n;
                type Words = $words;
                #[inline(always)]
                unsafe fn zero() -> Self {
                    // SAFETY: as the trait demands.
                    Self(unsafe { $zero() })
                }
                #[inline(always)]
                unsafe fn splat(x: f32) -> Self {
                    // SAFETY: as the trait demands.
                    Self(unsafe { $splat(x) })
                }
                #[inline(always)]
                unsafe fn load(p: *const f32) -> Self {
                    // SAFETY: as the trait demands.
                    Self(unsafe { $load(p) })
                }
                #[inline(always)]
                unsafe fn store(self, p: *mut f32) {
                    // SAFETY: as the trait demands.
                    unsafe { $store(p, self.0) }
                }
                #[inline(always)]
                unsafe fn fma(self, a: Self, b: Self) -> Self {
                    // SAFETY: as the trait demands.
                    Self(unsafe { $fma(a.0, b.0, self.0) })
                }
                #[inline(always)]
                unsafe fn halves(p: *const u16) -> Self {
                    // SAFETY: as the trait demands.
                    Self(unsafe { $halves(p) })
                }
                #[inline(always)]
                unsafe fn brains(p: *const u16) -> Self {
                    // SAFETY: as the trait demands.
                    Self(unsafe { $brains(p) })
                }
                #[inline(always)]
                unsafe fn bytes(p: *const i8) -> Self {
                    // SAFETY: as the trait demands.
                    Self(unsafe { $bytes(p) })
                }
                #[inline(always)]
                unsafe fn words(p: *const u32) -> Self::Words {
                    // SAFETY: as the trait demands.
                    unsafe { $load_words(p.cast()) }
                }
                #[inline(always)]
                unsafe fn nibbles<const SIGNED: bool>(w: Self::Words) -> [Self; 8] {
                    // SAFETY: as the trait demands.
                    unsafe {
                        [
                            Self($nibble::<0, SIGNED>(w)),
                            Self($nibble::<4, SIGNED>(w)),
                            Self($nibble::<8, SIGNED>(w)),
                            Self($nibble::<12, SIGNED>(w)),
                            Self($nibble::<16, SIGNED>(w)),
                            Self($nibble::<20, SIGNED>(w)),
                            Self($nibble::<24, SIGNED>(w)),
                            Self($nibble::<28, SIGNED>(w)),
                        ]
                    }
                }
                #[inline(always)]
                fn prefetch(p: *const f32) {
                    // SAFETY: a hint; nothing is read.
                    unsafe { _mm_prefetch::<_MM_HINT_T0>(p.cast()) }
                }
            }
        };
    }
    /// A register's f16 values, widened.
    macro_rules! widen {
        ($p:expr, $load:ident, $convert:ident) => {
            $convert($load($p.cast()))
        };
    }
    #[inline(always)]
    unsafe fn wide_halves(p: *const u16) -> __m512 {
        // SAFETY: as the trait demands.
        unsafe { widen!(p, _mm256_loadu_si256, _mm512_cvtph_ps) }
    }
    #[inline(always)]
    unsafe fn half_halves(p: *const u16) -> __m256 {
        // SAFETY: as the trait demands.
        unsafe { widen!(p, _mm_loadu_si128, _mm256_cvtph_ps) }
    }
    #[inline(always)]
    unsafe fn wide_brains(p: *const u16) -> __m512 {
        // SAFETY: as the trait demands.
        unsafe {
            let bits = widen!(p, _mm256_loadu_si256, _mm512_cvtepu16_epi32);
            _mm512_castsi512_ps(_mm512_slli_epi32::<16>(bits))
        }
    }
    #[inline(always)]
    unsafe fn half_brains(p: *const u16) -> __m256 {
        // SAFETY: as the trait demands.
        unsafe {
            let bits = widen!(p, _mm_loadu_si128, _mm256_cvtepu16_epi32);
            _mm256_castsi256_ps(_mm256_slli_epi32::<16>(bits))
        }
    }
    #[inline(always)]
    unsafe fn wide_bytes(p: *const i8) -> __m512 {
        // SAFETY: as the trait demands.
        unsafe { _mm512_cvtepi32_ps(widen!(p, _mm_loadu_si128, _mm512_cvtepi8_epi32)) }
    }
    #[inline(always)]
    unsafe fn half_bytes(p: *const i8) -> __m256 {
        // SAFETY: as the trait demands.
        unsafe { _mm256_cvtepi32_ps(widen!(p, _mm_loadl_epi64, _mm256_cvtepi8_epi32)) }
    }
    /// Looks the number up: only the lowest four bits of an index count.
    #[inline(always)]
    unsafe fn wide_nibble<const AT: u32, const SIGNED: bool>(w: __m512i) -> __m512 {
        // SAFETY: as the trait demands.
        unsafe {
            let numbers = _mm512_setr_ps(
                0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 11.0, 12.0, 13.0, 14.0, 15.0,
            );
            let numbers = if SIGNED { _mm512_sub_ps(numbers, _mm512_set1_ps(8.0)) } else { numbers };
            _mm512_permutexvar_ps(_mm512_srli_epi32::<AT>(w), numbers)
        }
    }
    #[inline(always)]
    unsafe fn half_nibble<const AT: i32, const SIGNED: bool>(w: __m256i) -> __m256 {
        // SAFETY: as the trait demands.
        unsafe {
            let bits = _mm256_and_si256(_mm256_srli_epi32::<AT>(w), _mm256_set1_epi32(15));
            let bits = if SIGNED { _mm256_sub_epi32(bits, _mm256_set1_epi32(8)) } else { bits };
            _mm256_cvtepi32_ps(bits)
        }
    }
    lane!(
        Wide,
        16,
        _mm512_setzero_ps,
        _mm512_set1_ps,
        _mm512_loadu_ps,
        _mm512_storeu_ps,
        _mm512_fmadd_ps,
        __m512i,
        _mm512_loadu_si512,
        wide_halves,
        wide_brains,
        wide_bytes,
        wide_nibble
    );
    lane!(
        Half,
        8,
        _mm256_setzero_ps,
        _mm256_set1_ps,
        _mm256_loadu_ps,
        _mm256_storeu_ps,
        _mm256_fmadd_ps,
        __m256i,
        _mm256_loadu_si256,
        half_halves,
        half_brains,
        half_bytes,
        half_nibble
    );
}
