//! Max-upscaling to u16 exactly as the official SDK does it (`bittensor.intents.weights.normalize`, 11.3):
//! `round(w / max · 65535)`, half to even, zeros dropped.

/// Weights that cannot be set.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum WeightsError {
    /// Not a finite number of at least zero.
    #[error("weight of uid {uid} is {value}: expected a finite number of at least 0")]
    Value {
        /// Whose.
        uid: u16,
        /// The number.
        value: f64,
    },
    /// A uid named twice.
    #[error("uid {0} is named twice; each may have one weight")]
    Duplicate(u16),
    /// A hotkey named twice.
    #[error("hotkey {0} is named twice; each may have one weight")]
    DuplicateHotkey(edgemaxx_seal::AccountId),
    /// Nothing to set.
    #[error("all weights are zero: there is nothing to set; the chain keeps the former weights")]
    AllZero,
}

/// Scale so that the largest weight is 65535, round half to even, drop zeros. The order is kept.
///
/// # Errors
/// Negative or non-finite values, duplicates, nothing above zero.
pub fn normalize(weights: &[(u16, f64)]) -> Result<Vec<(u16, u16)>, WeightsError> {
    let mut seen = std::collections::BTreeSet::new();
    for &(uid, value) in weights {
        if !value.is_finite() || value < 0.0 {
            return Err(WeightsError::Value { uid, value });
        }
        if !seen.insert(uid) {
            return Err(WeightsError::Duplicate(uid));
        }
    }
    let top = weights.iter().fold(0.0, |top: f64, &(_, w)| top.max(w));
    if top == 0.0 {
        return Err(WeightsError::AllZero);
    }
    Ok(weights
        .iter()
        // At most 65535, because w ≤ top; the cast cannot saturate.
        .map(|&(uid, w)| (uid, (w / top * 65535.0).round_ties_even() as u16))
        .filter(|&(_, value)| value != 0)
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use sha2::{Digest, Sha256};

    #[test]
    fn the_example_of_the_sdk() {
        // bittensor 11.3: normalize([0, 1, 2, 3], [.1, .2, 0, .7]) == ([0, 1, 3], [9362, 18724, 65535])
        let given = [(0, 0.1), (1, 0.2), (2, 0.0), (3, 0.7)];
        assert_eq!(normalize(&given).unwrap(), [(0, 9362), (1, 18724), (3, 65535)]);
    }

    #[test]
    fn what_the_sdk_refuses_is_refused() {
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1e-300] {
            assert!(matches!(normalize(&[(1, 1.0), (2, value)]), Err(WeightsError::Value { uid: 2, .. })));
        }
        assert_eq!(normalize(&[(4, 1.0), (4, 1.0)]), Err(WeightsError::Duplicate(4)));
        assert_eq!(normalize(&[(4, 0.0), (0, 0.0)]), Err(WeightsError::AllZero));
        assert_eq!(normalize(&[]), Err(WeightsError::AllZero));
    }

    #[test]
    fn uid_zero_is_a_uid_and_the_smallest_float_scales() {
        assert_eq!(normalize(&[(0, f64::from_bits(1))]).unwrap(), [(0, 65535)]);
    }

    /// SplitMix64, so that Python can draw the same vectors.
    struct Draw(u64);
    impl Draw {
        fn next(&mut self) -> u64 {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = self.0;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^ (z >> 31)
        }
    }

    #[test]
    fn ten_thousand_vectors_normalise_as_in_the_sdk() {
        // Digest over `uid,value;` of all results of bittensor 11.3's `normalize`,
        // drawn and written by scripts/chain-sdk-vectors.py with the same generator.
        let mut draw = Draw(39);
        let mut hash = Sha256::new();
        for _ in 0..10_000 {
            let n = draw.next() % 64 + 1;
            let mut weights = Vec::new();
            for uid in 0..n as u16 {
                let kind = draw.next() % 8;
                let bits = draw.next();
                let unit = (bits >> 11) as f64 / (1u64 << 53) as f64;
                weights.push((
                    uid,
                    match kind {
                        0 => 0.0,
                        1 => unit / 65536.0,
                        // Half-way cases once the largest is 1.
                        2 => (2 * (bits % 65535) + 1) as f64 / 131_070.0,
                        3 => 1.0,
                        _ => unit,
                    },
                ));
            }
            for (uid, value) in normalize(&weights).unwrap_or_default() {
                hash.update(format!("{uid},{value};"));
            }
            hash.update("\n");
        }
        let hex: String = hash.finalize().iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(hex, "0285298f1c92b8dea4333220c32f28f557164d1ae73273cb5cefe7805c7f535a");
    }
}
