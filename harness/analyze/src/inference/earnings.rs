//! What candidates earn, compared directly: gain × quality factor, both as estimated.
//!
//! Two candidates earn the same where (s₁ − 1)·q₁ = (s₂ − 1)·q₂, with speedups s and quality
//! factors q. That is tested on the scale on which speeds are: by which factor could the first be
//! slower and still earn as much as the second? ln s₁ − ln(1 + (s₂ − 1)·q₂/q₁), whose spread
//! follows from the sessions' by linearisation. With equal factors it is ln s₁ − ln s₂, the very
//! comparison of their speeds, so that nobody is ahead in one table and tied in the other.

use super::pairwise::{Difference, Rounds};
use crate::estimators::student;

/// How similarity becomes the quality factor, ((similarity − gate) / (1 − gate))^exponent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct QualityFactor {
    /// The similarity at which it is 0.
    pub gate: f64,
    /// 0: quality does not enter, and need not be known.
    pub exponent: f64,
}

impl QualityFactor {
    /// The factor, in [0, 1].
    pub fn at(&self, similarity: f64) -> f64 {
        if self.exponent == 0.0 {
            return 1.0;
        }
        ((similarity - self.gate) / (1.0 - self.gate)).clamp(0.0, 1.0).powf(self.exponent)
    }

    /// The derivative of its logarithm; infinite at the gate and below.
    fn slope(&self, similarity: f64) -> f64 {
        if self.exponent == 0.0 {
            return 0.0;
        }
        self.exponent / (similarity.min(1.0) - self.gate).max(0.0)
    }
}

/// The evidence of what one candidate earns, session by session.
#[derive(Debug, Clone, PartialEq)]
pub struct Earner {
    /// Its rounds, ascending.
    pub rounds: Vec<u32>,
    /// ln speedup in each of them.
    pub speeds: Vec<f64>,
    /// Similarity in each of them; empty where quality does not enter.
    pub similarities: Vec<f64>,
}

impl Earner {
    /// What it earns, as estimated; 0 where it gains nothing.
    pub fn estimate(&self, factor: QualityFactor) -> f64 {
        let similarity = if self.similarities.is_empty() { 1.0 } else { student::mean(&self.similarities) };
        let gain = student::mean(&self.speeds).exp_m1().max(0.0);
        gain * factor.at(similarity)
    }
}

/// By how much `first` falls behind `margin` times what `second` earns: negative if it is ahead.
/// The p-value is that of "neither is ahead".
pub fn compare_earnings(first: &Earner, second: &Earner, factor: QualityFactor, margin: f64) -> Difference {
    let rounds = Rounds::of(&first.rounds, &second.rounds);
    let speed = [rounds.first(&first.speeds), rounds.second(&second.speeds)];
    let likeness = if factor.exponent == 0.0 {
        [Vec::new(), Vec::new()]
    } else {
        [rounds.first(&first.similarities), rounds.second(&second.similarities)]
    };
    let mean_speed = speed.each_ref().map(|values| student::mean(values));
    let mean_likeness =
        likeness.each_ref().map(|values| if values.is_empty() { 1.0 } else { student::mean(values) });
    let q = mean_likeness.map(|similarity| factor.at(similarity));
    // What the second earns, as a gain of the first; nothing gained is nothing to catch up with.
    let asked = margin * (q[1] / q[0]) * mean_speed[1].exp_m1().max(0.0);
    // At the gate nothing can be told, as the slope of the factor is infinite there.
    let slopes = mean_likeness.map(|similarity| factor.slope(similarity));
    if !asked.is_finite() || mean_speed[1] <= 0.0 || slopes.iter().any(|slope| !slope.is_finite()) {
        return Difference { point: 0.0, p_value: 1.0, rounds: speed[0].len().min(speed[1].len()) };
    }
    let lead = mean_speed[0] - asked.ln_1p();
    // d ln(1 + asked) = share · d ln(asked)
    let share = asked / (1.0 + asked);
    let per_speed = [1.0, share / -(-mean_speed[1]).exp_m1()];
    let spread = |side: usize| {
        let mut values: Vec<f64> =
            speed[side].iter().map(|value| per_speed[side] * (value - mean_speed[side])).collect();
        for (value, similarity) in values.iter_mut().zip(&likeness[side]) {
            *value += share * slopes[side] * (similarity - mean_likeness[side]);
        }
        values
    };
    let ahead: Vec<f64> = spread(0).into_iter().map(|value| -lead - value).collect();
    let behind: Vec<f64> = spread(1).into_iter().map(|value| -value).collect();
    rounds.difference(&ahead, &behind)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inference::pairwise::{Series, compare};
    use crate::random::Seed;

    const QUARTER: QualityFactor = QualityFactor { gate: 0.75, exponent: 0.25 };

    fn earner(speed: f64, similarity: f64, sessions: u32, path: u64) -> Earner {
        let mut stream = Seed::of("earner").stream(path);
        let mut around = |mean: f64, sd: f64| (0..sessions).map(|_| mean + sd * stream.normal()).collect();
        Earner {
            rounds: (0..sessions).collect(),
            speeds: around(speed.ln(), 0.02),
            similarities: around(similarity, 0.01),
        }
    }

    #[test]
    fn a_factor_its_slope_and_what_is_earned_are_those_of_the_formula() {
        let root = QualityFactor { gate: 0.75, exponent: 0.5 };
        // (1/16) / (1/4) is a quarter, and its root a half; above 1 nothing is better than 1.
        assert_eq!([root.at(0.8125), root.at(1.5), root.at(0.75), root.at(0.5)], [0.5, 1.0, 0.0, 0.0]);
        assert_eq!([root.slope(0.8125), root.slope(1.5), root.slope(0.75)], [8.0, 2.0, f64::INFINITY]);
        let speeds = vec![2_f64.ln(), 4.5_f64.ln()];
        let earner = Earner { rounds: vec![0, 1], speeds, similarities: vec![0.75, 0.875] };
        assert!((earner.estimate(root) - 1.0).abs() < 1e-12, "three times as fast, and half of it counts");
    }

    #[test]
    fn with_equal_quality_earnings_are_compared_as_speeds_are() {
        for exponent in [0.0, 0.25] {
            let (mut a, mut b) = (earner(2.0, 0.9, 6, 0), earner(1.8, 0.9, 8, 1));
            a.similarities = vec![0.9; 6];
            b.similarities = vec![0.9; 8];
            let series = |of: &Earner| Series {
                keys: of.rounds.clone(),
                means: of.speeds.iter().map(|speed| -speed).collect(),
                blur: 0.0,
            };
            let factor = QualityFactor { gate: 0.75, exponent };
            let (found, speeds) = (compare_earnings(&a, &b, factor, 1.0), compare(&series(&a), &series(&b)));
            assert!((found.point - speeds.point).abs() < 1e-12, "{found:?} {speeds:?}");
            assert!((found.p_value / speeds.p_value - 1.0).abs() < 1e-9, "{found:?} {speeds:?}");
        }
    }

    /// What a session adds to the lead is what the lead changes by with the session's values, found by small steps.
    #[test]
    fn each_session_counts_as_the_lead_changes_with_it() {
        let (first, second) = (earner(2.0, 0.9, 6, 8), earner(1.9, 0.86, 6, 9));
        let margin = 1.1;
        let lead = |speed: [f64; 2], likeness: [f64; 2]| {
            let factors = QUARTER.at(likeness[1]) / QUARTER.at(likeness[0]);
            speed[0] - (margin * factors * speed[1].exp_m1()).ln_1p()
        };
        let of = [&first, &second];
        let speed = of.map(|of| student::mean(&of.speeds));
        let likeness = of.map(|of| student::mean(&of.similarities));
        let whole = lead(speed, likeness);
        let step = 1e-6;
        let moved = |mut of: [f64; 2], side: usize| {
            of[side] += step;
            of
        };
        let adds = |side: usize| -> Vec<f64> {
            let by_speed = (lead(moved(speed, side), likeness) - whole) / step;
            let by_likeness = (lead(speed, moved(likeness, side)) - whole) / step;
            let values = of[side].speeds.iter().zip(&of[side].similarities);
            values.map(|(s, l)| by_speed * (s - speed[side]) + by_likeness * (l - likeness[side])).collect()
        };
        let series = |means: Vec<f64>| Series { keys: first.rounds.clone(), means, blur: 0.0 };
        let ahead = adds(0).into_iter().map(|value| -whole - value).collect();
        let expected = compare(&series(ahead), &series(adds(1)));
        let found = compare_earnings(&first, &second, QUARTER, margin);
        assert!((found.point / expected.point - 1.0).abs() < 1e-6, "{found:?} {expected:?}");
        assert!((found.p_value / expected.p_value - 1.0).abs() < 1e-3, "{found:?} {expected:?}");
        assert!((1e-9..0.9).contains(&found.p_value), "{found:?}");
    }

    #[test]
    fn quality_outweighs_speed_where_it_earns_more() {
        // (2 − 1)·1 against (2.1 − 1)·(.05/.25)^.25 = .736: 1.1 times as fast, and a quarter less.
        let (a, b) = (earner(2.0, 0.999, 8, 2), earner(2.1, 0.80, 8, 3));
        let found = compare_earnings(&a, &b, QUARTER, 1.0);
        assert!(found.point < -0.1 && found.p_value < 0.01, "{found:?}");
        assert!(compare_earnings(&b, &a, QUARTER, 1.0).point > 0.1);
        // A third more is not proven: .736·1.5 = 1.1 is more than 1.
        assert!(compare_earnings(&a, &b, QUARTER, 1.5).point > 0.0);
    }

    #[test]
    fn false_leads_are_as_rare_as_promised() {
        // Equal earnings, made differently: 1.5×, similarity 1 − .0586, and 1.6× with less.
        let q = |similarity: f64| QUARTER.at(similarity);
        let less = 0.75 + 0.25 * (0.5 * q(0.94) / 0.6).powi(4);
        let wrong = (0..4000).filter(|path| {
            let (a, b) = (earner(1.5, 0.94, 6, 2 * path), earner(1.6, less, 6, 2 * path + 1));
            compare_earnings(&a, &b, QUARTER, 1.0).p_value <= 0.05
        });
        let wrong = wrong.count();
        assert!(wrong <= 248, "{wrong} of 4000: 5% is 200, and 3.5 errors 48");
    }

    #[test]
    fn what_is_at_the_gate_cannot_be_told() {
        let (mut a, b) = (earner(2.0, 0.9, 5, 4), earner(1.5, 0.9, 5, 5));
        a.similarities = vec![0.74, 0.76, 0.75, 0.7, 0.72];
        let nothing = Difference { point: 0.0, p_value: 1.0, rounds: 5 };
        assert_eq!(compare_earnings(&a, &b, QUARTER, 1.0), nothing);
        assert_eq!(compare_earnings(&b, &a, QUARTER, 1.0), nothing);
        assert_eq!(a.estimate(QUARTER), 0.0);
        // Nor what is no number.
        a.similarities = vec![f64::NAN; 5];
        assert_eq!(compare_earnings(&b, &a, QUARTER, 1.0), nothing);
    }
}
