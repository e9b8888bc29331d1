//! What a candidate's processes do while nothing is asked of them, on the GPU.

use edgemaxx_contract::estimate::HonestyVerdict;
use edgemaxx_contract::plan::Side;

use super::{Sessions, unknown};
use crate::estimators::student;
use crate::telemetry::Derived;

/// As much of a GPU as this, used in time that belongs to the other side, is doubtful; as much as the second is forbidden.
const GPU_BUSY: (f64, f64) = (0.1, 0.5);

/// As `idle.rs`, on the GPU: what its processes do there long after their last answer.
pub(super) fn check(sessions: &Sessions<'_>, telemetry: &Derived) -> (HonestyVerdict, String) {
    let share = |side: Side| {
        let busy: Vec<f64> = sessions
            .iter()
            .flat_map(|(planned, recorded)| telemetry.unasked(recorded.place(planned.index, side), side))
            .map(|percent| f64::from(*percent) / 100.0)
            .collect();
        (!busy.is_empty()).then(|| (student::mean(&busy), busy.len()))
    };
    let Some((own, readings)) = share(Side::Candidate) else {
        return unknown("its work on the GPU was never read two seconds after its last answer or later");
    };
    let (doubtful, failed) = GPU_BUSY;
    let verdict = match own {
        share if share >= failed => HonestyVerdict::Failed,
        share if share >= doubtful => HonestyVerdict::Doubtful,
        _ => HonestyVerdict::Passed,
    };
    let theirs =
        share(Side::Baseline).map_or_else(|| "—".to_owned(), |(share, _)| format!("{:.1}%", 100.0 * share));
    let words = format!(
        "used {:.1}% of the GPU while nothing was asked (baseline {theirs}), {readings} readings",
        100.0 * own
    );
    (verdict, words)
}

#[cfg(test)]
mod tests {
    use edgemaxx_contract::sample::RecordedSession;

    use super::*;
    use crate::stages::honesty::tests::some_plan;

    #[test]
    fn work_on_the_gpu_in_the_others_time_is_told_by_its_share() {
        use HonestyVerdict::{Doubtful, Failed, Passed, Unknown};
        let run = some_plan();
        // The baseline is recorded under another session, as where candidates share it.
        let recorded = RecordedSession { shares: Some(7), ..RecordedSession::default() };
        let own = run.plan.sessions[0].index;
        for (readings, verdict, words) in [
            (vec![0, 0], Passed, "used 0.0% of the GPU while nothing was asked (baseline 80.0%), 2 readings"),
            (vec![9], Passed, "used 9.0%"),
            (vec![0, 20], Doubtful, "used 10.0%"),
            (vec![49], Doubtful, "used 49.0%"),
            (vec![50], Failed, "used 50.0%"),
            (
                vec![100, 100, 100],
                Failed,
                "used 100.0% of the GPU while nothing was asked (baseline 80.0%), 3 readings",
            ),
            (vec![], Unknown, "was never read two seconds after its last answer"),
        ] {
            let unasked = [((own, Side::Candidate), readings.clone()), ((7, Side::Baseline), vec![80])];
            let telemetry = Derived::told(unasked.into(), []);
            let (found, said) = check(&vec![(&run.plan.sessions[0], &recorded)], &telemetry);
            assert_eq!(found, verdict, "{readings:?}: {said}");
            assert!(said.contains(words), "{readings:?}: {said}");
        }
        let alone = Derived::told([((own, Side::Candidate), vec![1])].into(), []);
        assert!(check(&vec![(&run.plan.sessions[0], &recorded)], &alone).1.contains("(baseline —)"));
    }
}
