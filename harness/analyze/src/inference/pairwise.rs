//! Candidate against candidate, two at a time.

use std::collections::BTreeMap;

use crate::estimators::{student, welch};

/// One candidate's evidence: its mean log ratio to the baseline in each session.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// Which rounds, ascending; two candidates measured in the same one share its number.
    pub keys: Vec<u32>,
    /// Mean log ratio (candidate over baseline) per session.
    pub means: Vec<f64>,
    /// See [`CandidateSamples::blur`](crate::samples::CandidateSamples::blur).
    pub blur: f64,
}

impl Series {
    /// The mean over sessions; NaN without any.
    pub fn mean(&self) -> f64 {
        student::mean(&self.means)
    }
}

/// The difference of two candidates.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Difference {
    /// First minus second; negative: the first is faster, or earns more.
    pub point: f64,
    /// Two-sided p-value of "no difference"; 1 where the data cannot tell.
    pub p_value: f64,
    /// Rounds of each that it rests on; where they have none in common, those of who has fewer.
    pub rounds: usize,
}

/// Compares two candidates by their speed.
pub fn compare(first: &Series, second: &Series) -> Difference {
    let rounds = Rounds::of(&first.keys, &second.keys);
    let (ours, theirs) = (rounds.first(&first.means), rounds.second(&second.means));
    let found = rounds.difference(&ours, &theirs);
    // Once for the bias that rounding may hide, once for the spread.
    let blur = 2.0 * (first.blur + second.blur);
    if blur == 0.0 {
        return found;
    }
    if found.point.abs() <= blur {
        return Difference { p_value: 1.0, ..found };
    }
    let nearer: Vec<f64> = ours.iter().map(|value| value - blur.copysign(found.point)).collect();
    Difference { p_value: rounds.difference(&nearer, &theirs).p_value, ..found }
}

/// The sessions by which two candidates are compared.
///
/// In common rounds they answered the same requests at about the same time, and what that did to
/// both cancels in the differences. But differences of n rounds have n − 1 degrees of freedom, and
/// where nothing is common Welch's t has up to twice as many. Which of the two is sharper depends
/// on a correlation that nobody knows, so both are computed and the smaller p counts twice
/// (Bonferroni): valid whatever the data, and close to the better one. Candidates with no two
/// common rounds are compared by Welch's t on all their sessions.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Rounds {
    /// Positions of the common rounds in either candidate's sessions; `None`: fewer than two.
    common: Option<(Vec<usize>, Vec<usize>)>,
}

impl Rounds {
    /// Those of candidates with these rounds.
    pub(crate) fn of(first: &[u32], second: &[u32]) -> Self {
        let place: BTreeMap<u32, usize> = second.iter().copied().zip(0..).collect();
        let (a, b): (Vec<usize>, Vec<usize>) =
            first.iter().enumerate().filter_map(|(at, key)| Some((at, *place.get(key)?))).unzip();
        Self { common: (a.len() >= 2).then_some((a, b)) }
    }

    /// What counts of the first one's values, one for each of its sessions.
    pub(crate) fn first(&self, values: &[f64]) -> Vec<f64> {
        match &self.common {
            Some((places, _)) => places.iter().map(|&at| values[at]).collect(),
            None => values.to_vec(),
        }
    }

    /// What counts of the second one's values.
    pub(crate) fn second(&self, values: &[f64]) -> Vec<f64> {
        match &self.common {
            Some((_, places)) => places.iter().map(|&at| values[at]).collect(),
            None => values.to_vec(),
        }
    }

    /// The difference of the means of values that were chosen by [`Self::first`] and
    /// [`Self::second`].
    pub(crate) fn difference(&self, first: &[f64], second: &[f64]) -> Difference {
        let apart = welch::interval(first, second, 0.95);
        let p_value = match &self.common {
            None => apart.p_value,
            Some(_) => {
                let differences: Vec<f64> = first.iter().zip(second).map(|(a, b)| a - b).collect();
                let paired = student::varying(&differences, 0.95).p_value;
                let smaller = apart.p_value.unwrap_or(1.0).min(paired.unwrap_or(1.0));
                Some((2.0 * smaller).min(1.0))
            }
        };
        Difference {
            point: apart.point,
            p_value: p_value.unwrap_or(1.0),
            rounds: first.len().min(second.len()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::estimators::known::{A, B, assert_close};
    use crate::estimators::welch::p_value as welch;

    fn series(keys: std::ops::Range<u32>, means: &[f64]) -> Series {
        Series { keys: keys.collect(), means: means.to_vec(), blur: 0.0 }
    }

    #[test]
    fn equals_to_the_last_digit_prove_nothing_nor_does_what_rounding_could_hide() {
        let (flat, lower) = (series(0..5, &[-0.1; 5]), series(0..5, &[-0.2; 5]));
        assert_eq!(compare(&flat, &lower).p_value, 1.0);
        let apart = series(5..10, &[-0.2; 5]);
        assert_eq!(compare(&flat, &apart).p_value, 1.0);
        let near: Vec<f64> = A.iter().map(|value| value - 0.1).collect();
        let (sharp, near) = (series(0..8, &A), series(0..8, &near));
        assert_eq!(compare(&sharp, &near).p_value, compare(&near, &sharp).p_value);
        let rough = |blur| Series { blur, ..near.clone() };
        assert!(compare(&sharp, &near).p_value < compare(&sharp, &rough(0.04)).p_value);
        assert!(compare(&sharp, &rough(0.04)).p_value < 0.05);
        assert_eq!(compare(&sharp, &rough(0.06)).p_value, 1.0);
        assert_eq!(compare(&sharp, &rough(f64::INFINITY)).p_value, 1.0);
    }

    #[test]
    fn common_rounds_are_paired_where_that_is_sharper() {
        // scipy 1.17.1: ttest_rel(A[:5], B).pvalue is .380877696153478; Welch's is smaller, and counts twice.
        let difference = compare(&series(0..5, &A[..5]), &series(0..5, &B));
        assert_close(difference.p_value, 2.0 * welch(&A[..5], &B).unwrap());
        assert!(difference.p_value < 2.0 * 0.380877696153478);
        assert_eq!(difference.rounds, 5);
        // What both share hides a difference from Welch's t alone.
        let near: Vec<f64> = A.iter().zip(&B).map(|(a, b)| a + 0.003 + 0.1 * b).collect();
        let differences: Vec<f64> = A.iter().zip(&near).map(|(a, near)| a - near).collect();
        let paired = student::interval(&differences, 0.95).p_value.unwrap();
        assert_close(compare(&series(0..5, &A[..5]), &series(0..5, &near)).p_value, 2.0 * paired);
        assert!(paired < 0.01 && welch(&A[..5], &near).unwrap() > 0.05);
        let apart = compare(&series(0..8, &A), &series(8..13, &B));
        assert_close(apart.p_value, 0.45921230779729266);
        assert_close(apart.point, 0.0115 - 0.0198);
    }

    #[test]
    fn only_common_rounds_count_where_there_are_some() {
        let all = compare(&series(0..8, &A), &series(3..8, &B));
        assert_eq!(all, compare(&series(3..8, &A[3..]), &series(3..8, &B)));
    }

    #[test]
    fn one_shared_session_tells_nothing() {
        assert_eq!(compare(&series(0..1, &[0.1]), &series(0..1, &[0.2])).p_value, 1.0);
    }
}
