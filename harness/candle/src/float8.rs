//! Floating-point numbers of 8 bits, as PyTorch reads them.

use half::f16;

/// `torch.float8_e4m3fn`: four bits of exponent with bias 7, no infinity; the largest code of either sign is no number
/// (Micikevicius et al. 2022, table 1).
pub(crate) fn e4m3(byte: u8) -> f32 {
    let (exponent, mantissa) = (i32::from(byte >> 3 & 0xf), f32::from(byte & 7));
    let magnitude = match (exponent, byte & 7) {
        (0xf, 7) => f32::NAN,
        (0, _) => mantissa / 8.0 * 2f32.powi(-6),
        _ => (1.0 + mantissa / 8.0) * 2f32.powi(exponent - 7),
    };
    if byte & 0x80 == 0 { magnitude } else { -magnitude }
}

/// `torch.float8_e5m2`: the upper byte of a half-precision number.
pub(crate) fn e5m2(byte: u8) -> f32 {
    f16::from_bits(u16::from(byte) << 8).to_f32()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By `torch.tensor([…], dtype=torch.uint8).view(torch.float8_e4m3fn).float()` and `float8_e5m2`.
    #[test]
    fn equal_pytorch() {
        let cases = [
            (0x00, 0.0, 0.0),
            (0x01, 0.001_953_125, 1.525_878_9e-5),
            (0x07, 0.013_671_875, 0.000_106_811_52),
            (0x08, 0.015_625, 0.000_122_070_31),
            (0x38, 1.0, 0.5),
            (0x3b, 1.375, 0.875),
            (0x7b, 352.0, 57_344.0),
            (0xc5, -3.25, -5.0),
        ];
        for (byte, four, five) in cases {
            assert_eq!((e4m3(byte), e5m2(byte)), (four, five), "{byte:#x}");
        }
        assert_eq!(e4m3(0x7e), 448.0);
        assert!(e4m3(0x7f).is_nan() && e4m3(0xff).is_nan() && e5m2(0x7d).is_nan());
        assert_eq!(e5m2(0xfc), f32::NEG_INFINITY);
    }
}
