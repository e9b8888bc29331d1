//! The machine alone: which event leads where, and that no other is possible.

use edgemaxx_contract::day::{DayRecord, Fate, Submission};
use edgemaxx_contract::digest::Digest;
use edgemaxx_contract::format::Document as _;
use edgemaxx_contract::weights::{Origin, Weights, entries};
use edgemaxx_validator::machine::{Event, Step, apply, decide};
use edgemaxx_validator::policy::Policy;
use edgemaxx_validator::schedule::noon;
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
        format: DayRecord::expected_format(),
        day: "2026-11-22".parse().unwrap(),
        netuid: 39,
        validator: "v".to_owned(),
        closed_unix_s: 0,
        block: None,
        opened: None,
        registered: Vec::new(),
        submissions: fates.iter().enumerate().map(submission).collect(),
        undecoded: Vec::new(),
        not_measured: None,
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
