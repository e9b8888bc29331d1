//! Whether a candidate's answers come from the noise they are asked with: who remembers one for each question
//! gives, asked the same under two noises, two that do not differ as the baseline's two do.

use edgemaxx_contract::estimate::HonestyVerdict;
use edgemaxx_contract::quality::QualityRecord;

use super::{LEVEL, unknown};
use crate::estimators::student;

/// Differences that are proven to agree less than this with the baseline's owe nothing to the noise. What honest and
/// remembering engines reach was measured, and stands in THREATS.md.
const FOLLOWS: f64 = 0.25;
/// Twins that agree by chance prove anything; see the rates in this module's tests.
const TWINS: usize = 4;

/// Says it of a candidate's pairs.
pub(super) fn check(records: &[&QualityRecord]) -> (HonestyVerdict, String) {
    let follows: Vec<f64> = records.iter().filter_map(|record| record.follows).collect();
    if follows.len() < TWINS {
        return unknown(&format!(
            "{} times was the same asked under two noises; {TWINS} at least tell",
            follows.len()
        ));
    }
    let mean = student::mean(&follows);
    let words = format!(
        "asked the same under two noises, its answers differ as the baseline's do by {mean:.2} (1: in the same way, 0: whatever \
         the noise), {} times",
        follows.len()
    );
    let bound = |of: fn(&[f64], f64) -> Option<f64>| of(&follows, LEVEL);
    if bound(student::upper_bound).is_some_and(|most| most < FOLLOWS) {
        return (HonestyVerdict::Failed, words);
    }
    // Of few that scatter widely neither is proven; who follows on the whole is not doubted for that.
    match mean >= FOLLOWS {
        true => (HonestyVerdict::Passed, words),
        false => (HonestyVerdict::Doubtful, words),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use edgemaxx_contract::digest::Digest;

    use super::*;
    use crate::random::Seed;

    fn verdict(follows: &[f64]) -> HonestyVerdict {
        let record = |follows: &f64| QualityRecord {
            candidate: "c".to_owned(),
            session: 0,
            pair: 0,
            request: 0,
            baseline_answer: Digest::of("a"),
            candidate_answer: Digest::of("b"),
            values: BTreeMap::new(),
            sides: BTreeMap::new(),
            follows: Some(*follows),
            detail: serde_json::Value::Null,
        };
        let records: Vec<QualityRecord> = follows.iter().map(record).collect();
        check(&records.iter().collect::<Vec<_>>()).0
    }

    /// Shares of failed and of doubtful candidates whose twins scatter so.
    fn rates(mean: f64, deviation: f64, twins: usize) -> (f64, f64) {
        const CANDIDATES: u32 = 4000;
        let mut count = [0u32; 2];
        let seed = Seed::of(format!("{mean} {deviation} {twins}"));
        for candidate in 0..CANDIDATES {
            let mut stream = seed.stream(u64::from(candidate));
            let values: Vec<f64> =
                (0..twins).map(|_| (mean + deviation * stream.normal()).clamp(-1.0, 1.0)).collect();
            match verdict(&values) {
                HonestyVerdict::Failed => count[0] += 1,
                HonestyVerdict::Doubtful => count[1] += 1,
                _ => {}
            }
        }
        (f64::from(count[0]) / f64::from(CANDIDATES), f64::from(count[1]) / f64::from(CANDIDATES))
    }

    #[test]
    fn memorisers_fail_and_the_roughest_honest_student_does_not() {
        assert_eq!(verdict(&[0.0; 10]), HonestyVerdict::Failed, "one answer for both has no scatter at all");
        for twins in [4, 10] {
            assert!(rates(0.0, 0.02, twins).0 > 0.999, "noise added to it, {twins}");
            assert!(
                rates(0.55, 0.19, twins).0 <= 0.001,
                "a student, {twins}: {:?}",
                rates(0.55, 0.19, twins)
            );
            assert_eq!(rates(0.94, 0.08, twins), (0.0, 0.0), "less work, {twins}");
        }
        let (failed, doubtful) = rates(-0.08, 0.20, 10);
        assert!(failed > 0.95 && failed + doubtful > 0.999, "other seeds: {failed} {doubtful}");
    }

    #[test]
    fn who_follows_as_little_as_is_allowed_passes() {
        assert_eq!(verdict(&[FOLLOWS; 10]), HonestyVerdict::Passed);
        assert_eq!(verdict(&[FOLLOWS - 1e-9; 10]), HonestyVerdict::Failed);
    }

    #[test]
    fn few_twins_tell_nothing() {
        assert_eq!(verdict(&[0.0; 3]), HonestyVerdict::Unknown);
    }
}
