//! Whether a candidate's requests run at other clock frequencies than the baseline's.

use edgemaxx_contract::estimate::HonestyVerdict;
use edgemaxx_contract::plan::Side;
use edgemaxx_contract::sample::{Attempt, Phase, RecordedSession};
use edgemaxx_contract::telemetry::AttemptTelemetry;

use super::{LEVEL, Sessions, unknown};
use crate::estimators::student;
use crate::telemetry::Derived;

/// Clock frequencies that differ by more than this, proven, are no noise. Less power drawn lets a
/// GPU clock higher, which is honest where clocks are not locked: never more than doubtful.
const OTHER_CLOCK: f64 = 0.02;

/// Who changes the clocks wins without being faster.
pub(super) fn check(sessions: &Sessions<'_>, telemetry: &Derived) -> (HonestyVerdict, String) {
    let compared = |of: fn(&AttemptTelemetry) -> Option<f64>| -> Vec<f64> {
        let mean = |recorded: &RecordedSession<'_>, side: Side| {
            let measured = |a: &&&Attempt| a.side == side && matches!(a.phase, Phase::Measured { .. });
            let clocks: Vec<f64> = recorded
                .attempts
                .iter()
                .filter(measured)
                .filter_map(|attempt| of(telemetry.attempt(attempt)?))
                .collect();
            (!clocks.is_empty()).then(|| student::mean(&clocks))
        };
        sessions
            .iter()
            .filter_map(|(_, recorded)| {
                Some(mean(recorded, Side::Candidate)? / mean(recorded, Side::Baseline)?)
            })
            .collect()
    };
    let (what, ratios) = match compared(|known| known.gpu_mhz) {
        ratios if ratios.is_empty() => ("processors'", compared(|known| known.cpu_mhz)),
        ratios => ("GPU's", ratios),
    };
    if ratios.is_empty() {
        return unknown("clock frequencies cannot be read here");
    }
    let ratio = student::mean(&ratios);
    let found = student::interval(&ratios, LEVEL);
    let (Some(lower), Some(upper)) = (found.lower, found.upper) else {
        return unknown(&format!(
            "its requests ran at {ratio:.3} of the baseline's {what} clock in one session"
        ));
    };
    let words = format!(
        "its requests ran at {ratio:.3} of the baseline's {what} clock ({lower:.3} to {upper:.3} with {:.0}% confidence, {} sessions)",
        100.0 * LEVEL,
        ratios.len()
    );
    let other = lower > 1.0 + OTHER_CLOCK || upper < 1.0 - OTHER_CLOCK;
    (if other { HonestyVerdict::Doubtful } else { HonestyVerdict::Passed }, words)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use edgemaxx_contract::plan::Extent;

    use super::*;
    use crate::stages::tests::simulated::noisy_run;

    /// What is said where the candidate's measured requests run at so many times the baseline's clock, session by session.
    fn clocked(ratios: &[f64], of: fn(f64) -> AttemptTelemetry) -> (HonestyVerdict, String) {
        let run = noisy_run("run", Extent::Full, |_, _| {});
        let recorded = run.log.sessions(&run.plan);
        let own: Sessions<'_> = run
            .plan
            .sessions
            .iter()
            .zip(&recorded)
            .filter(|(planned, _)| planned.candidate == "quick")
            .collect();
        let known = own.iter().take(ratios.len()).zip(ratios).flat_map(|((_, recorded), ratio)| {
            recorded.attempts.iter().map(move |&attempt| {
                let mhz = match (attempt.phase, attempt.side) {
                    (Phase::Measured { .. }, Side::Candidate) => 1500.0 * ratio,
                    (Phase::Measured { .. }, Side::Baseline) => 1500.0,
                    // What is not measured decides nothing.
                    _ => 1.0,
                };
                (attempt.clone(), of(mhz))
            })
        });
        check(&own, &Derived::told(BTreeMap::new(), known))
    }

    #[test]
    fn who_runs_at_another_clock_is_doubted_once_it_is_proven() {
        use HonestyVerdict::{Doubtful, Passed, Unknown};
        let gpu = |mhz: f64| AttemptTelemetry {
            gpu_mhz: Some(mhz),
            cpu_mhz: Some(1.0),
            energy_j: None,
            throttled: false,
        };
        let cpu = |mhz: f64| AttemptTelemetry {
            gpu_mhz: None,
            cpu_mhz: Some(mhz),
            energy_j: None,
            throttled: false,
        };
        let around = |mean: f64| [mean - 0.001, mean, mean + 0.001, mean + 0.0005, mean - 0.0005];
        for (ratios, verdict, words) in [
            (around(1.0).to_vec(), Passed, "its requests ran at 1.000 of the baseline's GPU's clock ("),
            (around(1.05).to_vec(), Doubtful, "at 1.050 of the baseline's GPU's clock (1.04"),
            (around(0.95).to_vec(), Doubtful, "at 0.950 of the baseline's GPU's clock (0.94"),
            // Two parts in a hundred are noise, and so is what is not proven.
            (around(1.019).to_vec(), Passed, "99% confidence, 5 sessions)"),
            (around(0.981).to_vec(), Passed, "at 0.981"),
            (vec![0.9, 1.2], Passed, "2 sessions)"),
            (vec![1.5], Unknown, "its requests ran at 1.500 of the baseline's GPU's clock in one session"),
            (vec![], Unknown, "clock frequencies cannot be read here"),
        ] {
            let (found, said) = clocked(&ratios, gpu);
            assert_eq!(found, verdict, "{ratios:?}: {said}");
            assert!(said.contains(words), "{ratios:?}: {said}");
        }
        let (found, said) = clocked(&around(1.05), cpu);
        assert_eq!(found, Doubtful);
        assert!(said.contains("the baseline's processors' clock"), "{said}");
    }
}
