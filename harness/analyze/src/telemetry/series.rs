//! Values over time, and what lies between two moments.

/// Readings in order of time: (nanoseconds, value).
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Series(Vec<(u64, f64)>);

impl Series {
    /// Readings that are not in order of time are left out.
    pub(super) fn of(readings: impl Iterator<Item = (u64, f64)>) -> Self {
        let mut values: Vec<(u64, f64)> = Vec::new();
        for (at, value) in readings {
            if values.last().is_none_or(|(last, _)| *last < at) {
                values.push((at, value));
            }
        }
        Self(values)
    }

    /// The readings from `from` to `to`, both included.
    pub(super) fn within(&self, from: u64, to: u64) -> &[(u64, f64)] {
        let start = self.0.partition_point(|(at, _)| *at < from);
        let end = self.0.partition_point(|(at, _)| *at <= to);
        self.0.get(start..end).unwrap_or_default()
    }

    /// Mean of the readings from `from` to `to`; `None`: there is none.
    pub(super) fn mean(&self, from: u64, to: u64) -> Option<f64> {
        let values = self.within(from, to);
        let sum: f64 = values.iter().map(|(_, value)| value).sum();
        (!values.is_empty()).then(|| sum / values.len() as f64)
    }

    /// The value at a moment, on the line between the readings around it; `None` outside of all.
    fn at(&self, moment: u64) -> Option<f64> {
        let next = self.0.partition_point(|(at, _)| *at < moment);
        let (right_at, right) = *self.0.get(next)?;
        if right_at == moment {
            return Some(right);
        }
        let (left_at, left) = *self.0.get(next.checked_sub(1)?)?;
        let part = (moment - left_at) as f64 / (right_at - left_at) as f64;
        Some(left + (right - left) * part)
    }

    /// How much a counter grew from `from` to `to`; `None` where it is not known at both, or fell.
    pub(super) fn growth(&self, from: u64, to: u64) -> Option<f64> {
        let falls = self.within(from, to).windows(2).any(|pair| pair[1].1 < pair[0].1);
        let growth = self.at(to)? - self.at(from)?;
        (!falls && growth >= 0.0).then_some(growth)
    }

    /// The integral from `from` to `to` in value × seconds, by trapezia; `None` where the value is
    /// not known at both.
    pub(super) fn integral(&self, from: u64, to: u64) -> Option<f64> {
        let ends = ((from, self.at(from)?), (to, self.at(to)?));
        let inside = self.within(from + 1, to.saturating_sub(1)).iter().copied();
        let points: Vec<(u64, f64)> = std::iter::once(ends.0).chain(inside).chain([ends.1]).collect();
        let area = |pair: &[(u64, f64)]| {
            (pair[0].1 + pair[1].1) / 2.0 * (pair[1].0.saturating_sub(pair[0].0)) as f64 / 1e9
        };
        Some(points.windows(2).map(area).sum())
    }

    /// The whole time that it spans.
    pub(super) fn span(&self) -> Option<(u64, u64)> {
        Some((self.0.first()?.0, self.0.last()?.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: u64 = 1_000_000_000;

    #[test]
    fn a_line_is_known_between_its_ends_only() {
        let line = Series::of([(S, 10.0), (3 * S, 30.0), (2 * S, 99.0), (5 * S, 50.0)].into_iter());
        assert_eq!(line.at(2 * S), Some(20.0), "the reading out of order does not count");
        assert_eq!(
            (line.at(S), line.at(5 * S), line.at(0), line.at(6 * S)),
            (Some(10.0), Some(50.0), None, None)
        );
        assert_eq!(line.growth(2 * S, 4 * S), Some(20.0));
        assert_eq!(line.growth(0, 4 * S), None);
        assert_eq!(line.mean(2 * S, 5 * S), Some(40.0));
        assert_eq!(line.mean(S + 1, 2 * S), None);
        assert_eq!(line.span(), Some((S, 5 * S)));
        // ∫ 10 t dt from 1 to 5 = 120
        assert_eq!(line.integral(S, 5 * S), Some(120.0));
        assert_eq!(line.integral(2 * S, 4 * S), Some(60.0));
    }

    #[test]
    fn a_counter_that_falls_was_set_back() {
        let counter = Series::of([(S, 10.0), (2 * S, 3.0), (3 * S, 40.0)].into_iter());
        assert_eq!(counter.growth(S, 3 * S), None);
        assert_eq!(Series::default().growth(1, 2), None);
    }
}
