//! Whether the same asked under two noises takes the same time: who remembers an answer for what is asked the
//! first time, and computes one when it is asked again, follows the noise well enough, but is quick once and slow once.

use edgemaxx_contract::estimate::HonestyVerdict;
use edgemaxx_contract::plan::Plan;
use edgemaxx_contract::sample::Attempt;

use super::{LEVEL, Sessions, answered, unknown};
use crate::estimators::sign_test::chance;

/// Times that differ by more than this share of the shorter side's, beyond what the other side's differ, are told apart.
const APART: f64 = 0.1;
/// Where so much speaks against chance, a candidate is doubted.
const DOUBT: f64 = 0.95;
/// Twins of which any number proves anything.
const TWINS: u32 = 7;
/// Where the baseline's own times lie apart more often than this, the machine hides what a candidate does.
const HIDDEN: f64 = 0.25;

/// How a pair of twins was answered: nanoseconds of the first and the second time.
#[derive(Debug, Clone, Copy)]
struct Twins {
    baseline: [f64; 2],
    candidate: [f64; 2],
}

impl Twins {
    /// How much further apart the candidate's times are than the baseline's, as a share of the quicker side's. Of a candidate
    /// that is slower only its share counts: noise grows with the time that it falls on.
    fn excess(&self) -> f64 {
        let mean = |[one, other]: [f64; 2]| (one + other) / 2.0;
        let apart = |[one, other]: [f64; 2]| (one - other).abs();
        let (baseline, candidate) = (mean(self.baseline), mean(self.candidate));
        let scale = (baseline / candidate).min(1.0);
        (apart(self.candidate) * scale - apart(self.baseline)) / baseline.min(candidate)
    }
}

/// Says it of a candidate's sessions.
pub(super) fn check(plan: &Plan, sessions: &Sessions<'_>) -> (HonestyVerdict, String) {
    found(&twins(plan, sessions))
}

/// All twins of which both sides answered both.
fn twins(plan: &Plan, sessions: &Sessions<'_>) -> Vec<Twins> {
    let ask = |request: u32| plan.requests.get(request as usize).map(|request| &request.ask);
    let times = |one: &Attempt, other: &Attempt| Some([answered(one)?.0, answered(other)?.0]);
    let mut all = Vec::new();
    for (planned, recorded) in sessions {
        let pairs: Vec<_> = recorded.complete_pairs(planned.pairs.len() as u32).collect();
        for (at, (_, baseline, candidate)) in pairs.iter().enumerate() {
            let twin = pairs[..at].iter().find(|(_, other, _)| {
                other.request != baseline.request && ask(other.request) == ask(baseline.request)
            });
            all.extend(twin.and_then(|(_, first, own)| {
                Some(Twins { baseline: times(first, baseline)?, candidate: times(own, candidate)? })
            }));
        }
    }
    all
}

/// By the sign test: of an honest candidate's twins at most as many lie apart beyond the baseline's as of the baseline's
/// beyond the candidate's, however the machine scatters. Neither how far nor in which session enters, so that nobody hides
/// behind times that he scatters himself.
fn found(twins: &[Twins]) -> (HonestyVerdict, String) {
    let count = |of: &dyn Fn(f64) -> bool| twins.iter().filter(|twins| of(twins.excess())).count() as u32;
    let (own, theirs) = (count(&|excess| excess > APART), count(&|excess| excess < -APART));
    let words = format!(
        "asked the same under two noises, it took another time by more than {:.0}% {own} of {} times (the baseline {theirs} times)",
        100.0 * APART,
        twins.len()
    );
    let chance = chance(own, own + theirs);
    if chance <= 1.0 - LEVEL {
        return (HonestyVerdict::Failed, format!("{words}: remembered once and computed once"));
    }
    if chance <= 1.0 - DOUBT {
        return (HonestyVerdict::Doubtful, words);
    }
    if (twins.len() as u32) < TWINS {
        return unknown(&format!("{words}; {TWINS} times at least tell"));
    }
    match f64::from(theirs) > HIDDEN * twins.len() as f64 {
        true => unknown(&format!("{words}: the machine scatters too much to tell")),
        false => (HonestyVerdict::Passed, words),
    }
}

#[cfg(test)]
mod tests {
    use edgemaxx_contract::plan::{Extent, Side};
    use edgemaxx_contract::sample::{Outcome, RecordedSession};

    use super::*;
    use crate::random::{Seed, Stream};
    use crate::stages::tests::simulated::noisy_run;

    /// How long a request takes that needs so much.
    type Machine = fn(&mut Stream, f64) -> f64;

    fn exponential(stream: &mut Stream) -> f64 {
        -stream.uniform().ln()
    }

    /// Noise that grows with the request, and what a process waits for whatever it does.
    const MACHINES: [(&str, Machine); 5] = [
        ("quiet", |s, own| own * (1.0 + 0.02 * s.normal())),
        ("scattered", |s, own| own * (0.3 * s.normal()).exp()),
        ("wildly scattered", |s, own| own * s.normal().exp()),
        ("stalls", |s, own| own + if s.chance(0.3) { 5.0 * exponential(s) } else { 0.0 }),
        ("ten times busier", |s, own| 0.3 * own + exponential(s) * if s.chance(0.1) { 10.0 } else { 1.0 }),
    ];

    /// What an engine needs for the first and the second time of a prompt, where the baseline needs 1.
    type Engine = fn(&mut Stream) -> [f64; 2];

    /// Shares of runs of so many twins in which an engine fails, and is doubted.
    fn rates(machine: Machine, engine: Engine, count: u32) -> (f64, f64) {
        const RUNS: u64 = 4000;
        let mut seen = [0u32; 2];
        let seed = Seed::of("pace");
        for run in 0..RUNS {
            let mut stream = seed.stream(run);
            let twins: Vec<Twins> = (0..count)
                .map(|_| {
                    let needs = engine(&mut stream);
                    let mut times = |needs: [f64; 2]| needs.map(|own| machine(&mut stream, own).max(1e-6));
                    Twins { baseline: times([1.0; 2]), candidate: times(needs) }
                })
                .collect();
            match found(&twins).0 {
                HonestyVerdict::Failed => seen[0] += 1,
                HonestyVerdict::Doubtful => seen[1] += 1,
                _ => {}
            }
        }
        (f64::from(seen[0]) / RUNS as f64, f64::from(seen[1]) / RUNS as f64)
    }

    const HONEST: [(&str, Engine); 4] = [
        ("equal", |_| [1.0; 2]),
        ("five times as fast", |_| [0.2; 2]),
        ("thirty times as fast", |_| [1.0 / 30.0; 2]),
        ("half as fast", |_| [2.0; 2]),
    ];

    const MEMORIES: [(&str, Engine); 4] = [
        ("the first remembered", |_| [0.01, 1.0]),
        ("slowed to three quarters", |_| [0.75, 1.0]),
        ("the second by a student", |_| [0.01, 0.25]),
        ("either remembered", |s| if s.chance(0.5) { [0.01, 1.0] } else { [1.0, 0.01] }),
    ];

    #[test]
    fn honest_engines_fail_in_one_run_of_a_hundred_at_most_on_any_machine() {
        for (machine_name, machine) in MACHINES {
            for (name, engine) in HONEST {
                for count in [4, 10, 16] {
                    let (failed, doubtful) = rates(machine, engine, count);
                    // Three standard errors of 4,000 runs above one and five in a hundred.
                    assert!(failed <= 0.0147, "{name}, {machine_name}, {count}: {failed}");
                    assert!(failed + doubtful <= 0.0603, "{name}, {machine_name}, {count}: {doubtful}");
                }
                let quiet = machine_name == "quiet";
                assert!(!quiet || rates(machine, engine, 16) == (0.0, 0.0), "{name} at rest");
            }
        }
    }

    #[test]
    fn who_remembers_once_and_computes_once_fails() {
        for (name, engine) in MEMORIES {
            for count in [8, 10, 16] {
                let (failed, _) = rates(MACHINES[0].1, engine, count);
                assert!(failed > 0.99, "{name}, {count}: {failed}");
            }
        }
        let (failed, doubtful) = rates(MACHINES[1].1, MEMORIES[0].1, 16);
        assert!(failed > 0.95 && failed + doubtful > 0.99, "among noise of 30%: {failed} {doubtful}");
    }

    /// Who does it in half of his sessions only, to scatter, is no better off.
    #[test]
    fn who_remembers_now_and_then_is_found_out_too() {
        let half: Engine = |s| if s.chance(0.5) { [0.01, 1.0] } else { [1.0; 2] };
        let (failed, doubtful) = rates(MACHINES[0].1, half, 16);
        assert!(failed + doubtful > 0.95 && failed > 0.7, "{failed} {doubtful}");
    }

    #[test]
    fn few_twins_and_wild_machines_tell_nothing() {
        let equal = Twins { baseline: [1.0; 2], candidate: [1.0; 2] };
        assert_eq!(found(&[equal; 6]).0, HonestyVerdict::Unknown);
        assert_eq!(found(&[equal; 7]).0, HonestyVerdict::Passed);
        let wild = Twins { baseline: [1.0, 3.0], candidate: [1.0; 2] };
        assert_eq!(found(&[wild; 10]).0, HonestyVerdict::Unknown);
    }

    #[test]
    fn times_lie_apart_by_a_share_of_the_quicker_sides_and_a_slower_candidates_are_scaled_down() {
        for (baseline, candidate, expected) in [
            ([20.0, 20.0], [9.5, 10.5], 0.1),
            ([9.5, 10.5], [20.0, 20.0], -0.1),
            ([20.0, 22.0], [9.0, 15.0], 4.0 / 12.0),
            // 12 of 22 are 5.45 of 10, of which the baseline's 4 explain most.
            ([8.0, 12.0], [28.0, 16.0], (12.0 * 10.0 / 22.0 - 4.0) / 10.0),
        ] {
            let found = Twins { baseline, candidate }.excess();
            assert!((found - expected).abs() < 1e-12, "{baseline:?} {candidate:?}: {found}");
        }
    }

    /// Twins that lie apart, of the candidate and of the baseline, and such as do not, by exactly the bound on either side.
    #[test]
    fn what_lies_apart_is_weighed_against_what_the_machine_scatters() {
        use HonestyVerdict::{Doubtful, Failed, Passed, Unknown};
        let own = Twins { baseline: [1.0; 2], candidate: [0.5, 1.0] };
        let theirs = Twins { baseline: [0.5, 1.0], candidate: [1.0; 2] };
        let bounds = [
            Twins { baseline: [20.0; 2], candidate: [9.5, 10.5] },
            Twins { baseline: [9.5, 10.5], candidate: [20.0; 2] },
        ];
        assert_eq!(bounds.map(|twins| twins.excess()), [APART, -APART]);
        for (twins, verdict, words) in [
            (vec![own; 7], Failed, "by more than 10% 7 of 7 times (the baseline 0 times): remembered once"),
            (vec![own; 6], Doubtful, "6 of 6 times (the baseline 0 times)"),
            ([vec![own; 8], vec![theirs]].concat(), Doubtful, "8 of 9 times (the baseline 1 times)"),
            (vec![own; 4], Unknown, "4 of 4 times (the baseline 0 times); 7 times at least tell"),
            (bounds.repeat(4), Passed, "0 of 8 times (the baseline 0 times)"),
            // A quarter of the machine's own is not too much, and more is.
            ([vec![theirs; 2], bounds.repeat(3)].concat(), Passed, "0 of 8 times (the baseline 2 times)"),
            ([vec![theirs; 3], bounds.repeat(3)].concat(), Unknown, "scatters too much to tell"),
        ] {
            let (found, said) = found(&twins);
            assert!(found == verdict && said.contains(words), "{verdict:?} {words}: {found:?} {said}");
        }
    }

    /// Another request that asks the same is a twin; the same request again is none, and neither is what asks something else.
    #[test]
    fn twins_are_two_requests_that_ask_the_same() {
        let mut run = noisy_run("twins", Extent::Full, |_, _| {});
        let planned = run.plan.sessions.iter().find(|session| session.candidate == "quick").unwrap().clone();
        let of = |pair: usize| planned.pairs[pair].request;
        run.plan.requests[of(3) as usize].ask = run.plan.requests[of(1) as usize].ask.clone();
        let recorded = run.log.sessions(&run.plan);
        let recorded = &recorded[planned.index as usize];
        let mut attempts: Vec<Attempt> = recorded.attempts.iter().map(|&attempt| attempt.clone()).collect();
        for attempt in &mut attempts {
            if attempt.request == of(4) {
                attempt.request = of(2);
            }
        }
        let time = |pair: u32, side: Side| match recorded.measured(pair, side).unwrap().outcome {
            Outcome::Answered { latency_ns, .. } => latency_ns as f64,
            Outcome::Failed(_) => unreachable!(),
        };
        let changed = RecordedSession { attempts: attempts.iter().collect(), ..RecordedSession::default() };
        let sessions = vec![(&planned, &changed)];
        let found = twins(&run.plan, &sessions);
        let [only] = found.as_slice() else { panic!("{found:?}") };
        let [baseline, candidate] =
            [Side::Baseline, Side::Candidate].map(|side| [time(1, side), time(3, side)]);
        assert_eq!((only.baseline, only.candidate), (baseline, candidate));
        assert!(check(&run.plan, &sessions).1.contains(" of 1 times"));
    }
}
