//! What a run of this size and noise could have found: the smallest detectable difference (noncentral t).

use statrs::distribution::{ContinuousCDF, Normal};
use statrs::function::gamma::ln_gamma;

use crate::estimators::student;

/// The power at which it is said what could have been found, and how many more sessions would find it.
pub const POWER: f64 = 0.8;

/// The power of the two-sided t test at `alpha` when the true effect is `ncp` standard errors:
/// P(|T| > critical), T noncentral with `freedom` degrees of freedom (at least 1).
///
/// T = (Z + ncp) / U with U = √(χ²/freedom); the integral over U by Simpson's rule.
pub fn power(ncp: f64, freedom: f64, alpha: f64) -> f64 {
    let critical = student::critical(alpha, freedom);
    let normal = Normal::standard();
    // ln of the density of U at u, without the part that depends on u
    let constant = std::f64::consts::LN_2 + freedom / 2.0 * (freedom / 2.0).ln() - ln_gamma(freedom / 2.0);
    let density = |u: f64| {
        if u == 0.0 {
            // Only one degree of freedom has mass density at zero.
            return if freedom == 1.0 { constant.exp() } else { 0.0 };
        }
        (constant + (freedom - 1.0) * u.ln() - freedom * u * u / 2.0).exp()
    };
    let integrand = |u: f64| density(u) * (normal.cdf(ncp - critical * u) + normal.cdf(-ncp - critical * u));
    // U is within 1 ± 12/√(2·freedom) but for less than 1e-20.
    let reach = 12.0 / (2.0 * freedom).sqrt();
    let (from, to) = ((1.0 - reach).max(0.0), 1.0 + reach);
    const STEPS: usize = 4000;
    let step = (to - from) / STEPS as f64;
    let sum: f64 = (0..=STEPS)
        .map(|i| {
            let weight = if i == 0 || i == STEPS { 1.0 } else { 2.0 + 2.0 * (i % 2) as f64 };
            weight * integrand(from + step * i as f64)
        })
        .sum();
    (sum * step / 3.0).min(1.0)
}

/// The smallest effect, in standard errors, that the two-sided t test at `alpha` finds with [`POWER`].
pub fn detectable_effect(freedom: f64, alpha: f64) -> f64 {
    let (mut low, mut high) = (0.0, 1.0);
    while power(high, freedom, alpha) < POWER && high < 1e6 {
        high *= 2.0;
    }
    for _ in 0..60 {
        let middle = (low + high) / 2.0;
        if power(middle, freedom, alpha) < POWER { low = middle } else { high = middle }
    }
    high
}

/// The smallest relative change of latency that t on so many session means of such spread finds with [`POWER`].
pub(crate) fn detectable_change(session_means: &[f64], level: f64) -> Option<f64> {
    let (_, error) = student::mean_and_error(session_means)?;
    let freedom = (session_means.len() - 1) as f64;
    Some((detectable_effect(freedom, 1.0 - level) * error).exp_m1())
}

/// How far beyond the end of its interval, in standard errors, a value is found with [`POWER`]: as much of the spread as
/// leaves one case of five beyond.
pub(crate) fn beyond_the_interval(freedom: f64) -> f64 {
    student::one_sided_critical(1.0 - POWER, freedom)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_scipy() {
        // scipy 1.17.1: c = t.isf(a/2, df); nct.sf(c, df, d) + nct.cdf(-c, df, d)
        for (ncp, freedom, alpha, expected) in [
            (1.0, 1.0, 0.05, 0.07298889446966995),
            (3.0, 1.0, 0.05, 0.1861320616065874),
            (5.0, 1.0, 0.05, 0.3051601027351557),
            (1.0, 4.0, 0.05, 0.12224915207331252),
            (3.0, 4.0, 0.05, 0.6192614594023302),
            (5.0, 4.0, 0.05, 0.9548372641204012),
            (1.0, 7.0, 0.05, 0.1398995135182556),
            (3.0, 7.0, 0.05, 0.7306301093780352),
            (5.0, 7.0, 0.05, 0.9887191462968025),
            (1.0, 19.0, 0.05, 0.15808775160634658),
            (3.0, 19.0, 0.05, 0.8120653802930412),
            (5.0, 19.0, 0.05, 0.9972347021255503),
            (1.0, 7.0, 0.0025, 0.011002312986118512),
            (3.0, 7.0, 0.0025, 0.18104623449227122),
            (5.0, 7.0, 0.0025, 0.648072752768591),
        ] {
            let found = power(ncp, freedom, alpha);
            assert!((found - expected).abs() < 1e-9, "{found} {expected}");
        }
    }

    #[test]
    fn detectable_effect_inverts_power() {
        // scipy 1.17.1: brentq(lambda d: power(d) - .8, .1, 50)
        for (freedom, alpha, expected) in [
            (4.0, 0.05, 3.7610595538250196),
            (7.0, 0.05, 3.2697598403875334),
            (19.0, 0.05, 2.953584869819051),
            (7.0, 0.0025, 5.743079930264422),
        ] {
            let found = detectable_effect(freedom, alpha);
            assert!((found / expected - 1.0).abs() < 1e-8, "{found} {expected}");
        }
    }
}
