//! Tukey's fences: outliers are counted and shown, and stay in every estimate.

use super::quantiles::Sorted;

/// How far outside the quartiles a value lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outlier {
    /// Below Q1 − 3·IQR.
    LowSevere,
    /// Below Q1 − 1.5·IQR.
    LowMild,
    /// Inside the fences.
    None,
    /// Above Q3 + 1.5·IQR.
    HighMild,
    /// Above Q3 + 3·IQR.
    HighSevere,
}

/// The fences of a sample.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fences {
    first: f64,
    third: f64,
}

impl Fences {
    /// Fences from the quartiles of `values`; `None` of fewer than four.
    pub fn of(values: &Sorted) -> Option<Self> {
        if values.values().len() < 4 {
            return None;
        }
        Some(Self { first: values.quantile(0.25)?, third: values.quantile(0.75)? })
    }

    /// Which class `value` belongs to.
    pub fn class(&self, value: f64) -> Outlier {
        let range = self.third - self.first;
        match value {
            v if v < self.first - 3.0 * range => Outlier::LowSevere,
            v if v < self.first - 1.5 * range => Outlier::LowMild,
            v if v > self.third + 3.0 * range => Outlier::HighSevere,
            v if v > self.third + 1.5 * range => Outlier::HighMild,
            _ => Outlier::None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_follow_the_fences() {
        // Quartiles 2 and 4, range 2: fences at −4, −1, 7, 10.
        let fences = Fences::of(&Sorted::new(vec![5.0, 1.0, 2.0, 3.0, 4.0])).unwrap();
        let classes = [-4.1, -1.1, -1.0, 7.0, 7.1, 10.1].map(|value| fences.class(value));
        use Outlier::{HighMild, HighSevere, LowMild, LowSevere, None};
        assert_eq!(classes, [LowSevere, LowMild, None, None, HighMild, HighSevere]);
        assert_eq!(Fences::of(&Sorted::new(vec![1.0, 2.0, 3.0])), Option::None);
    }
}
