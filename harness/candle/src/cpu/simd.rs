//! Choice of the instruction set at run time.

/// What the CPU offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Isa {
    /// AVX-512 F, VL, BW, DQ.
    #[cfg(target_arch = "x86_64")]
    Avx512,
    /// AVX2, FMA and F16C, which every processor with AVX2 has.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// What the compiler's target has.
    Plain,
}

impl Isa {
    /// The best set of this machine; the standard library caches the detection.
    #[inline]
    pub(crate) fn best() -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512vl")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512dq")
            {
                return Self::Avx512;
            }
            if is_x86_feature_detected!("avx2")
                && is_x86_feature_detected!("fma")
                && is_x86_feature_detected!("f16c")
            {
                return Self::Avx2;
            }
        }
        Self::Plain
    }
}

/// Defines a function whose body (an inlined closure over its arguments) is compiled once per instruction set and
/// chosen by the machine: loops in it become vector code.
macro_rules! vectorized {
    ($(#[$meta:meta])* $vis:vis fn $name:ident($($arg:ident: $ty:ty),* $(,)?) $(-> $ret:ty)? = $body:expr) => {
        $(#[$meta])*
        $vis fn $name($($arg: $ty),*) $(-> $ret)? {
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,avx512vl,avx512bw,avx512dq,fma")]
            unsafe fn wide($($arg: $ty),*) $(-> $ret)? {
                $body($($arg),*)
            }
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma")]
            unsafe fn half($($arg: $ty),*) $(-> $ret)? {
                $body($($arg),*)
            }
            match $crate::cpu::simd::Isa::best() {
                // SAFETY: the machine has the instructions, as just found out.
                #[cfg(target_arch = "x86_64")]
                $crate::cpu::simd::Isa::Avx512 => unsafe { wide($($arg),*) },
                // SAFETY: as above.
                #[cfg(target_arch = "x86_64")]
                $crate::cpu::simd::Isa::Avx2 => unsafe { half($($arg),*) },
                $crate::cpu::simd::Isa::Plain => $body($($arg),*),
            }
        }
    };
}
pub(crate) use vectorized;
