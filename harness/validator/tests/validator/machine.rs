//! The machine alone: which event leads where, and that no other is possible.

use edgemaxx_contract::day::{DayRecord, Fate, Submission};
use edgemaxx_contract::digest::Digest;
use edgemaxx_contract::format::Document as _;
use edgemaxx_contract::sealed_claim::{Claim, Salt, sealed};
use edgemaxx_contract::weights::{Origin, Weights, entries};
use edgemaxx_validator::calendar::noon;
use edgemaxx_validator::machine::{Event, Step, apply, deadline, decide, following};
use edgemaxx_validator::policy::Policy;
use edgemaxx_validator::state::{OnChain, Phase, State, Unreachable};

fn record(fates: &[Fate]) -> DayRecord {
    let submission = |(index, fate): (usize, &Fate)| Submission {
        hotkey: format!("m{index}"),
        uid: Some(index as u16),
        index: None,
        since: index as u64,
        source: format!("hf:m/m@{index}"),
        claim: None,
        fate: fate.clone(),
    };
    DayRecord {
        block: None,
        submissions: fates.iter().enumerate().map(submission).collect(),
        ..DayRecord::mock()
    }
}

fn weights(origin: Origin) -> Box<Weights> {
    Box::new(Weights {
        format: Weights::expected_format(),
        day: "2026-11-22".parse().unwrap(),
        origin,
        reason: "because".to_owned(),
        ranking: None,
        earned: None,
        share: None,
        winner: None,
        entries: entries([("m0".to_owned(), 1.0)]),
    })
}

fn state(phase: Phase, record: Option<DayRecord>) -> State {
    let day: edgemaxx_contract::plan::Day = "2026-11-22".parse().unwrap();
    let mut state = State::waiting(day.clone(), noon(&day).unwrap(), 0, None);
    state.phase = phase;
    state.record = record;
    state
}

fn invalid() -> Fate {
    Fate::Invalid { reason: "x".to_owned() }
}

/// One of each event.
fn events() -> Vec<Event> {
    let candidate = Fate::candidate(Digest::of("x"));
    vec![
        Event::Noon,
        Event::Collected(record(&[Fate::Pending])),
        Event::Deduplicated(Vec::new()),
        Event::Prepared("m0".to_owned(), candidate),
        Event::Compared(Vec::new()),
        Event::Measured,
        Event::NotMeasured("why".to_owned()),
        Event::Analysed,
        Event::Published(weights(Origin::Earned), Digest::of("m")),
        Event::SettingAfter(5),
        Event::WeightsSet(7),
        Event::WeightsNotSet("why".to_owned()),
        Event::SealCommitted(8),
        Event::SealNotCommitted("why".to_owned()),
    ]
}

#[test]
fn every_event_leads_where_the_table_says_and_nowhere_else() {
    use Phase::*;
    // Rows: phases. Columns: the events above. `None`: impossible.
    #[rustfmt::skip]
    let table: [(Phase, [Option<Phase>; 14]); 9] = [
        (Waiting,        [Some(Collecting), None, None, None, None, None, None, None, None, None, None, None, None, None]),
        (Collecting,     [None, Some(Deduplicating), None, None, None, None, None, None, None, None, None, None, None, None]),
        (Deduplicating,  [None, None, Some(Preparing), None, None, None, None, None, None, None, None, None, None, None]),
        (Preparing,      [None, None, None, Some(Preparing), Some(Measuring), None, None, None, None, None, None, None, None, None]),
        (Measuring,      [None, None, None, None, None, Some(Analysing), Some(Publishing), None, None, None, None, None, None, None]),
        (Analysing,      [None, None, None, None, None, None, Some(Publishing), Some(Publishing), None, None, None, None, None, None]),
        (Publishing,     [None, None, None, None, None, None, None, None, Some(SettingWeights), None, None, None, None, None]),
        (SettingWeights, [None, None, None, None, None, None, None, None, None, Some(SettingWeights), Some(Holding), Some(Holding), None, None]),
        (Holding,        [None, None, None, None, None, None, None, None, None, None, Some(Holding), None, Some(Holding), Some(Holding)]),
    ];
    let policy = Policy::default();
    let one = record(&[Fate::candidate(Digest::of("x"))]);
    for (phase, row) in table {
        let before = state(phase, Some(one.clone()));
        for (event, expected) in events().into_iter().zip(row) {
            let after = apply(&before, event.clone(), 10, &policy);
            assert_eq!(after.ok().map(|state| state.phase), expected, "{phase:?} {event:?}");
        }
        let troubled = apply(&before, Event::Trouble("x".to_owned()), 10, &policy).unwrap();
        assert_eq!((troubled.phase, troubled.trouble.unwrap().retry_at), (phase, 10 + policy.retry_s));
    }
}

#[test]
fn days_without_candidates_go_straight_to_their_verdict() {
    let policy = Policy::default();
    let after =
        |phase, record: DayRecord, event| apply(&state(phase, Some(record)), event, 0, &policy).unwrap();
    let nobody = after(Phase::Collecting, record(&[]), Event::Collected(record(&[])));
    assert_eq!(nobody.phase, Phase::Publishing);
    let none_valid = after(Phase::Preparing, record(&[invalid()]), Event::Compared(Vec::new()));
    assert_eq!(none_valid.phase, Phase::Publishing);
    let nothing =
        after(Phase::Publishing, record(&[]), Event::Published(weights(Origin::None), Digest::of("m")));
    assert_eq!(nothing.phase, Phase::Holding);
    assert!(matches!(nothing.on_chain, Some(OnChain::NotSet { .. })));
}

#[test]
fn a_day_that_holds_commits_its_seal_once_and_then_only_keeps_its_weights_fresh() {
    let policy = Policy::default();
    let now = noon(&"2026-11-22".parse().unwrap()).unwrap() + 3600;
    let manifest = Digest::of("m");
    let holding = State { manifest: Some(manifest), ..state(Phase::Holding, Some(record(&[]))) };
    assert_eq!(decide(&holding, now, &policy), Ok(Step::CommitSeal { manifest }));
    let away = apply(&holding, Event::Trouble("away".to_owned()), now, &policy).unwrap();
    assert!(matches!(decide(&away, now + 1, &policy), Ok(Step::Wait { .. })));
    assert_eq!(decide(&away, now + policy.retry_s, &policy), Ok(Step::CommitSeal { manifest }));
    for event in [Event::SealCommitted(8), Event::SealNotCommitted("too soon".to_owned())] {
        let after = apply(&away, event, now, &policy).unwrap();
        assert_eq!((decide(&after, now, &policy), &after.trouble), (Ok(Step::Refresh), &None));
        assert_eq!(after.on_chain, holding.on_chain, "the weights are not touched");
    }
}

#[test]
fn what_takes_too_long_is_given_up_by_its_policy() {
    let policy = Policy::default();
    let today = noon(&"2026-11-22".parse().unwrap()).unwrap();
    let tomorrow = noon(&"2026-11-23".parse().unwrap()).unwrap();
    let troubled = |phase, now: i64| {
        let before = state(phase, Some(record(&[Fate::Pending])));
        apply(&before, Event::Trouble("the net is down".to_owned()), now, &policy).unwrap()
    };
    let step = |state: &State, now| decide(state, now, &policy).unwrap();

    let unreachable = |gone| {
        let why = Unreachable { why: "the net is down".to_owned(), gone };
        let before = state(Phase::Preparing, Some(record(&[Fate::Pending])));
        apply(&before, Event::Unreachable("m0".to_owned(), why), today + 60, &policy).unwrap()
    };
    let gone = unreachable(true);
    assert!(matches!(step(&gone, today + policy.gone_for_s - 1), Step::Prepare { .. }));
    assert!(matches!(step(&gone, today + policy.gone_for_s), Step::GiveUp(Event::Prepared(..))));
    let preparing = unreachable(false);
    assert!(matches!(step(&preparing, today + policy.prepare_for_s - 1), Step::Prepare { .. }));
    let late = step(&preparing, today + policy.prepare_for_s);
    assert!(
        matches!(&late, Step::GiveUp(Event::Prepared(who, Fate::Invalid { reason })) if who == "m0" && reason.contains("the net is down")),
        "{late:?}"
    );

    let measuring = state(Phase::Measuring, Some(record(&[])));
    assert_eq!(step(&measuring, tomorrow + 60), Step::Measure, "a contest may run past the next noon");
    assert!(matches!(step(&measuring, tomorrow + policy.overrun_s), Step::GiveUp(Event::NotMeasured(_))));
    assert!(matches!(
        step(&troubled(Phase::Measuring, tomorrow - 9), tomorrow),
        Step::GiveUp(Event::NotMeasured(_))
    ));

    let setting = troubled(Phase::SettingWeights, tomorrow - 60);
    assert_eq!(step(&setting, tomorrow), Step::GiveUp(Event::WeightsNotSet("the net is down".to_owned())));
}

#[test]
fn pauses_double_up_to_a_limit_and_a_clock_set_back_waits_for_nobody() {
    let policy = Policy::default();
    assert_eq!([1, 2, 3, 40].map(|n| policy.pause(n)), [15, 30, 60, 600]);
    let now = noon(&"2026-11-22".parse().unwrap()).unwrap() + 7200;
    let before = state(Phase::Collecting, None);
    let troubled = apply(&before, Event::Trouble("x".to_owned()), now, &policy).unwrap();
    assert!(matches!(decide(&troubled, now + 5, &policy), Ok(Step::Wait { .. })));
    assert_eq!(decide(&troubled, now - 3600, &policy), Ok(Step::Collect));
}

/// The noons of the day and of the next.
fn noons() -> (i64, i64) {
    let of = |day: &str| noon(&day.parse().unwrap()).unwrap();
    (of("2026-11-22"), of("2026-11-23"))
}

#[test]
fn every_phase_asks_for_its_step_and_a_days_ends_are_its_noons_to_the_second() {
    let policy = Policy::default();
    let (today, tomorrow) = noons();
    let one = Some(record(&[Fate::candidate(Digest::of("x")), Fate::Pending, invalid(), Fate::Pending]));
    let step = |phase, now| decide(&state(phase, one.clone()), now, &policy).unwrap();
    assert_eq!(step(Phase::Waiting, today - 1), Step::Wait { until: today });
    assert_eq!(step(Phase::Waiting, today), Step::GiveUp(Event::Noon));
    assert_eq!(step(Phase::Collecting, today), Step::Collect);
    assert_eq!(step(Phase::Deduplicating, today), Step::Deduplicate);
    let pending = [1, 3].map(|n| (format!("m{n}"), format!("hf:m/m@{n}"))).to_vec();
    assert_eq!(step(Phase::Preparing, today), Step::Prepare { pending });
    let known = state(Phase::Preparing, Some(record(&[Fate::candidate(Digest::of("x")), invalid()])));
    assert_eq!(decide(&known, today, &policy), Ok(Step::Compare));
    assert_eq!(step(Phase::Measuring, today), Step::Measure);
    assert_eq!(step(Phase::Analysing, today), Step::Analyse);
    assert_eq!(step(Phase::Publishing, today), Step::Publish);
    assert_eq!(step(Phase::SettingWeights, today), Step::LookBeforeSetting);
    let looked = State { set_after: Some(5), ..state(Phase::SettingWeights, one.clone()) };
    assert_eq!(decide(&looked, today, &policy), Ok(Step::SetWeights { after: 5 }));
    // A day is over with the next one's noon, and its weights are no longer its own to refresh.
    assert_eq!(step(Phase::Holding, tomorrow - 1), Step::Refresh);
    assert_eq!(step(Phase::Holding, tomorrow), Step::Wait { until: tomorrow });
    assert_eq!(step(Phase::Holding, tomorrow + 9), Step::Wait { until: tomorrow + 9 });
    assert_eq!(deadline(&"2026-11-22".parse().unwrap(), &policy), Ok(tomorrow - policy.reserve_s));
}

#[test]
fn the_next_day_begins_after_its_noon_and_only_once_this_one_holds() {
    let (_, tomorrow) = noons();
    let next = |phase, now| following(&state(phase, None), now).unwrap().map(|day| day.to_string());
    assert_eq!(next(Phase::Holding, tomorrow - 1), None);
    assert_eq!(next(Phase::Holding, tomorrow).as_deref(), Some("2026-11-23"));
    // Days on which nobody was there are skipped, and a clock that was set back repeats none.
    assert_eq!(next(Phase::Holding, tomorrow + 49 * 3600).as_deref(), Some("2026-11-25"));
    assert_eq!(next(Phase::Holding, tomorrow - 49 * 3600), None);
    assert_eq!(next(Phase::SettingWeights, tomorrow + 9), None);
}

/// A day that prepares with such fates, since its noon.
fn preparing(fates: &[Fate]) -> State {
    State { since: noons().0, ..state(Phase::Preparing, Some(record(fates))) }
}

#[test]
fn a_submission_of_which_nothing_is_known_is_waited_for_twice_as_long_and_shorter_where_somebody_is_there() {
    let policy = Policy::default();
    let (today, _) = noons();
    for (others, limit) in
        [(invalid(), policy.prepare_for_s), (Fate::candidate(Digest::of("x")), policy.wait_for_s)]
    {
        let silent = preparing(&[others, Fate::Pending]);
        assert!(matches!(decide(&silent, today + 2 * limit - 1, &policy), Ok(Step::Prepare { .. })));
        let Ok(Step::GiveUp(Event::Prepared(who, Fate::Invalid { reason }))) =
            decide(&silent, today + 2 * limit, &policy)
        else {
            panic!("waited for beyond {limit} s twice")
        };
        assert!(who == "m1" && reason.ends_with("could not be fetched in time"), "{who}: {reason}");
        let why = Unreachable { why: "the net is down".to_owned(), gone: false };
        let tried = apply(&silent, Event::Unreachable("m1".to_owned(), why), today, &policy).unwrap();
        assert!(matches!(decide(&tried, today + limit - 1, &policy), Ok(Step::Prepare { .. })));
        assert!(matches!(decide(&tried, today + limit, &policy), Ok(Step::GiveUp(_))));
    }
}

#[test]
fn looking_for_copies_ends_with_the_time_for_it_where_it_does_not_work() {
    let policy = Policy::default();
    let late = noons().0 + policy.prepare_for_s;
    let known = preparing(&[Fate::candidate(Digest::of("x"))]);
    assert_eq!(decide(&known, late, &policy), Ok(Step::Compare), "it works, however late");
    let troubled = apply(&known, Event::Trouble("no disk".to_owned()), late - 1, &policy).unwrap();
    assert!(matches!(decide(&troubled, late - 1, &policy), Ok(Step::Wait { .. })));
    assert_eq!(decide(&troubled, late, &policy), Ok(Step::GiveUp(Event::Compared(Vec::new()))));
}

#[test]
fn trouble_ends_no_phase_before_the_day_ends() {
    let policy = Policy::default();
    let (_, tomorrow) = noons();
    for (phase, step) in [
        (Phase::Measuring, Step::Measure),
        (Phase::SettingWeights, Step::LookBeforeSetting),
        (Phase::Publishing, Step::Publish),
    ] {
        let begun = tomorrow - 3600;
        let mut troubled = state(phase, Some(record(&[Fate::candidate(Digest::of("x"))])));
        for attempt in 1..=3 {
            troubled = apply(&troubled, Event::Trouble("away".to_owned()), begun + attempt, &policy).unwrap();
            let trouble = troubled.trouble.clone().unwrap();
            let expected = (attempt, begun + attempt + policy.pause(attempt as u32), begun + 1);
            assert_eq!((i64::from(trouble.attempts), trouble.retry_at, trouble.since), expected);
        }
        let retry = troubled.trouble.clone().unwrap().retry_at;
        assert_eq!(decide(&troubled, retry - 1, &policy), Ok(Step::Wait { until: retry }));
        assert_eq!(decide(&troubled, retry, &policy), Ok(step.clone()));
        // Before the trouble began: the clock was set back.
        assert_eq!(decide(&troubled, begun, &policy), Ok(step));
        assert!(matches!(decide(&troubled, begun + 1, &policy), Ok(Step::Wait { .. })));
    }
}

#[test]
fn who_opens_a_seal_must_have_the_files_that_were_sealed_and_nobodys_fate_is_anothers() {
    let policy = Policy::default();
    let salt: Salt = "07".repeat(16).parse().unwrap();
    let files = Digest::of("files");
    let mut sealing = record(&[Fate::Pending, Fate::Pending, Fate::Pending]);
    let digest = sealed("m1", &files, &salt);
    sealing.submissions[1].claim = Some(Claim { block: 5, digest, salt, opened: 9 });
    let before = state(Phase::Preparing, Some(sealing));
    let fates = |hotkey: &str, digest: Digest| {
        let event = Event::Prepared(hotkey.to_owned(), Fate::candidate(digest));
        let after = apply(&before, event, 0, &policy).unwrap();
        after.record.unwrap().submissions.into_iter().map(|submission| submission.fate).collect::<Vec<_>>()
    };
    let good = Fate::candidate(files);
    assert_eq!(fates("m1", files), [Fate::Pending, good, Fate::Pending]);
    let reason = "its files are not those that were sealed in block 5".to_owned();
    let other = Digest::of("others");
    assert_eq!(fates("m1", other), [Fate::Pending, Fate::Invalid { reason }, Fate::Pending]);
    // Who sealed nothing is held to nothing.
    assert_eq!(fates("m0", other), [Fate::candidate(other), Fate::Pending, Fate::Pending]);
    // What is known to be out of reach is forgotten once it was reached.
    let why = Unreachable { why: "the net is down".to_owned(), gone: false };
    let away = apply(&before, Event::Unreachable("m1".to_owned(), why), 0, &policy).unwrap();
    let reached = apply(&away, Event::Prepared("m1".to_owned(), Fate::candidate(files)), 0, &policy).unwrap();
    assert!(away.unreachable.contains_key("m1") && reached.unreachable.is_empty());
}
