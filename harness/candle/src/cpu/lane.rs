//! A vector register as a trait, so that one kernel text serves every instruction set.
//!
//! Every lane computes a fused multiply-add of its own output element in the same order, so the bits of a result do not
//! depend on the width of the registers.

/// A register of f32 lanes.
///
/// # Safety
/// The methods may be called only where the CPU has the instructions, and pointers must be valid for `N` values.
pub(super) unsafe trait Lane: Copy {
    /// Lanes.
    const N: usize;
    unsafe fn zero() -> Self;
    unsafe fn splat(x: f32) -> Self;
    unsafe fn load(p: *const f32) -> Self;
    unsafe fn store(self, p: *mut f32);
    /// a·b + self
    unsafe fn fma(self, a: Self, b: Self) -> Self;
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
        ($name:ident, $n:literal, $zero:ident, $splat:ident, $load:ident, $store:ident, $fma:ident) => {
            // SAFETY: only called from functions compiled for these instructions, see `kernel`.
            unsafe impl Lane for $name {
                const N: usize = $n;
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
                fn prefetch(p: *const f32) {
                    // SAFETY: a hint; nothing is read.
                    unsafe { _mm_prefetch::<_MM_HINT_T0>(p.cast()) }
                }
            }
        };
    }
    lane!(Wide, 16, _mm512_setzero_ps, _mm512_set1_ps, _mm512_loadu_ps, _mm512_storeu_ps, _mm512_fmadd_ps);
    lane!(Half, 8, _mm256_setzero_ps, _mm256_set1_ps, _mm256_loadu_ps, _mm256_storeu_ps, _mm256_fmadd_ps);
}
