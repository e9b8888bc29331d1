//! From plan, log and quality to estimates and ranking.

pub(super) mod simulated;

use edgemaxx_contract::environment::Confinement;
use edgemaxx_contract::estimate::{
    Certificate, CertificateVerdict, Claim, Estimates, HonestyCheck, HonestyKind, HonestyVerdict,
};
use edgemaxx_contract::format::Document as _;
use edgemaxx_contract::plan::{Extent, PipelinePlan, Side};
use edgemaxx_contract::ranking::Standing;
use edgemaxx_contract::sample::{Arrival, Failure, FailureKind, Idle, Mark, Outcome, Phase, Record, Stop};

use super::{Evidence, analyze, rank, settings_of};

use self::simulated::{TRUTH, break_broken, device, environment, estimates, run, verdict};

#[test]
fn the_fast_and_faithful_win_and_everyone_learns_why() {
    let (estimates, ranking) = verdict(&run(Extent::Full, break_broken));
    assert_eq!(estimates.certificate.verdict, CertificateVerdict::Fit, "{}", estimates.certificate.reason);
    for (candidate, (name, ratio, _)) in estimates.candidates.iter().zip(TRUTH) {
        let speedup = candidate.speedup.as_ref().unwrap();
        assert_eq!(candidate.name, name);
        assert!((speedup.point * ratio - 1.0).abs() < 0.02, "{name} {speedup:?}");
        assert!(speedup.lower < Some(speedup.point) && Some(speedup.point) < speedup.upper);
        let expected = if ratio == 1.0 { Claim::Tie } else { Claim::Faster };
        assert_eq!(candidate.claim, expected, "{name}");
    }
    let found: Vec<(&str, Standing, Option<u32>)> =
        ranking.entries.iter().map(|e| (e.name.as_str(), e.standing, e.tier)).collect();
    let mut leaders = [found[0].0, found[1].0];
    leaders.sort_unstable();
    assert_eq!(leaders, ["quick", "quick-too"]);
    assert_eq!((found[0].2, found[1].2), (Some(1), Some(1)));
    assert_eq!(found[2], ("middling", Standing::Accepted, Some(2)));
    assert_eq!(found[3], ("ugly", Standing::RejectedQuality, None));
    assert_eq!(found[4], ("broken", Standing::Failed, None));
    assert_eq!(found[5], ("clone", Standing::Control, None));
    assert_eq!(ranking.winner, None, "{}", ranking.verdict);
    assert!(ranking.verdict.contains("tie for the win"), "{}", ranking.verdict);
    let weights: Vec<f64> = ranking.entries.iter().map(|e| e.weight).collect();
    assert_eq!(weights, [0.4, 0.4, 0.19999999999999996, 0.0, 0.0, 0.0]);
    assert!(ranking.entries[3].reasons[0].contains("clip_image_cosine: at least 0.85"));
    assert!(ranking.entries[4].reasons[0].contains("died 6 time(s): out of memory"));
    assert_eq!(ranking.weights_refused, None);
    // (lower − 1) · ((similarity − .75) / .25)^.25, by hand from the estimates
    let first = estimates.candidates.iter().find(|c| c.name == found[0].0).unwrap();
    let similarity = first.similarity.as_ref().unwrap().lower.unwrap();
    let expected =
        (first.speedup.as_ref().unwrap().lower.unwrap() - 1.0) * ((similarity - 0.75) / 0.25).powf(0.25);
    assert!((ranking.entries[0].score - expected).abs() < 1e-12);
}

#[test]
fn the_same_evidence_gives_the_same_bytes_on_any_number_of_threads() {
    let run = run(Extent::Full, break_broken);
    let bytes = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| estimates(&run).to_json())
    };
    assert_eq!(bytes(1), bytes(5));
    let again: Estimates = Estimates::from_json(&bytes(1)).unwrap();
    assert_eq!(again, estimates(&run), "what is written can be read back");
}

#[test]
fn a_biased_control_makes_the_run_unfit() {
    let (estimates, ranking) = verdict(&run(Extent::Full, |plan, record| {
        if let Record::Attempt(attempt) = record
            && plan.sessions[attempt.session as usize].candidate == "clone"
            && attempt.side == Side::Candidate
            && let Outcome::Answered { latency_ns, .. } = &mut attempt.outcome
        {
            *latency_ns = *latency_ns * 104 / 100;
        }
    }));
    assert_eq!(estimates.certificate.verdict, CertificateVerdict::Unfit);
    assert_eq!(ranking.winner, None);
    assert!(ranking.entries.iter().all(|entry| entry.weight == 0.0));
    assert!(ranking.weights_refused.unwrap().contains("unfit"));
}

#[test]
fn a_control_that_cannot_answer_is_why_the_run_is_unfit() {
    let (estimates, ranking) = verdict(&run(Extent::Full, |plan, record| {
        if let Record::Attempt(attempt) = record
            && plan.sessions[attempt.session as usize].candidate == "clone"
            && attempt.side == Side::Candidate
        {
            attempt.outcome =
                Outcome::Failed(Failure { kind: FailureKind::Refused, detail: "no such weights".into() });
        }
    }));
    let Certificate { verdict, reason, .. } = &estimates.certificate;
    assert_eq!(*verdict, CertificateVerdict::Unfit);
    let expected = "the baseline was not measured against itself: the control refused ";
    assert!(reason.starts_with(expected) && reason.ends_with(" time(s): no such weights"), "{reason}");
    assert!(ranking.winner.is_none() && ranking.weights_refused.is_some());
}

/// Half of a run is no run: whoever ends one when he likes what he sees chose the answer. A stop says why somebody ended.
#[test]
fn a_run_that_was_ended_early_has_no_winner() {
    let cut = |stops: bool| {
        let mut run = run(Extent::Full, |_, _| {});
        let late = |session: u32| run.plan.sessions[session as usize].round == 4;
        run.log.records.retain(|record| !matches!(record, Record::Attempt(of) if late(of.session)));
        run.quality.records.retain(|record| !late(record.session));
        if stops {
            let stop = |of: &PipelinePlan| {
                let (candidate, reason) = (of.name.clone(), "the time was over".to_owned());
                Record::Stop(Stop {
                    candidate,
                    after_sessions: 4,
                    reason,
                    sessions_saved: 1,
                    beaten_by: None,
                })
            };
            run.log.records.extend(run.plan.candidates().iter().map(stop));
        }
        verdict(&run)
    };
    let (estimates, ranking) = cut(false);
    assert_eq!(estimates.certificate.verdict, CertificateVerdict::Unfit);
    let reason = &estimates.certificate.reason;
    assert!(reason.starts_with("it is not finished: 6 of 30 planned sessions"), "{reason}");
    assert!(ranking.winner.is_none() && ranking.weights_refused.is_some(), "{}", ranking.verdict);
    let quick = estimates.candidates.iter().find(|of| of.name == "quick").unwrap();
    assert_eq!((quick.counted.expected, quick.counted.compared), (30, 24), "{}", quick.counted);
    let (estimates, ranking) = cut(true);
    assert_eq!(estimates.certificate.verdict, CertificateVerdict::Fit);
    assert!(ranking.winner.is_some() && estimates.candidates.iter().all(|of| of.counted.expected == 24));
}

#[test]
fn throttled_samples_stay_and_a_verdict_they_decide_is_ambiguous() {
    // Of `middling`, the throttled pairs alone are fast.
    let (estimates, ranking) = verdict(&run(Extent::Full, |plan, record| {
        if let Record::Attempt(attempt) = record
            && plan.sessions[attempt.session as usize].candidate == "middling"
            && let Phase::Measured { pair } = attempt.phase
        {
            if pair < 3 {
                attempt.marks.push(Mark::Throttled);
            } else if attempt.side == Side::Candidate
                && let Outcome::Answered { latency_ns, .. } = &mut attempt.outcome
            {
                *latency_ns *= 2;
            }
        }
    }));
    let candidate = estimates.candidates.iter().find(|c| c.name == "middling").unwrap();
    assert_eq!((candidate.claim, candidate.pairs_throttled, candidate.pairs), (Claim::Ambiguous, 15, 30));
    assert!(candidate.speedup.as_ref().unwrap().point > 1.3);
    assert!((candidate.speedup_unthrottled.as_ref().unwrap().point - 1.0).abs() < 0.03);
    let entry = ranking.entries.iter().find(|e| e.name == "middling").unwrap();
    assert_eq!(entry.standing, Standing::NotFaster);
    assert_eq!(estimates.candidates[1].speedup_unthrottled, None);
}

#[test]
fn quick_and_unsandboxed_runs_set_no_weights() {
    let run = run(Extent::Quick, |_, _| {});
    let estimates = estimates(&run);
    assert!(estimates.warnings[0].contains("quick"));
    let ranking = rank(
        &estimates,
        &run.contest,
        &environment(Confinement::Unsandboxed { reason: "no bwrap".to_owned() }),
    );
    let refused = ranking.weights_refused.unwrap();
    assert!(refused.contains("quick run") && refused.contains("no bwrap"), "{refused}");
}

#[test]
fn a_run_that_could_stop_early_spends_its_error() {
    let plain = run(Extent::Full, |_, _| {});
    let mut stopped = run(Extent::Full, |_, _| {});
    stopped.plan.measurement.stopping.until_half_width = Some(0.005);
    let stop = Stop {
        candidate: "quick".into(),
        after_sessions: 5,
        reason: "narrow".into(),
        sessions_saved: 3,
        beaten_by: None,
    };
    stopped.log.records.push(Record::Stop(stop));
    let (plain, stopped) = (estimates(&plain), estimates(&stopped));
    let candidate = &stopped.candidates[1];
    assert_eq!(candidate.stopped.as_ref().unwrap().sessions_saved, 3);
    let speedup = candidate.speedup.as_ref().unwrap();
    assert!(speedup.method.contains("error spent over looks"), "{}", speedup.method);
    // One possible look (five sessions of five planned) spends all the error there is.
    let other = plain.candidates[1].speedup.as_ref().unwrap();
    assert!((speedup.lower.unwrap() / other.lower.unwrap() - 1.0).abs() < 1e-3);
}

#[test]
fn cheats_are_told_from_honest_candidates() {
    let mut run = run(Extent::Full, |_, _| ());
    let mut more = Vec::new();
    for record in &run.log.records {
        let Record::Attempt(attempt) = record else { continue };
        let Phase::Measured { pair } = attempt.phase else { continue };
        let session = &run.plan.sessions[attempt.session as usize];
        let cheat = attempt.side == Side::Candidate && session.candidate == "quick";
        let mut again = attempt.clone();
        again.phase = Phase::Repeat { pair };
        if let Outcome::Answered { latency_ns, .. } = &mut again.outcome {
            *latency_ns = if cheat { 10_000 + u64::from(session.round) } else { *latency_ns * 101 / 100 };
        }
        if session.repeats.iter().any(|repeat| repeat.pair == pair) {
            more.push(Record::Attempt(again));
        }
        let busy_ns = match session.candidate.as_str() {
            "middling" if attempt.side == Side::Candidate => 600_000_000,
            "quick-too" if attempt.side == Side::Candidate => 200_000_000,
            _ => 0,
        };
        if pair == 0 {
            let (session, launch, side) = (attempt.session, attempt.launch, attempt.side);
            let others_ns = Some(if session == 0 { 20_000_000 } else { 0 });
            let waited_ns = 1_000_000_000;
            more.push(Record::Idle(Idle { session, launch, side, waited_ns, busy_ns, others_ns }));
        }
    }
    run.log.records.extend(more);
    let (estimates, ranking) = verdict(&run);
    let found = |name: &str, what| {
        let candidate = estimates.candidates.iter().find(|c| c.name == name).unwrap();
        candidate.honesty.iter().find(|check| check.what == what).unwrap().verdict
    };
    for (name, repeats, idle) in [
        ("clone", HonestyVerdict::Passed, HonestyVerdict::Passed),
        ("quick", HonestyVerdict::Failed, HonestyVerdict::Passed),
        ("quick-too", HonestyVerdict::Passed, HonestyVerdict::Doubtful),
        ("middling", HonestyVerdict::Passed, HonestyVerdict::Failed),
    ] {
        assert_eq!(found(name, HonestyKind::Repeats), repeats, "{name}");
        assert_eq!(found(name, HonestyKind::Idle), idle, "{name}");
        assert_eq!(found(name, HonestyKind::Distinct), HonestyVerdict::Passed, "{name}");
        let standing = ranking.entries.iter().find(|e| e.name == name).unwrap().standing;
        let failed = [repeats, idle].contains(&HonestyVerdict::Failed);
        assert_eq!(standing == Standing::Failed, failed, "{name}");
        let doubtful = idle == HonestyVerdict::Doubtful;
        assert!(!doubtful || standing == Standing::NotFaster, "{name} earns nothing: {standing:?}");
    }
    assert!(estimates.warnings.iter().any(|w| w.contains("\"quick-too\": Idle")), "{:?}", estimates.warnings);
}

/// When parts come before an answer's end, or at its end all at once, or a first one that says little comes at once, decides
/// nothing that is scored: no burst is faster than its last byte.
#[test]
fn no_answer_is_faster_for_how_its_parts_came() {
    let streamed = |shares: [f64; 4]| {
        let run = run(Extent::Full, |plan, record| {
            let Record::Attempt(attempt) = record else { return };
            let quick = plan.sessions[attempt.session as usize].candidate == "quick";
            let tampers = quick && attempt.side == Side::Candidate;
            let Outcome::Answered { latency_ns, first_ns, units, parts, .. } = &mut attempt.outcome else {
                return;
            };
            let shares = if tampers { shares } else { [0.25, 0.5, 0.75, 1.0] };
            *units = 4;
            *parts =
                shares.map(|share| Arrival { at_ns: (*latency_ns as f64 * share) as u64, units: 1 }).to_vec();
            *first_ns = Some(parts[0].at_ns);
        });
        let (estimates, ranking) = verdict(&run);
        let quick = estimates.candidates.into_iter().find(|of| of.name == "quick").unwrap();
        let score = ranking.entries.iter().find(|of| of.name == "quick").unwrap().score;
        let first = quick.streaming.unwrap().first.ratio.point;
        (quick.speedup.unwrap(), quick.kinds, score, first)
    };
    let even = streamed([0.25, 0.5, 0.75, 1.0]);
    for (shares, sooner) in [([0.99, 0.99, 0.99, 1.0], false), ([0.01, 0.99, 0.99, 1.0], true)] {
        let other = streamed(shares);
        assert_eq!((&other.0, &other.1, other.2), (&even.0, &even.1, even.2), "{shares:?}");
        assert_eq!(other.3 < even.3, sooner, "what it held back is seen in the time to the first part");
    }
}

/// What any engine must do takes a candidate half of its time, twice its time, or twenty times it.
#[test]
fn who_answers_sooner_than_any_engine_could_is_found_out() {
    let run = run(Extent::Full, |_, _| {});
    let latency = |estimates: &Estimates, name: &str| {
        let found = estimates.candidates.iter().find(|candidate| candidate.name == name).unwrap();
        found.latency_ms.as_ref().unwrap().mean.point
    };
    let plain = estimates(&run);
    assert!(plain.candidates.iter().all(|c| c.honesty.iter().all(|h| h.what != HonestyKind::Implausible)));
    let work = [("quick", 0.5), ("quick-too", 2.0), ("middling", 20.0)];
    let work = work.map(|(name, times)| (name, (latency(&plain, name) * times * 1e6) as u64));
    let environment = device(&work);
    let evidence = Evidence { environment: Some(&environment), ..run.evidence() };
    let found = analyze(&evidence, &settings_of(&run.contest, &run.plan)).unwrap();
    let of = |name: &str| found.candidates.iter().find(|candidate| candidate.name == name).unwrap();
    let verdict = |name: &str| {
        of(name).honesty.iter().find(|check| check.what == HonestyKind::Implausible).unwrap().verdict
    };
    assert_eq!(verdict("quick"), HonestyVerdict::Passed);
    assert_eq!(verdict("quick-too"), HonestyVerdict::Doubtful);
    assert_eq!(verdict("middling"), HonestyVerdict::Failed);
    assert_eq!(verdict("ugly"), HonestyVerdict::Unknown, "nobody knows what it needs");
    // A floor above the baseline's own answers tells nothing of anybody.
    let mut scripted = environment.clone();
    let theirs = scripted.work["middling"].clone();
    scripted.work.insert(run.plan.baseline().name.clone(), theirs);
    let evidence = Evidence { environment: Some(&scripted), ..run.evidence() };
    let unsure = analyze(&evidence, &settings_of(&run.contest, &run.plan)).unwrap();
    let unknown = |check: &&HonestyCheck| {
        check.what == HonestyKind::Implausible && check.verdict == HonestyVerdict::Unknown
    };
    assert!(unsure.candidates.iter().all(|c| c.honesty.iter().filter(unknown).count() == 1));
    let floor = of("quick").floor.unwrap();
    assert!((floor.times / 2.0 - 1.0).abs() < 0.05 && floor.least_times <= floor.times, "{floor:?}");
    assert!((floor.declared_ms / floor.lowest_ms / 8.0 - 1.0).abs() < 1e-9, "{floor:?}");
    let ranking = rank(&found, &run.contest, &environment);
    let standing = |name: &str| ranking.entries.iter().find(|entry| entry.name == name).unwrap();
    assert_eq!(standing("middling").standing, Standing::Failed);
    assert_eq!(standing("middling").weight, 0.0);
    assert_eq!(standing("quick-too").standing, Standing::Accepted, "doubtful is a warning");
}
