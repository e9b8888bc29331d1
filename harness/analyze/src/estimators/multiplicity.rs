//! Many claims at once.

/// Holm's step-down adjustment (1979): reject where the adjusted p is at most α, and the chance
/// of any false rejection is at most α, however the tests depend on one another.
pub fn holm(p_values: &[f64]) -> Vec<f64> {
    let count = p_values.len();
    let mut order: Vec<usize> = (0..count).collect();
    order.sort_by(|&a, &b| p_values[a].total_cmp(&p_values[b]));
    let mut adjusted = vec![1.0; count];
    let mut running: f64 = 0.0;
    for (place, &index) in order.iter().enumerate() {
        running = running.max((count - place) as f64 * p_values[index]).min(1.0);
        adjusted[index] = running;
    }
    adjusted
}

/// Holm's adjustment over all pairs of `count` things, sharpened by what cannot be true at once
/// (Shaffer 1986, S1): if some are unequal, then not every other pair can be equal. Valid however
/// the tests depend on one another. The order of the p-values does not matter.
///
/// Fewer things, or smaller p-values, never give a larger adjusted value.
pub fn shaffer(p_values: &[f64], count: usize) -> Vec<f64> {
    let possible = equal_pairs(count);
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|&a, &b| p_values[a].total_cmp(&p_values[b]));
    let mut adjusted = vec![1.0; p_values.len()];
    let mut running: f64 = 0.0;
    for (place, &index) in order.iter().enumerate() {
        let left = p_values.len() - place;
        // The most pairs that can be equal, of those not yet told apart.
        let at_once = possible[possible.partition_point(|&pairs| pairs <= left) - 1];
        running = running.max(at_once.max(1) as f64 * p_values[index]).min(1.0);
        adjusted[index] = running;
    }
    adjusted
}

/// How many pairs among `count` things can be equal, ascending: one number for each way to divide
/// them into groups of equals.
fn equal_pairs(count: usize) -> Vec<usize> {
    let pairs = |n: usize| n * n.saturating_sub(1) / 2;
    let words = pairs(count) / 64 + 1;
    // Bit b of `sets[n]`: n things can have b equal pairs.
    let mut sets = vec![vec![0_u64; words]; count + 1];
    sets[0][0] = 1;
    for n in 1..=count {
        let mut union = vec![0_u64; words];
        for group in 1..=n {
            let (by, rest) = (pairs(group), &sets[n - group]);
            let (whole, part) = (by / 64, by % 64);
            for word in whole..words {
                let low = rest[word - whole] << part;
                let carried =
                    if part > 0 && word > whole { rest[word - whole - 1] >> (64 - part) } else { 0 };
                union[word] |= low | carried;
            }
        }
        sets[n] = union;
    }
    (0..=pairs(count)).filter(|bit| sets[count][bit / 64] >> (bit % 64) & 1 == 1).collect()
}

/// The level each of `count` intervals needs so that all hold at once with `level` (Bonferroni).
///
/// Max-t bootstraps are narrower on paper and fail with few sessions; Šidák's gain is 1% of the
/// width and needs an independence that a shared baseline breaks.
pub fn simultaneous_level(level: f64, count: usize) -> f64 {
    1.0 - (1.0 - level) / count.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holm_agrees_with_r() {
        // R: p.adjust(c(0.01, 0.04, 0.03, 0.005), "holm") is 0.03 0.06 0.06 0.02;
        // the same by hand: sorted .005·4, .01·3, .03·2, max(.04·1, .06)
        let adjusted = holm(&[0.01, 0.04, 0.03, 0.005]);
        for (found, expected) in adjusted.iter().zip([0.03, 0.06, 0.06, 0.02]) {
            assert!((found - expected).abs() < 1e-12);
        }
        assert_eq!(holm(&[0.6, 0.7]), [1.0, 1.0]);
        assert_eq!(holm(&[]), Vec::<f64>::new());
    }

    #[test]
    fn pairs_that_can_be_equal_agree_with_shaffer() {
        // Shaffer 1986, table 1: the possible numbers of true hypotheses among 3, 4 and 5 means.
        assert_eq!(equal_pairs(3), [0, 1, 3]);
        assert_eq!(equal_pairs(4), [0, 1, 2, 3, 6]);
        assert_eq!(equal_pairs(5), [0, 1, 2, 3, 4, 6, 10]);
        assert_eq!((equal_pairs(0), equal_pairs(1)), (vec![0], vec![0]));
        assert_eq!(equal_pairs(257).last(), Some(&(257 * 256 / 2)));
    }

    #[test]
    fn shaffer_is_never_less_sharp_than_holm() {
        // By hand: multipliers 6, 3, 3, 3, 2, 1.
        let p = [0.001, 0.004, 0.012, 0.016, 0.02, 0.9];
        let adjusted = shaffer(&p, 4);
        for (found, expected) in adjusted.iter().zip([0.006, 0.012, 0.036, 0.048, 0.048, 0.9]) {
            assert!((found - expected).abs() < 1e-12, "{adjusted:?}");
        }
        assert!(adjusted.iter().zip(holm(&p)).all(|(sharp, plain)| *sharp <= plain));
        assert_eq!(shaffer(&[], 1), Vec::<f64>::new());
    }

    #[test]
    fn simultaneous_levels_share_the_error() {
        assert!((simultaneous_level(0.95, 20) - 0.9975).abs() < 1e-12);
        assert_eq!(simultaneous_level(0.95, 0), 0.95);
    }
}
