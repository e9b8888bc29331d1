//! How far a model's probabilities lie from the baseline's, of which all are known, when it lists but the most likely.

use edgemaxx_contract::task::text::Scored;

/// The least that what is left for unlisted tokens is taken for, and the least of a sum: what is said is rounded to single
/// precision, and may sum to 1.
const LEAST_REST: f64 = 1e-6;

/// The least divergence of Kullback and Leibler, in nats, from the softmax of `logits` to any distribution that has such a
/// list: its tokens are as likely as it says, and no other is more likely than the last of them.
///
/// Listed tokens are known. What they leave is shared by the others as far as this bound allows in proportion to what they are
/// to the baseline, which is the share that diverges least.
pub(super) fn least_divergence(logits: &[f32], list: &[Scored]) -> f64 {
    let top = logits.iter().fold(f32::NEG_INFINITY, |top, logit| top.max(*logit));
    let mut rest: Vec<f64> = logits.iter().map(|logit| (f64::from(*logit) - f64::from(top)).exp()).collect();
    let sum: f64 = rest.iter().sum();
    rest.iter_mut().for_each(|weight| *weight /= sum);
    let (mut found, mut left, mut bound) = (0.0, 1.0, 1.0);
    for &(token, likely) in list {
        let likely = f64::from(likely);
        (left, bound) = (left - likely.exp(), likely);
        let Some(own) = rest.get_mut(token as usize).map(std::mem::take) else { continue };
        if own > 0.0 {
            found += own * (own.ln() - likely);
        }
    }
    (found + least_of_rest(rest, left.max(LEAST_REST), bound)).max(0.0)
}

/// The same of the tokens that are not listed: `left` is what they share, and the logarithm of none is above `bound`.
fn least_of_rest(mut rest: Vec<f64>, mut left: f64, bound: f64) -> f64 {
    rest.retain(|own| *own > 0.0);
    rest.sort_unstable_by(|a, b| b.total_cmp(a));
    let mut own_left: f64 = rest.iter().rev().sum();
    let mut found = 0.0;
    for own in rest {
        // In proportion, this one and so all that follow would be within the bound.
        if (own / own_left * left).ln() <= bound {
            return found + own_left * (own_left / left).ln();
        }
        found += own * (own.ln() - bound);
        own_left -= own;
        left = (left - bound.exp()).max(LEAST_REST);
    }
    found
}

#[cfg(test)]
mod tests {
    use edgemaxx_contract::task::text::Scores;

    use super::*;

    /// Of two whole distributions.
    fn divergence(p: &[f32], q: &[f32]) -> f64 {
        least_divergence(p, &Scores::of_logits(q, u32::MAX))
    }

    fn logits(seed: u32, count: usize, scale: f32) -> Vec<f32> {
        let mut state = seed;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 24) as f32
        };
        (0..count).map(|_| (next() + next() + next() - 1.5) * scale).collect()
    }

    #[test]
    fn of_whole_distributions_it_is_the_definition() {
        let (p, q) = ([0.5f32, 0.25, 0.25].map(f32::ln), [0.25f32, 0.25, 0.5].map(f32::ln));
        let expected = 0.5 * 2f64.ln() - 0.25 * 2f64.ln();
        assert!((divergence(&p, &q) - expected).abs() < 1e-6);
        assert!(divergence(&p, &p).abs() < 1e-6);
    }

    #[test]
    fn a_list_says_at_most_what_the_whole_says_and_little_less() {
        for seed in 0..50 {
            let p = logits(seed, 500, 6.0);
            let q: Vec<f32> = p.iter().zip(logits(seed + 1000, 500, 0.5)).map(|(p, e)| p + e).collect();
            let whole = divergence(&p, &q);
            let listed = least_divergence(&p, &Scores::of_logits(&q, 64));
            assert!(listed <= whole + 1e-9 && listed > whole * 0.5, "{listed} of {whole}");
            let same = least_divergence(&p, &Scores::of_logits(&p, 64));
            assert!(same < 1e-6, "{same}");
        }
    }

    /// Unlisted tokens have no more than the last that is listed: who lists what is unlikely says that all else is.
    #[test]
    fn who_lists_other_tokens_gains_nothing() {
        let p = logits(7, 500, 6.0);
        let honest = Scores::of_logits(&p, 500);
        // The least likely tokens with their own probabilities, which differ in nothing.
        let last: Vec<Scored> = honest[436..].to_vec();
        assert!(least_divergence(&p, &last) > 1.0);
        // Nor does it pay to leave the likeliest one out.
        assert!(least_divergence(&p, &honest[1..65]) > 0.01);
        // Equal shares of everything for 64 tokens, whichever they are.
        let even: Vec<Scored> = honest[..64].iter().map(|(id, _)| (*id, (1f32 / 64.0).ln())).collect();
        assert!(least_divergence(&p, &even) > 0.1);
    }

    #[test]
    fn what_is_certain_and_wrong_is_finite() {
        let (p, sure) = (logits(3, 100, 6.0), [(5, 0.0), (6, -200.0)]);
        let found = least_divergence(&p, &sure);
        assert!(found.is_finite() && found > 5.0, "{found}");
        assert!(least_divergence(&[0.0, -f32::MAX], &[(0, 0.0), (1, f32::MIN)]) < 1e-6);
        assert!(least_divergence(&p, &[(5000, -0.1)]).is_finite(), "one that the baseline does not know");
    }
}
