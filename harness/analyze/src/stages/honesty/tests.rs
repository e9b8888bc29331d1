//! Each check at its bounds, on records made by hand.

use edgemaxx_contract::plan::Extent;
use edgemaxx_contract::sample::{EngineInfo, Idle, Launch, Record};

use super::super::tests::simulated::{Run, noisy_run};
use super::*;

fn nobody<'a>() -> RecordedSession<'a> {
    RecordedSession::default()
}

fn some_plan() -> Run {
    noisy_run("run", Extent::Quick, |_, _| {})
}

/// What is said of sessions with such idle times: side, milliseconds waited, busy, and of others.
fn idles(times: &[(Side, u64, u64, Option<u64>)]) -> (HonestyVerdict, String) {
    let run = some_plan();
    let ns = 1_000_000;
    let idle = |&(side, waited, busy, others): &(Side, u64, u64, Option<u64>)| Idle {
        session: 0,
        launch: 0,
        side,
        waited_ns: waited * ns,
        busy_ns: busy * ns,
        others_ns: others.map(|others| others * ns),
    };
    let all: Vec<Idle> = times.iter().map(idle).collect();
    let recorded = RecordedSession { idle: all.iter().collect(), ..nobody() };
    super::idle(&vec![(&run.plan.sessions[0], &recorded)])
}

#[test]
fn work_in_the_others_time_is_told_by_its_share_of_a_core() {
    use HonestyVerdict::{Doubtful, Failed, Passed, Unknown};
    let own = Side::Candidate;
    for (times, verdict, words) in [
        (vec![(own, 1000, 0, Some(0))], Passed, "busy 0.0% of one core while nothing was asked (baseline —)"),
        (vec![(own, 1000, 99, Some(0))], Passed, "busy 9.9%"),
        (vec![(own, 1000, 100, Some(0))], Doubtful, "busy 10.0%"),
        (vec![(own, 1000, 499, Some(0))], Doubtful, "busy 49.9%"),
        (vec![(own, 1000, 500, Some(0))], Failed, "busy 50.0%"),
        // Sessions are taken together.
        (vec![(own, 1000, 300, Some(0)), (own, 3000, 0, Some(0))], Passed, "busy 7.5%"),
        // A tenth of a second is enough, and less is not.
        (vec![(own, 100, 60, Some(0))], Failed, "busy 60.0%"),
        (vec![(own, 99, 60, Some(0))], Unknown, "processor time was not recorded"),
        (vec![], Unknown, "processor time was not recorded"),
        // What the other side does is no reproach.
        (vec![(own, 1000, 0, Some(0)), (Side::Baseline, 2000, 1800, Some(0))], Passed, "(baseline 90.0%)"),
        // Work in nobody's account, or an account that nobody kept.
        (vec![(own, 1000, 0, Some(99))], Passed, "busy 0.0%"),
        (
            vec![(own, 1000, 0, Some(100))],
            Unknown,
            "; the machine was busy 10.0% of one core meanwhile with what is neither an engine's nor the harness's work",
        ),
        (vec![(own, 1000, 0, Some(150)), (own, 1000, 0, Some(0))], Passed, "busy 0.0%"),
        (
            vec![(own, 1000, 0, Some(0)), (own, 1000, 0, None)],
            Unknown,
            "what else the machine did is not known",
        ),
        (vec![(own, 1000, 0, Some(0)), (Side::Baseline, 1000, 0, None)], Passed, "busy 0.0%"),
    ] {
        let (found, said) = idles(&times);
        assert_eq!(found, verdict, "{times:?}: {said}");
        assert!(said.contains(words), "{times:?}: {said}");
    }
}

/// What is said of launches that took so many milliseconds from spawn to ready, half of them for loading.
fn loads(times: &[(Side, u64)]) -> (HonestyVerdict, String) {
    let run = some_plan();
    let launch = |&(side, ms): &(Side, u64)| {
        let engine = EngineInfo { name: "by hand".to_owned(), version: String::new() };
        let outcome = LaunchOutcome::Ready { launch_ns: ms * 250_000, load_ns: ms * 750_000, engine };
        Launch { session: 0, launch: 0, side, outcome }
    };
    let all: Vec<Launch> = times.iter().map(launch).collect();
    let recorded = RecordedSession { launches: all.iter().collect(), ..nobody() };
    super::load(&vec![(&run.plan.sessions[0], &recorded)])
}

#[test]
fn loading_is_long_by_both_measures_together() {
    use HonestyVerdict::{Doubtful, Passed, Unknown};
    let (own, theirs) = (Side::Candidate, Side::Baseline);
    for (times, verdict, words) in [
        (vec![(own, 500), (theirs, 1000)], Passed, "0.50 s from spawn to ready (baseline 1.00 s)"),
        // More than ten times, and more than ten seconds more.
        (vec![(own, 20_000), (theirs, 2_000)], Passed, "20.00 s"),
        (vec![(own, 20_001), (theirs, 2_000)], Doubtful, "20.00 s"),
        (vec![(own, 10_500), (theirs, 500)], Passed, "10.50 s"),
        (vec![(own, 10_501), (theirs, 500)], Doubtful, "10.50 s"),
        (vec![(own, 9_000), (theirs, 100)], Passed, "9.00 s"),
        (vec![(own, 30_000), (theirs, 15_000)], Passed, "30.00 s"),
        // Medians: one slow launch is no habit.
        (vec![(own, 500), (own, 60_000), (own, 700), (theirs, 1000)], Passed, "0.70 s"),
        (vec![(own, 500)], Unknown, "it was never loaded"),
        (vec![(theirs, 500)], Unknown, "it was never loaded"),
    ] {
        let (found, said) = loads(&times);
        assert_eq!(found, verdict, "{times:?}: {said}");
        assert!(said.contains(words), "{times:?}: {said}");
    }
}

/// What is said where the candidate's answer to each request of the first session is that of `own`, and the baseline's
/// that of `theirs`.
fn answers(own: &dyn Fn(u32) -> u32, theirs: &dyn Fn(u32) -> u32, pairs: usize) -> (HonestyVerdict, String) {
    let mut run = some_plan();
    run.log.records.iter_mut().for_each(|record| {
        if let Record::Attempt(attempt) = record
            && let Outcome::Answered { answer, .. } = &mut attempt.outcome
        {
            let of = if attempt.side == Side::Candidate { own } else { theirs };
            *answer = Digest::of(of(attempt.request).to_string());
        }
    });
    let recorded = run.log.sessions(&run.plan);
    let mut only = nobody();
    only.attempts = recorded[0]
        .attempts
        .iter()
        .copied()
        .filter(|attempt| matches!(attempt.phase, Phase::Measured { pair } if (pair as usize) < pairs))
        .collect();
    super::distinct(&run.plan, &vec![(&run.plan.sessions[0], &only)])
}

#[test]
fn one_answer_to_different_requests_is_a_lie_where_the_baseline_has_two() {
    let itself = |request: u32| request;
    let (found, said) = answers(&itself, &itself, 2);
    assert_eq!(
        (found, said.as_str()),
        (HonestyVerdict::Passed, "no two different requests of 2 got the same answer")
    );
    let (found, said) = answers(&|_| 7, &itself, 2);
    assert_eq!(found, HonestyVerdict::Failed);
    assert!(said.ends_with("ask for different things and got the same answer"), "{said}");
    // So does the baseline: then it is the model's.
    assert_eq!(answers(&|_| 7, &|_| 8, 2).0, HonestyVerdict::Passed);
    assert_eq!(answers(&itself, &itself, 1).1, "fewer than two answers");
    assert_eq!(answers(&itself, &itself, 0).0, HonestyVerdict::Unknown);
}

#[test]
fn checks_are_those_that_somebody_looked_for() {
    let run = some_plan();
    let recorded = run.log.sessions(&run.plan);
    let kinds = |plan: &Plan| {
        let found = checks(plan, &recorded, None, "quick", &[]);
        found.into_iter().map(|check| check.what).collect::<Vec<_>>()
    };
    let mut plan = run.plan.clone();
    plan.measurement.twins = 1;
    let all = [
        HonestyKind::Repeats,
        HonestyKind::Distinct,
        HonestyKind::Noise,
        HonestyKind::Pace,
        HonestyKind::Idle,
        HonestyKind::Load,
    ];
    assert_eq!(kinds(&plan), all);
    plan.measurement.twins = 0;
    assert_eq!(kinds(&plan), [all[0], all[1], all[4], all[5]]);
}

#[test]
fn work_on_the_gpu_in_the_others_time_is_told_by_its_share() {
    use HonestyVerdict::{Doubtful, Failed, Passed, Unknown};
    let run = some_plan();
    // The baseline is recorded under another session, as where candidates share it.
    let recorded = RecordedSession { shares: Some(7), ..nobody() };
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
        let (found, said) = gpu_idle(&vec![(&run.plan.sessions[0], &recorded)], &telemetry);
        assert_eq!(found, verdict, "{readings:?}: {said}");
        assert!(said.contains(words), "{readings:?}: {said}");
    }
    let alone = Derived::told([((own, Side::Candidate), vec![1])].into(), []);
    assert!(gpu_idle(&vec![(&run.plan.sessions[0], &recorded)], &alone).1.contains("(baseline —)"));
}

/// What is said where the candidate's measured requests run at so many times the baseline's clock, session by session.
fn clocked(ratios: &[f64], of: fn(f64) -> AttemptTelemetry) -> (HonestyVerdict, String) {
    let run = noisy_run("run", Extent::Full, |_, _| {});
    let recorded = run.log.sessions(&run.plan);
    let own: Sessions<'_> =
        run.plan.sessions.iter().zip(&recorded).filter(|(planned, _)| planned.candidate == "quick").collect();
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
    clocks(&own, &Derived::told(BTreeMap::new(), known))
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
    let cpu =
        |mhz: f64| AttemptTelemetry { gpu_mhz: None, cpu_mhz: Some(mhz), energy_j: None, throttled: false };
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
