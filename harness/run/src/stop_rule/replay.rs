//! Whether the stops of a log are those that the rules give: who measures must not end one candidate when he likes what he
//! sees, nor go on with one that has to leave.

use std::collections::{BTreeMap, BTreeSet};

use edgemaxx_analyze::Race;
use edgemaxx_contract::contest::Contest;
use edgemaxx_contract::plan::Plan;
use edgemaxx_contract::quality::QualityRecord;
use edgemaxx_contract::sample::{Log, Record, Stop};
use edgemaxx_measure::{budget_spent, follows};

use super::{Judged, TIME_OVER, Watched};

/// Holds the stops of a log that one lane wrote against the rules, with the judgements of its answers. How many there are.
///
/// # Errors
/// The first stop that no rule gives, or that is missing, in words.
pub(crate) fn check(
    plan: &Plan,
    contest: &Contest,
    log: &Log,
    quality: &[QualityRecord],
) -> Result<usize, String> {
    let mut race = Race::of(contest, plan).map(|race| Watched::of(race, before(quality)));
    let mut done: BTreeMap<&str, u32> = BTreeMap::new();
    let mut stopped: BTreeSet<&str> = BTreeSet::new();
    // Who has to leave, and has not yet.
    let mut owed: Vec<Stop> = Vec::new();
    // The log as it was before a stop, which grows from one to the next.
    let mut earlier =
        Log { records: Vec::new(), header: log.header.clone(), chain: log.chain.clone(), ..*log };
    let mut round = 0;
    let mut at = 0;
    while at < log.records.len() {
        let begins = match &log.records[at] {
            Record::Launch(launch) => plan.sessions[launch.session as usize].round,
            _ => 0,
        };
        if let Record::Session(end) = &log.records[at] {
            let planned = &plan.sessions[end.session as usize];
            round = round.max(planned.round);
            *done.entry(&planned.candidate).or_default() += 1;
            if let Some(watched) = &mut race {
                watched.take(plan, planned, &log.session(end.session));
            }
        }
        // Within a round not everybody is asked after every session, and in a block nobody.
        let asked = !plan.is_shared() && begins > round;
        let stops: Vec<&Stop> = log.records[at..].iter().map_while(as_stop).collect();
        if stops.is_empty() && !asked {
            at += 1;
            continue;
        }
        let after = |name: &str| done.get(name).copied().unwrap_or(0);
        let is_left = |name: &str, stopped: &BTreeSet<&str>| {
            let own = plan.sessions.iter().filter(|planned| planned.candidate == name).count() as u32;
            !stopped.contains(name) && after(name) < own
        };
        owed.extend(race.as_mut().map(Watched::leave).unwrap_or_default());
        let mut for_all = false;
        for (index, stop) in (at..).zip(&stops) {
            if stop.after_sessions != after(&stop.candidate) {
                return Err(told(stop, &format!("it had ended {}", after(&stop.candidate))));
            }
            let reason = (&stop.candidate, &stop.reason, &stop.beaten_by);
            let is_owed = owed.iter().any(|wish| (&wish.candidate, &wish.reason, &wish.beaten_by) == reason);
            let is_for_all = stop.beaten_by.is_none()
                && (stop.reason == TIME_OVER || budget_spent(plan).as_ref() == Some(&stop.reason));
            earlier.records.extend_from_slice(&log.records[earlier.records.len()..index]);
            if !is_owed && !is_for_all && follows(plan, &earlier) != Some(Record::Stop((*stop).clone())) {
                return Err(told(stop, "no rule gives that"));
            }
            for_all |= is_for_all && !is_owed;
            stopped.insert(&stop.candidate);
        }
        owed.retain(|wish| is_left(&wish.candidate, &stopped));
        let going = plan.candidates().iter().find(|candidate| is_left(&candidate.name, &stopped));
        if let (true, Some(going), Some(stop)) = (for_all, going, stops.last()) {
            return Err(told(stop, &format!("that is for all, and {:?} went on", going.name)));
        }
        if let (true, Some(wish)) = (asked, owed.first()) {
            let name = &wish.candidate;
            return Err(format!(
                "{name:?} did not leave after {} sessions, though {}",
                after(name),
                wish.reason
            ));
        }
        at += stops.len().max(1);
    }
    Ok(stopped.len())
}

fn as_stop(record: &Record) -> Option<&Stop> {
    if let Record::Stop(stop) = record { Some(stop) } else { None }
}

/// What was known while measuring: everything but what is seen through held-back views, which are drawn afterwards.
fn before(quality: &[QualityRecord]) -> Judged {
    let mut sessions: BTreeMap<u32, Vec<QualityRecord>> = BTreeMap::new();
    for record in quality {
        let mut record = record.clone();
        record.values.retain(|metric, _| !metric.is_held_back());
        record.sides.retain(|metric, _| !metric.is_held_back());
        sessions.entry(record.session).or_default().push(record);
    }
    Judged::Before(sessions)
}

fn told(stop: &Stop, why: &str) -> String {
    format!(
        "{:?} is stopped after {} sessions because {:?}, but {why}",
        stop.candidate, stop.after_sessions, stop.reason
    )
}
