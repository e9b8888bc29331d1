//! The logs of a run's lanes as one.

use std::collections::BTreeMap;

use super::log::{Chain, Log};
use super::record::{Header, Record, Stop};
use crate::digest::Digest;
use crate::plan::Plan;

impl Log {
    /// The logs of a plan's lanes, in their order and each of [`Plan::of_lane`], as one log of the plan: lane after lane,
    /// with the plan's own numbers of sessions. Its head is the digest of theirs, so it names them all.
    pub fn of_lanes(plan: &Plan, lanes: Vec<Self>) -> Self {
        let heads: Vec<Digest> = lanes.iter().map(|log| log.chain.head()).collect();
        let header = Header {
            format: Self::format(),
            plan: plan.digest(),
            started_unix_ms: lanes.iter().map(|log| log.header.started_unix_ms).min().unwrap_or(0),
        };
        let (mut records, mut stops) = (Vec::new(), BTreeMap::new());
        for (lane, log) in (0..).zip(lanes) {
            let places: Vec<u32> = plan.sessions_of_lane(lane).map(|session| session.index).collect();
            for mut record in log.records {
                match &mut record {
                    Record::Header(_) => continue,
                    Record::Stop(stop) => {
                        stops
                            .entry(stop.candidate.clone())
                            .or_insert_with(Vec::new)
                            .push((lane, stop.clone()));
                        continue;
                    }
                    Record::Block(block) => {
                        block.sessions.iter_mut().for_each(|session| *session = places[*session as usize]);
                    }
                    other => {
                        if let Some(session) = other.session_mut() {
                            *session = places[*session as usize];
                        }
                    }
                }
                records.push(record);
            }
        }
        records.extend(stops.into_iter().map(|(candidate, stops)| stop(plan, candidate, &stops)));
        Self { header, records, chain: Chain::at(head_of_lanes(&heads)), complete_bytes: 0 }
    }
}

/// The head of a run of several lanes.
fn head_of_lanes(heads: &[Digest]) -> Digest {
    let fields = heads.iter().map(|head| head.as_bytes().as_slice());
    Digest::of_fields(std::iter::once(b"edgemaxx-lanes-1".as_slice()).chain(fields))
}

/// The end of a candidate that was stopped on these lanes, and perhaps not on others.
fn stop(plan: &Plan, candidate: String, stops: &[(u32, Stop)]) -> Record {
    let planned = plan.sessions.iter().filter(|session| session.candidate == candidate).count() as u32;
    let sessions_saved = stops.iter().map(|(_, stop)| stop.sessions_saved).sum();
    let mut reasons: Vec<&str> = stops.iter().map(|(_, stop)| stop.reason.as_str()).collect();
    reasons.dedup();
    let reason = match reasons[..] {
        // As when all lanes have decided it together.
        [reason] if plan.measurement.stopping.is_adaptive() => reason.to_owned(),
        _ => {
            let each = stops.iter().map(|(lane, stop)| format!("on lane {lane}, {}", stop.reason));
            each.collect::<Vec<_>>().join("; ")
        }
    };
    Record::Stop(Stop {
        candidate,
        after_sessions: planned.saturating_sub(sessions_saved),
        reason,
        sessions_saved,
        beaten_by: stops.iter().find_map(|(_, stop)| stop.beaten_by.clone()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::Document as _;
    use crate::plan::Side;
    use crate::sample::{Attempt, Block, Failure, FailureKind, Launch, LaunchOutcome, Outcome, Phase};

    const PLAN: &str = include_str!("../../../../reports/examples/emoji-cpu/plan.json");

    fn log(plan: &Plan, records: Vec<Record>) -> Log {
        let header = Header { format: Log::format(), plan: plan.digest(), started_unix_ms: 5 };
        let mut chain = Chain::default();
        let mut text = chain.append(Record::Header(header));
        records.into_iter().for_each(|record| text += &chain.append(record));
        Log::parse(&text).unwrap()
    }

    fn failed(session: u32) -> Record {
        let failure = Failure { kind: FailureKind::Died, detail: String::new() };
        Record::Attempt(Attempt {
            session,
            launch: 0,
            side: Side::Candidate,
            phase: Phase::Warmup { index: 0 },
            request: 0,
            started_ns: 0,
            cpu_ns: None,
            outcome: Outcome::Failed(failure),
            marks: Vec::new(),
        })
    }

    fn plan() -> Plan {
        Plan::from_json(PLAN).unwrap().in_lanes(2).unwrap()
    }

    #[test]
    fn sessions_get_the_plans_own_numbers_and_heads_are_named() {
        let plan = plan();
        let on_lane_1: Vec<u32> = plan.sessions_of_lane(1).map(|session| session.index).collect();
        let failure = Failure { kind: FailureKind::Spawn, detail: String::new() };
        let outcome = LaunchOutcome::Failed(failure);
        let records = vec![
            Record::Block(Block { sessions: vec![0, 1] }),
            Record::Launch(Launch { session: 0, launch: 0, side: Side::Baseline, outcome }),
            failed(1),
        ];
        let lanes = vec![log(&plan.of_lane(0), Vec::new()), log(&plan.of_lane(1), records)];
        let heads = [lanes[0].chain.head(), lanes[1].chain.head()];
        let pooled = Log::of_lanes(&plan, lanes.clone());
        assert_eq!((pooled.header.plan, pooled.header.started_unix_ms), (plan.digest(), 5));
        let [Record::Block(block), Record::Launch(launch), Record::Attempt(attempt)] = &pooled.records[..]
        else {
            panic!("{:?}", pooled.records)
        };
        assert_eq!(block.sessions, on_lane_1[..2]);
        assert_eq!((launch.session, attempt.session), (on_lane_1[0], on_lane_1[1]));
        assert_eq!(pooled.chain.head(), head_of_lanes(&heads));
        assert_ne!(pooled.chain.head(), head_of_lanes(&[heads[1], heads[0]]), "lanes are not exchanged");
        assert!(!heads.contains(&pooled.chain.head()));
    }

    /// A lane whose candidate was stopped on another one owes all of its sessions.
    #[test]
    fn what_no_stop_saved_is_unfinished() {
        let plan = plan();
        let all = plan.sessions.len() as u32;
        let candidate = plan.sessions[0].candidate.clone();
        let own = |lane: u32| plan.sessions_of_lane(lane).filter(|s| s.candidate == candidate).count() as u32;
        let unfinished = |lanes: Vec<Log>| Log::of_lanes(&plan, lanes).unfinished(&plan);
        let (first, second) = (plan.of_lane(0), plan.of_lane(1));
        assert_eq!(unfinished(vec![log(&first, Vec::new()), log(&second, Vec::new())]), all);
        let stop = Record::Stop(Stop {
            candidate: candidate.clone(),
            after_sessions: 0,
            reason: "x".to_owned(),
            sessions_saved: own(0),
            beaten_by: None,
        });
        assert_eq!(unfinished(vec![log(&first, vec![stop]), log(&second, Vec::new())]), all - own(0));
    }

    #[test]
    fn a_stop_accounts_for_the_sessions_of_its_lane_and_no_others() {
        let lane = plan().of_lane(0);
        let candidate = lane.sessions[0].candidate.clone();
        let own = lane.sessions.iter().filter(|session| session.candidate == candidate).count() as u32;
        let read = |after_sessions, sessions_saved| {
            let header = Header { format: Log::format(), plan: lane.digest(), started_unix_ms: 5 };
            let stop = Stop {
                candidate: candidate.clone(),
                after_sessions,
                reason: "x".to_owned(),
                sessions_saved,
                beaten_by: None,
            };
            let mut chain = Chain::default();
            let text = chain.append(Record::Header(header)) + &chain.append(Record::Stop(stop));
            Log::parse_for(&text, &lane)
        };
        assert!(read(0, own).is_ok() && read(own, 0).is_ok());
        for (after, saved) in [(0, own + 1), (own, own), (0, 0), (u32::MAX, 1), (1, u32::MAX)] {
            let refused = read(after, saved).unwrap_err().to_string();
            assert!(refused.contains("that saves"), "{after} {saved}: {refused}");
        }
    }

    #[test]
    fn who_is_stopped_on_one_lane_keeps_his_sessions_on_the_other() {
        let plan = plan();
        let candidate = plan.sessions[0].candidate.clone();
        let of = |lane: u32| plan.sessions_of_lane(lane).filter(|s| s.candidate == candidate).count() as u32;
        let stopped = Stop {
            candidate: candidate.clone(),
            after_sessions: 1,
            reason: "it failed".to_owned(),
            sessions_saved: of(1) - 1,
            beaten_by: None,
        };
        let lanes =
            vec![log(&plan.of_lane(0), Vec::new()), log(&plan.of_lane(1), vec![Record::Stop(stopped)])];
        let pooled = Log::of_lanes(&plan, lanes);
        let stops: Vec<&Stop> = pooled.stops().collect();
        assert_eq!(stops.len(), 1);
        assert_eq!((stops[0].after_sessions, stops[0].sessions_saved), (of(0) + 1, of(1) - 1));
        assert_eq!(stops[0].reason, "on lane 1, it failed");
    }
}
