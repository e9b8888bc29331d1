//! The A/A certificate: the baseline measured against itself says whether the run may be believed.

use edgemaxx_contract::estimate::{Certificate, CertificateVerdict};
use edgemaxx_contract::quality::QualityRecord;

use super::estimate::speedup;
use crate::estimators::{Summary, student};
use crate::inference::power::detectable_change;
use crate::samples::CandidateSamples;

/// Share of honest runs that the control's test calls unfit. Nothing is claimed on this test, so a
/// false alarm costs a day while a bias large enough to matter is far beyond this bound.
pub(super) const ALARM: f64 = 0.01;

/// What the control's samples say.
///
/// Its own test is not adjusted for the other candidates: the alarm must not get weaker with them.
/// `blocks`: in how many blocks of a round the control was measured, where candidates share a baseline.
/// By so much is more known of it than of a candidate, which is in one: what the certificate says could
/// be known is said of a candidate.
pub(crate) fn certificate(
    samples: Option<&CandidateSamples>,
    blocks: f64,
    log_ratio: Option<&Summary>,
    method: &str,
    records: &[&QualityRecord],
    level: f64,
) -> Certificate {
    let identical = records.iter().filter(|record| record.is_identical());
    let (verdict, reason) = verdict(samples, log_ratio);
    Certificate {
        control: samples.map(|s| s.name.clone()).unwrap_or_default(),
        verdict,
        reason,
        speedup: log_ratio.map(|summary| speedup(summary, method)),
        noise_floor: log_ratio.and_then(Summary::half_width).map(|half| (half * blocks.sqrt()).exp_m1()),
        minimum_detectable_effect: samples.and_then(|s| {
            let change = detectable_change(&s.series().means, level)?;
            Some((change.ln_1p() * blocks.sqrt()).exp_m1())
        }),
        identical_answers: identical.count() as u32,
        pairs: samples.map_or(0, CandidateSamples::pairs) as u32,
    }
}

fn verdict(samples: Option<&CandidateSamples>, log_ratio: Option<&Summary>) -> (CertificateVerdict, String) {
    let unfit = |reason: String| (CertificateVerdict::Unfit, reason);
    let (Some(samples), Some(summary)) = (samples, log_ratio) else {
        return unfit("the baseline was not measured against itself".to_owned());
    };
    let means = samples.series().means;
    if means.len() >= 2 && !student::varies(&means) {
        return unfit(
            "the control's sessions are equal to the last digit: a clock that coarse tells nothing"
                .to_owned(),
        );
    }
    let (sessions, Some(p_value), Some(half)) =
        (samples.sessions.len(), summary.p_value, summary.half_width())
    else {
        return unfit("the control has too few pairs for an interval".to_owned());
    };
    if sessions < 2 {
        return unfit("the control has one session; variance between processes is unseen".to_owned());
    }
    let percent = 100.0 * (-summary.point).exp_m1();
    if p_value <= ALARM {
        return unfit(format!(
            "the baseline is not a tie with itself: {percent:+.2}% (p = {p_value:.4}); \
             something other than the candidates differs between the two sides"
        ));
    }
    let floor = 100.0 * half.exp_m1();
    let reason = format!(
        "the baseline ties with itself: {percent:+.2}%, known to ±{floor:.2}%, in {sessions} sessions"
    );
    (CertificateVerdict::Fit, reason)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::estimators::Method;
    use crate::samples::{Pair, Session};

    fn control(log_ratios: &[f64]) -> CandidateSamples {
        let session = |(key, d): (usize, &f64)| Session {
            key: key as u32,
            pairs: vec![Pair { baseline_ms: 100.0, candidate_ms: 100.0 * d.exp(), throttled: false }],
        };
        CandidateSamples::whole("clone", log_ratios.iter().enumerate().map(session).collect())
    }

    fn certify(log_ratios: &[f64]) -> Certificate {
        let samples = control(log_ratios);
        let summary = student::interval(&samples.series().means, 0.95);
        certificate(Some(&samples), 1.0, Some(&summary), "t", &[], 0.95)
    }

    #[test]
    fn a_tie_is_fit_and_states_what_it_could_have_found() {
        let found = certify(&[0.002, -0.001, 0.0005, -0.002, 0.001]);
        assert_eq!(found.verdict, CertificateVerdict::Fit, "{}", found.reason);
        // Five session means with standard error 7.141428e-4; ncp 3.76106 (scipy, see power.rs)
        let expected = (3.7610595538250196_f64 * 7.141428428542849e-4).exp_m1();
        assert!((found.minimum_detectable_effect.unwrap() / expected - 1.0).abs() < 1e-8);
        assert!(found.noise_floor.unwrap() > 0.00198 && found.noise_floor.unwrap() < 0.00199);
    }

    #[test]
    fn a_difference_and_a_lack_of_data_are_unfit() {
        let shifted = certify(&[0.012, 0.011, 0.0125, 0.010, 0.011]);
        assert_eq!(shifted.verdict, CertificateVerdict::Unfit);
        assert!(shifted.reason.contains("not a tie"), "{}", shifted.reason);
        assert_eq!(certify(&[0.0]).verdict, CertificateVerdict::Unfit);
        // scipy.stats.ttest_1samp: p = 0.02796, common enough among honest runs
        let log_ratios = [0.003, 0.001, 0.0018, 0.0002, 0.0025];
        let p_value = student::interval(&log_ratios, 0.95).p_value.unwrap();
        assert!((p_value - 0.027962786523595337).abs() < 1e-9, "{p_value}");
        let unlucky = certify(&log_ratios);
        assert_eq!(unlucky.verdict, CertificateVerdict::Fit, "{}", unlucky.reason);
        let absent = certificate(None, 1.0, None, "t", &[], 0.95);
        assert_eq!((absent.verdict, absent.speedup), (CertificateVerdict::Unfit, None));
    }

    /// A summary as an estimator on pairs gives it, also where there is but one session.
    fn summary(p_value: f64) -> Summary {
        let (lower, upper) = (Some(-0.002), Some(0.002));
        Summary {
            lower,
            upper,
            p_value: Some(p_value),
            ..Summary::bare(0.001, 0.95, 8, Method::HodgesLehmann)
        }
    }

    #[test]
    fn one_session_certifies_nothing_and_two_do() {
        let (found, why) = verdict(Some(&control(&[0.001])), Some(&summary(0.9)));
        assert_eq!(found, CertificateVerdict::Unfit);
        assert!(why.contains("has one session"), "{why}");
        // Half of a width of 0.004: ±0.20%; 0.001 slower: −0.10%.
        let (found, why) = verdict(Some(&control(&[0.001, -0.0012])), Some(&summary(0.9)));
        assert_eq!(found, CertificateVerdict::Fit);
        assert_eq!(why, "the baseline ties with itself: -0.10%, known to ±0.20%, in 2 sessions");
    }

    #[test]
    fn the_alarm_is_raised_at_one_in_a_hundred_and_not_above() {
        let sessions = control(&[0.001, -0.0012, 0.0004]);
        let (found, why) = verdict(Some(&sessions), Some(&summary(ALARM)));
        assert_eq!(found, CertificateVerdict::Unfit);
        assert!(why.starts_with("the baseline is not a tie with itself: -0.10% (p = 0.0100)"), "{why}");
        assert_eq!(verdict(Some(&sessions), Some(&summary(0.0101))).0, CertificateVerdict::Fit);
    }

    #[test]
    fn sessions_without_a_spread_are_unfit_whatever_the_interval_says() {
        let (found, why) = verdict(Some(&control(&[0.001, 0.001, 0.001])), Some(&summary(0.9)));
        assert_eq!(found, CertificateVerdict::Unfit);
        assert!(why.contains("equal to the last digit"), "{why}");
    }

    #[test]
    fn a_control_of_four_blocks_says_what_is_known_of_a_candidate_in_one() {
        let samples = control(&[0.002, -0.001, 0.0005, -0.002, 0.001]);
        let summary = student::interval(&samples.series().means, 0.95);
        let found = certificate(Some(&samples), 4.0, Some(&summary), "t", &[], 0.95);
        // Twice the logarithms of one block; scipy.stats.t.ppf(0.975, 4) = 2.7764451051977987.
        let error = 7.141428428542849e-4_f64;
        let (floor, change) = (2.0 * 2.7764451051977987 * error, 2.0 * 3.7610595538250196 * error);
        assert!((found.noise_floor.unwrap() / floor.exp_m1() - 1.0).abs() < 1e-8);
        assert!((found.minimum_detectable_effect.unwrap() / change.exp_m1() - 1.0).abs() < 1e-8);
        assert_eq!((found.pairs, found.identical_answers, found.control.as_str()), (5, 0, "clone"));
    }
}
