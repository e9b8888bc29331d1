//! Scales: from data to coordinates, with ticks at round numbers.

use crate::number;

/// Maps a range of data to a range of coordinates, linearly or by logarithm.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scale {
    low: f64,
    high: f64,
    from: f64,
    to: f64,
    log: bool,
}

/// What lies further from 1 than this factor is drawn at the end of a logarithmic scale.
const FURTHEST: f64 = 1e9;

impl Scale {
    /// A linear scale over `values` with a margin of `margin` of their range on both sides;
    /// what is not finite is left out, and an empty or single range is widened.
    pub(crate) fn linear(values: impl IntoIterator<Item = f64>, margin: f64, from: f64, to: f64) -> Self {
        let (low, high) = extent(values).unwrap_or((0.0, 1.0));
        let spread = if high > low { high - low } else { low.abs().max(1e-9) * 0.1 };
        let pad = if high > low { spread * margin } else { spread };
        Self { low: low - pad, high: high + pad, from, to, log: false }
    }

    /// The same by logarithm; what is not positive is left out.
    pub(crate) fn logarithmic(
        values: impl IntoIterator<Item = f64>,
        margin: f64,
        from: f64,
        to: f64,
    ) -> Self {
        let values = values.into_iter().filter(|v| *v > 0.0 && v.is_finite());
        let logs = values.map(|v| v.clamp(1.0 / FURTHEST, FURTHEST).ln());
        let (low, high) = extent(logs).unwrap_or((-0.1, 0.1));
        let pad = if high - low > 1e-6 { (high - low) * margin } else { 0.05 };
        Self { low: low - pad, high: high + pad, from, to, log: true }
    }

    /// The coordinate of `value`, held inside the scale.
    pub(crate) fn at(&self, value: f64) -> f64 {
        let value = if self.log { value.max(f64::MIN_POSITIVE).ln() } else { value };
        let share = ((value - self.low) / (self.high - self.low)).clamp(0.0, 1.0);
        self.from + share * (self.to - self.from)
    }

    /// Whether `value` lies inside the scale.
    pub(crate) fn holds(&self, value: f64) -> bool {
        let value = if self.log { value.max(f64::MIN_POSITIVE).ln() } else { value };
        value.is_finite() && value >= self.low && value <= self.high
    }

    /// Round values inside the scale, about `wanted` of them, with their labels.
    pub(crate) fn ticks(&self, wanted: usize) -> Vec<(f64, String)> {
        let (low, high) = if self.log { (self.low.exp(), self.high.exp()) } else { (self.low, self.high) };
        if self.log && high / low > 4.0 {
            return octaves(low, high, 2 * wanted.max(1));
        }
        let step = nice_step((high - low) / wanted.max(1) as f64);
        let decimals = (-step.log10().floor()).clamp(0.0, 9.0) as usize;
        let first = (low / step - 1e-9).ceil() as i64;
        let last = (high / step + 1e-9).floor() as i64;
        (first..=last.min(first + 100))
            .map(|multiple| {
                let value = multiple as f64 * step;
                (value, number::fixed(value, decimals))
            })
            .collect()
    }
}

/// 1, 2, 5 of every decade; where those are fewer than four, more; where they are more than `most`, whole decades.
fn octaves(low: f64, high: f64, most: usize) -> Vec<(f64, String)> {
    let decades = low.log10().floor() as i32..=high.log10().ceil() as i32;
    let ticks = |digits: &[f64], every: usize| -> Vec<(f64, String)> {
        let values = decades.clone().step_by(every);
        values
            .flat_map(|decade| digits.iter().map(move |digit| (*digit, digit * 10f64.powi(decade))))
            .filter(|(_, value)| *value >= low * (1.0 - 1e-9) && *value <= high * (1.0 + 1e-9))
            .map(|(digit, value)| (value, number::significant(value, 1 + usize::from(digit.fract() > 0.0))))
            .collect()
    };
    let some = ticks(&[1.0, 2.0, 5.0], 1);
    match some.len() {
        0..4 => ticks(&[1.0, 1.5, 2.0, 3.0, 5.0, 7.0], 1),
        n if n <= most => some,
        n => ticks(&[1.0], n.div_ceil(3 * most)),
    }
}

/// Smallest and largest finite value.
pub(crate) fn extent(values: impl IntoIterator<Item = f64>) -> Option<(f64, f64)> {
    values.into_iter().filter(|v| v.is_finite()).fold(None, |range, value| match range {
        None => Some((value, value)),
        Some((low, high)) => Some((value.min(low), value.max(high))),
    })
}

/// The smallest of 1, 2, 5 times a power of ten that is at least `step`.
fn nice_step(step: f64) -> f64 {
    if !(step.is_finite() && step > 0.0) {
        return 1.0;
    }
    let power = 10f64.powi(step.log10().floor() as i32);
    let digit = step / power;
    let nice = [1.0, 2.0, 5.0, 10.0].into_iter().find(|n| digit <= n + 1e-9).unwrap_or(10.0);
    nice * power
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(scale: &Scale, wanted: usize) -> Vec<String> {
        scale.ticks(wanted).into_iter().map(|(_, label)| label).collect()
    }

    #[test]
    fn ticks_are_round() {
        let scale = Scale::linear([0.0, 1.0], 0.0, 0.0, 100.0);
        assert_eq!(labels(&scale, 5), ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
        assert_eq!(scale.at(0.25), 25.0);
        let scale = Scale::logarithmic([0.5, 20.0], 0.0, 0.0, 1.0);
        assert_eq!(labels(&scale, 5), ["0.5", "1", "2", "5", "10", "20"]);
        let scale = Scale::logarithmic([0.8, 3.7], 0.0, 0.0, 1.0);
        assert_eq!(labels(&scale, 5), ["1", "1.5", "2", "3"]);
        let scale = Scale::logarithmic([0.95, 1.25], 0.0, 0.0, 1.0);
        assert_eq!(labels(&scale, 6), ["0.95", "1.00", "1.05", "1.10", "1.15", "1.20", "1.25"]);
    }

    #[test]
    fn nothing_and_nonsense_still_give_a_scale() {
        for scale in [
            Scale::linear([], 0.1, 0.0, 10.0),
            Scale::linear([f64::NAN, f64::INFINITY], 0.1, 0.0, 10.0),
            Scale::linear([0.0, 0.0], 0.1, 0.0, 10.0),
            Scale::logarithmic([-1.0, 0.0], 0.1, 0.0, 10.0),
            Scale::logarithmic([1e-320, 1.2, f64::MAX, f64::INFINITY], 0.1, 0.0, 10.0),
            Scale::logarithmic([1e-7, 1.0, 3e7], 0.1, 0.0, 10.0),
        ] {
            assert!(scale.at(0.5).is_finite());
            assert!((1..20).contains(&scale.ticks(5).len()), "{:?}", scale.ticks(5));
        }
    }
}
