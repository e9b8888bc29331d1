//! Whole runs in memory against each other.

use edgemaxx_contract::comparison::{Comparison, ComparisonRow, Verdict};
use edgemaxx_contract::contest::DeviceKind;
use edgemaxx_contract::environment::{Build, Card, Environment};
use edgemaxx_contract::input::Input;
use edgemaxx_contract::plan::{Extent, Plan, Side};
use edgemaxx_contract::sample::{Failure, FailureKind, Mark, Outcome, Phase, Record};

use super::super::tests::simulated::{CONFINED, Run, break_broken, environment, noisy_run};
use super::*;

fn comparable<'a>(label: &'a str, run: &'a Run, environment: &'a Environment) -> ComparableRun<'a> {
    ComparableRun { label, evidence: run.evidence(), environment }
}

/// All latencies of this candidate times `factor`.
fn slower(name: &'static str, factor: f64) -> impl Fn(&Plan, &mut Record) {
    move |plan, record| {
        if let Record::Attempt(attempt) = record
            && plan.sessions[attempt.session as usize].candidate == name
            && attempt.side == Side::Candidate
            && let Outcome::Answered { latency_ns, .. } = &mut attempt.outcome
        {
            *latency_ns = (*latency_ns as f64 * factor) as u64;
        }
    }
}

fn compared(reference: &Run, subject: &Run, settings: &CompareSettings) -> Comparison {
    let machine = environment(CONFINED);
    compare_runs(
        &comparable("before", reference, &machine),
        &comparable("after", subject, &machine),
        settings,
    )
    .unwrap()
}

fn row<'a>(comparison: &'a Comparison, name: &str) -> &'a ComparisonRow {
    comparison.rows.iter().find(|row| row.name == name).unwrap()
}

#[test]
fn a_large_change_is_found_and_a_small_one_is_not_invented() {
    let settings = CompareSettings { max_slowdown: 0.03, ..CompareSettings::default() };
    let reference = noisy_run("one", Extent::Full, |_, _| {});
    let subject = noisy_run("three", Extent::Full, slower("quick", 1.1));
    let found = compared(&reference, &subject, &settings);
    assert_eq!(found.verdict, Verdict::Regressed, "{found:#?}");
    let quick = row(&found, "quick");
    let slowdown = quick.slowdown.as_ref().unwrap();
    assert_eq!(quick.verdict, Verdict::Regressed);
    assert!((slowdown.point - 0.1).abs() < 0.02 && slowdown.lower > Some(0.03), "{slowdown:?}");
    for name in ["quick-too", "middling", "ugly", "broken"] {
        assert!(row(&found, name).verdict <= Verdict::CannotTell, "{name}");
    }
    assert!(found.rows.iter().all(|row| row.name != "clone"), "the control says nothing here");
    let back = compared(&subject, &reference, &settings);
    assert_eq!(row(&back, "quick").verdict, Verdict::Improved);
    assert!(found.reason.starts_with("quick regressed; "), "{}", found.reason);
}

#[test]
fn a_run_against_itself_tells_nothing_of_a_change() {
    let run = noisy_run("one", Extent::Full, |_, _| {});
    let settings = CompareSettings { max_slowdown: 10.0, ..CompareSettings::default() };
    let found = compared(&run, &run, &settings);
    assert_eq!(found.verdict, Verdict::CannotTell, "{found:#?}");
    let quick = row(&found, "quick");
    assert_eq!(quick.reason, "a measurement against itself tells nothing of a change");
    let slowdown = quick.slowdown.as_ref().unwrap();
    assert_eq!(
        (slowdown.lower, slowdown.upper, quick.detectable, quick.more_sessions),
        (None, None, None, None)
    );
    assert!(found.reason.ends_with("; both are one and the same measurement"), "{}", found.reason);
    // Of the answers it tells what it tells alone.
    let ugly = compared(&run, &run, &CompareSettings { min_similarity: Some(0.9), ..settings });
    assert_eq!(row(&ugly, "ugly").verdict, Verdict::Regressed, "{ugly:#?}");
}

#[test]
fn who_vanished_is_named_and_passes_for_nothing() {
    let subject = noisy_run("three", Extent::Full, |_, _| {});
    let mut reference = noisy_run("one", Extent::Full, |_, _| {});
    reference.plan.pipelines.iter_mut().find(|p| p.name == "quick").unwrap().name = "gone".to_owned();
    for session in reference.plan.sessions.iter_mut().filter(|session| session.candidate == "quick") {
        session.candidate = "gone".to_owned();
    }
    let settings = CompareSettings { max_slowdown: 10.0, ..CompareSettings::default() };
    let found = compared(&reference, &subject, &settings);
    assert_eq!((found.verdict, row(&found, "gone").verdict), (Verdict::CannotTell, Verdict::CannotTell));
    assert!(row(&found, "gone").reason.contains("not in after"), "{found:#?}");
    assert!(
        found.reason.contains("gone cannot be told")
            && found.reason.contains("not in the reference are quick")
    );
    let (gone, before) = (row(&found, "gone"), row(&found, "middling").counted.expected);
    assert_eq!(
        gone.counted.to_string(),
        format!("0 of {before} requests answered on both sides; {before} not in after")
    );
    assert!(gone.reference_counted.as_ref().is_some_and(|counted| counted.is_whole()), "{gone:?}");
    let asked = |names: &[&str]| {
        let candidates = names.iter().map(|name| (*name).to_owned()).collect();
        compared(&reference, &subject, &CompareSettings { candidates, ..settings.clone() })
    };
    assert!(asked(&["quick-too"]).rows.iter().all(|row| row.name != "gone"));
    // Who is asked for and cannot be compared is not passed over.
    let found = asked(&["quick-too", "quick"]);
    assert_eq!((row(&found, "quick-too").verdict, found.verdict), (Verdict::Equivalent, Verdict::CannotTell));
    assert_eq!(row(&found, "quick").reason, "not in before");
}

#[test]
fn what_cannot_be_told_names_the_sessions_it_would_take() {
    let reference = noisy_run("one", Extent::Full, |_, _| {});
    let subject = noisy_run("three", Extent::Full, |_, _| {});
    let strict = CompareSettings { max_slowdown: 0.002, ..CompareSettings::default() };
    let found = compared(&reference, &subject, &strict);
    let unsure: Vec<_> = found.rows.iter().filter(|row| row.verdict == Verdict::CannotTell).collect();
    assert!(!unsure.is_empty(), "{found:#?}");
    assert!(unsure.iter().any(|row| row.more_sessions.is_some_and(|more| more > 5)), "{unsure:#?}");
}

#[test]
fn pictures_must_prove_what_is_asked_for() {
    let run = noisy_run("one", Extent::Full, |_, _| {});
    let machine = environment(CONFINED);
    let judge = |least, names: &[&str]| {
        let candidates = names.iter().map(|name| (*name).to_owned()).collect();
        let settings =
            CompareSettings { min_similarity: Some(least), candidates, ..CompareSettings::default() };
        compare_with_baseline(&comparable("run", &run, &machine), &settings).unwrap()
    };
    let found = judge(0.9, &[]);
    assert_eq!(row(&found, "quick").verdict, Verdict::Improved, "{found:#?}");
    assert_eq!(row(&found, "ugly").verdict, Verdict::Regressed);
    assert_eq!(found.reference.label, "teacher, the baseline");
    // The mean of `quick` is .94: exactly there, nothing is proven.
    let near = judge(0.94, &["quick"]);
    assert_eq!((near.rows.len(), near.verdict), (1, Verdict::CannotTell), "{near:#?}");
}

#[test]
fn a_candidate_that_fails_now_has_regressed() {
    let works = noisy_run("one", Extent::Full, |_, _| {});
    let broken = noisy_run("three", Extent::Full, break_broken);
    let settings = CompareSettings::default();
    let found = compared(&works, &broken, &settings);
    let now = row(&found, "broken");
    assert!(now.verdict == Verdict::Regressed && now.reason.contains("out of memory"), "{now:?}");
    assert_eq!(row(&compared(&broken, &works, &settings), "broken").verdict, Verdict::CannotTell);
    assert_eq!(row(&compared(&broken, &broken, &settings), "broken").verdict, Verdict::CannotTell);
}

/// The candidate `quick` gives one answer to all requests.
fn one_answer(plan: &Plan, record: &mut Record) {
    if let Record::Attempt(attempt) = record
        && plan.sessions[attempt.session as usize].candidate == "quick"
        && attempt.side == Side::Candidate
        && let Outcome::Answered { answer, .. } = &mut attempt.outcome
    {
        *answer = edgemaxx_contract::digest::Digest::of("always");
    }
}

#[test]
fn a_candidate_that_is_found_dishonest_improves_nothing() {
    let honest = noisy_run("one", Extent::Full, |_, _| {});
    let liar = noisy_run("three", Extent::Full, one_answer);
    let settings = CompareSettings { max_slowdown: 10.0, ..CompareSettings::default() };
    let alone = compare_with_baseline(&comparable("run", &liar, &environment(CONFINED)), &settings).unwrap();
    for found in [alone, compared(&honest, &liar, &settings)] {
        let quick = row(&found, "quick");
        assert_eq!((quick.verdict, found.verdict), (Verdict::Regressed, Verdict::Regressed));
        assert!(quick.reason.starts_with("it fails: Distinct answers: "), "{quick:?}");
        assert!(row(&found, "middling").verdict <= Verdict::Equivalent, "{found:#?}");
    }
    let found = compared(&liar, &honest, &settings);
    assert_eq!(row(&found, "quick").verdict, Verdict::CannotTell, "its reference says nothing");
}

#[test]
fn no_good_news_rests_on_an_unfit_machine() {
    let (before, after) =
        (noisy_run("one", Extent::Full, |_, _| {}), noisy_run("three", Extent::Full, slower("quick", 1.5)));
    let fit = environment(CONFINED);
    let hot = Environment { unfit: vec!["clocks: the card ran at 300 MHz".to_owned()], ..fit.clone() };
    let settings = CompareSettings { max_slowdown: 0.1, ..CompareSettings::default() };
    let said = |found: &Comparison| {
        let words = "an unfit machine: clocks: the card ran at 300 MHz";
        assert!(found.warnings.iter().any(|warning| warning.contains(words)), "{found:#?}");
        let middling = row(found, "middling");
        assert!(middling.verdict == Verdict::CannotTell && middling.reason.contains(words), "{middling:?}");
    };
    for (here, there) in [(&hot, &fit), (&fit, &hot)] {
        let runs = (comparable("before", &before, here), comparable("after", &after, there));
        let found = compare_runs(&runs.0, &runs.1, &settings).unwrap();
        assert_eq!(row(&found, "quick").verdict, Verdict::Regressed, "bad news stays");
        said(&found);
    }
    said(&compare_with_baseline(&comparable("run", &before, &hot), &settings).unwrap());
    assert!(compared(&before, &after, &settings).warnings.is_empty());
}

#[test]
fn requests_that_do_not_count_are_counted() {
    let whole = noisy_run("one", Extent::Full, |_, _| {});
    let lacking = noisy_run("three", Extent::Full, |plan, record| {
        if let Record::Attempt(attempt) = record
            && plan.sessions[attempt.session as usize].candidate == "quick"
            && attempt.phase == (Phase::Measured { pair: 0 })
            && attempt.side == Side::Baseline
        {
            let failure = Failure { kind: FailureKind::Died, detail: "gone".to_owned() };
            attempt.outcome = Outcome::Failed(failure);
        }
    });
    let found = compared(&whole, &lacking, &CompareSettings::default());
    let sessions = lacking.plan.sessions.iter().filter(|session| session.candidate == "quick").count() as u64;
    let (quick, other) = (row(&found, "quick"), row(&found, "middling"));
    let expected = quick.counted.expected;
    let said =
        format!("{} of {expected} requests answered on both sides; {sessions} failed", expected - sessions);
    assert_eq!(quick.counted.to_string(), said);
    assert!(other.counted.is_whole() && other.counted.expected == expected, "{:?}", other.counted);
    // No good news of a part of the requests, on either side; bad news stays.
    let wide = CompareSettings { max_slowdown: 10.0, ..CompareSettings::default() };
    for found in [compared(&whole, &lacking, &wide), compared(&lacking, &whole, &wide)] {
        assert_eq!(row(&found, "middling").verdict, Verdict::Equivalent);
        let quick = row(&found, "quick");
        assert_eq!(quick.verdict, Verdict::CannotTell, "{quick:?}");
        assert!(quick.reason.contains("but not of all requests: ") && quick.slowdown.is_some(), "{quick:?}");
    }
    assert!(quick.reference_counted.as_ref().is_some_and(|counted| counted.is_whole()));
    let machine = environment(CONFINED);
    let own = compare_with_baseline(&comparable("run", &lacking, &machine), &CompareSettings::default());
    let own = own.unwrap();
    assert_eq!(
        (row(&own, "quick").counted.to_string(), &row(&own, "quick").reference_counted),
        (said, &None)
    );
}

#[test]
fn throttled_samples_must_not_decide() {
    let reference = noisy_run("one", Extent::Full, |_, _| {});
    // Only throttled pairs are slow.
    let subject = noisy_run("three", Extent::Full, |plan, record| {
        if let Record::Attempt(attempt) = record
            && plan.sessions[attempt.session as usize].candidate == "quick"
            && matches!(attempt.phase, Phase::Measured { pair } if pair < 3)
        {
            attempt.marks.push(Mark::Throttled);
            slower("quick", 1.5)(plan, record);
        }
    });
    let found = compared(&reference, &subject, &CompareSettings { max_slowdown: 0.1, ..Default::default() });
    let quick = row(&found, "quick");
    assert!(quick.verdict == Verdict::CannotTell && quick.reason.contains("throttled"), "{quick:?}");
    assert_eq!(quick.more_sessions, None);
}

#[test]
fn where_all_samples_are_throttled_nothing_is_told_by_them() {
    let calm = noisy_run("one", Extent::Full, |_, _| {});
    let throttled = noisy_run("three", Extent::Full, |plan, record| {
        if let Record::Attempt(attempt) = record
            && plan.sessions[attempt.session as usize].candidate == "quick"
            && (attempt.session > 4 || matches!(attempt.phase, Phase::Measured { pair } if pair > 0))
        {
            attempt.marks.push(Mark::Throttled);
        }
    });
    let settings = CompareSettings { max_slowdown: 0.5, ..Default::default() };
    let said = |found: &Comparison| {
        let quick = row(found, "quick");
        (quick.verdict, quick.reason.clone(), quick.more_sessions)
    };
    let again = noisy_run("three", Extent::Full, |_, _| {});
    assert!(said(&compared(&calm, &again, &settings)).0 <= Verdict::Equivalent);
    let nothing = "too few samples are left without the throttled ones".to_owned();
    for (reference, subject) in [(&calm, &throttled), (&throttled, &calm)] {
        let found = compared(reference, subject, &settings);
        assert_eq!(said(&found), (Verdict::CannotTell, nothing.clone(), None));
        assert_ne!(row(&found, "middling").verdict, Verdict::CannotTell, "the others are not touched");
    }
    let own =
        compare_with_baseline(&comparable("run", &throttled, &environment(CONFINED)), &settings).unwrap();
    assert_eq!(said(&own), (Verdict::CannotTell, nothing, None));
}

#[test]
fn other_conditions_and_unfit_runs_are_refused_by_name() {
    let (reference, subject) =
        (noisy_run("one", Extent::Full, |_, _| {}), noisy_run("three", Extent::Full, |_, _| {}));
    let (here, mut there) = (environment(CONFINED), environment(CONFINED));
    there.cpu = "another".to_owned();
    there.pins.push("OMP_NUM_THREADS=8".to_owned());
    let settings = CompareSettings::default();
    let found =
        compare_runs(&comparable("a", &reference, &here), &comparable("b", &subject, &there), &settings)
            .unwrap();
    assert_eq!(found.verdict, Verdict::Incomparable);
    let what: Vec<&str> = found.differences.iter().map(|d| d.what.as_str()).collect();
    assert_eq!(what, ["processor", "pins"]);
    assert!(found.reason.contains("processor, pins") && found.rows.is_empty(), "{}", found.reason);

    // Another build of the same version is said, and no reason to refuse; nor is another card of the same kind.
    let build = |commit: &str| Build {
        commit: commit.to_owned(),
        profile: "release".to_owned(),
        rustc: "rustc 1.95.0".to_owned(),
        features: Vec::new(),
    };
    let on = |index: u32, commit| {
        let card = Card {
            kind: DeviceKind::Cuda,
            index,
            name: "a card".to_owned(),
            uuid: Some(format!("GPU-{index}")),
            driver: Some("580".to_owned()),
            node: None,
        };
        let pins = vec!["LC_ALL=C".to_owned(), format!("SEEN=GPU-{index}")];
        Environment { card: Some(card), pins, build: Some(build(commit)), ..environment(CONFINED) }
    };
    let here_on = on(0, "one");
    let compare = |there: &Environment| {
        let runs = (comparable("a", &reference, &here_on), comparable("b", &subject, there));
        compare_runs(&runs.0, &runs.1, &settings).unwrap()
    };
    let found = compare(&on(1, "two"));
    assert_eq!((found.differences.len(), found.builds.len()), (0, 1), "{found:#?}");
    assert_eq!((found.builds[0].what.as_str(), found.builds[0].subject.as_str()), ("commit", "two"));
    assert_eq!(compare(&on(0, "one")).builds, []);
    let mut newer = on(0, "one");
    newer.card.as_mut().unwrap().driver = Some("581".to_owned());
    assert_eq!(compare(&newer).differences[0].what, "card");

    let mut other = noisy_run("three", Extent::Full, |_, _| {});
    other.plan.pipelines[0].digest = edgemaxx_contract::digest::Digest::of("another teacher");
    let request = other.plan.request.object().to_value();
    let wider = serde_json::to_string(&request).unwrap().replace("\"width\":64", "\"width\":128");
    let wider = serde_json::from_str(&wider).unwrap();
    other.plan.request = other.plan.task.request(&Input::json("request", &wider)).unwrap();
    let what: Vec<String> =
        compared(&reference, &other, &settings).differences.into_iter().map(|d| d.what).collect();
    assert_eq!(what, ["picture size", "baseline"]);

    // The machine twice as slow in the subject: whether ratios survive that is anybody's guess.
    let slow = noisy_run("three", Extent::Full, |_, record| {
        if let Record::Attempt(attempt) = record
            && let Outcome::Answered { latency_ns, .. } = &mut attempt.outcome
        {
            *latency_ns *= 2;
        }
    });
    let found = compared(&reference, &slow, &settings);
    assert_eq!(
        (found.verdict, found.differences[0].what.as_str()),
        (Verdict::Incomparable, "baseline's latency")
    );
    let allowed = compared(&reference, &slow, &CompareSettings { max_drift: 1.5, ..Default::default() });
    assert!(
        allowed.verdict < Verdict::Unfit && allowed.reason.contains("which cancels"),
        "{}",
        allowed.reason
    );

    let biased = noisy_run("three", Extent::Full, slower("clone", 1.04));
    let found = compared(&reference, &biased, &settings);
    assert_eq!((found.verdict, found.rows.len()), (Verdict::Unfit, 0));
    assert!(found.reason.starts_with("after is unfit"), "{}", found.reason);
}

#[test]
fn limits_and_names_out_of_range_are_refused() {
    let run = noisy_run("one", Extent::Full, |_, _| {});
    let machine = environment(CONFINED);
    let refused = |settings: CompareSettings| {
        compare_with_baseline(&comparable("run", &run, &machine), &settings).unwrap_err().to_string()
    };
    let message = refused(CompareSettings { candidates: vec!["quik".into()], ..Default::default() });
    assert!(message.contains("\"quik\"") && message.contains("quick, quick-too"), "{message}");
    for settings in [
        CompareSettings { max_slowdown: f64::NAN, ..Default::default() },
        CompareSettings { min_similarity: Some(3.0), ..Default::default() },
        CompareSettings { level: 1.0, ..Default::default() },
    ] {
        assert!(refused(settings).contains("expected"), "a range");
    }
}

/// Processor time as good as exact on both sides, `factor` times the baseline's for the candidate `name`.
fn costs(name: &'static str, factor: f64) -> impl Fn(&Plan, &mut Record) {
    move |plan, record| {
        if let Record::Attempt(attempt) = record {
            let own =
                plan.sessions[attempt.session as usize].candidate == name && attempt.side == Side::Candidate;
            attempt.cpu_ns = Some(if own { (1e9 * factor) as u64 } else { 1_000_000_000 });
        }
    }
}

#[test]
fn processor_time_is_told_beside_latency_and_decides_nothing() {
    let settings = CompareSettings { max_slowdown: 0.03, ..CompareSettings::default() };
    let machine = environment(CONFINED);
    let compared = |run: &Run| compare_with_baseline(&comparable("run", run, &machine), &settings).unwrap();
    let plain = compared(&noisy_run("one", Extent::Full, |_, _| {}));
    let costly = compared(&noisy_run("one", Extent::Full, costs("quick", 1.5)));
    let processor = row(&costly, "quick").processor.as_ref().unwrap();
    assert!((processor.point - 0.5).abs() < 1e-6, "{processor:?}");
    assert_eq!(row(&costly, "quick-too").processor.as_ref().unwrap().point, 0.0);
    assert_eq!(row(&plain, "quick").processor, None, "where it was not recorded");
    for (with, without) in costly.rows.iter().zip(&plain.rows) {
        assert_eq!((with.verdict, &with.slowdown), (without.verdict, &without.slowdown), "{}", with.name);
    }
    // one answer of which it is not known, and the session says nothing
    let partly = noisy_run("one", Extent::Full, |plan, record| {
        costs("quick", 1.5)(plan, record);
        if let Record::Attempt(attempt) = record
            && matches!(attempt.phase, Phase::Measured { pair: 1 })
        {
            attempt.cpu_ns = None;
        }
    });
    assert_eq!(row(&compared(&partly), "quick").processor, None);
}
