//! Looking on one of several lanes: what all lanes measured decides, layer by layer.
//!
//! A layer is one round of each lane. Before a lane begins a round, it waits until every lane has done the layers before,
//! and then decides on those layers alone, in the order of rounds. So all lanes decide the same, whichever was faster,
//! and so does one that is interrupted and goes on.

use std::collections::BTreeSet;
use std::path::PathBuf;

use edgemaxx_contract::plan::{Plan, PlannedSession, Role};
use edgemaxx_contract::run_files::{SAMPLES_FILE, of_lane};
use edgemaxx_contract::sample::{Log, RecordedSession};

use crate::folder::RunFolder;

/// What a lane does next.
pub(super) enum Next<'a> {
    /// It waits: another lane is not so far yet.
    Wait,
    /// It decides on a layer: what ended in it on each lane, with the lane's own plan, in the order of rounds.
    Decide(Vec<(&'a Plan, &'a PlannedSession, RecordedSession<'a>)>),
    /// It begins its round.
    Begin,
}

/// A lane as the others see it.
struct Seen {
    plan: Plan,
    /// The file of its log.
    path: PathBuf,
    /// What was read of it, and how long the file was then.
    read: Option<(u64, Log)>,
}

/// What a lane knows of the others.
pub(super) struct Layers {
    own: u32,
    lanes: Vec<Seen>,
    /// Layers that were decided on.
    decided: u32,
}

impl Layers {
    /// Those of a lane of the run in `folder`.
    pub(super) fn of(folder: &RunFolder, plan: &Plan, own: u32) -> Self {
        let lane = |lane: u32| Seen {
            plan: plan.of_lane(lane),
            path: folder.file(&of_lane(lane, SAMPLES_FILE)),
            read: None,
        };
        Self { own, lanes: (0..plan.lanes).map(lane).collect(), decided: 0 }
    }

    /// What comes before this lane's next round, of which `plan` and `log` are its own.
    pub(super) fn next<'a>(&'a mut self, plan: &Plan, log: &'a Log) -> Next<'a> {
        let count = self.lanes.len() as u32;
        let layer = self.decided;
        match next_round(plan, log) {
            Some(round) if layer < round / count => {}
            _ => return Next::Begin,
        }
        let own = self.own;
        if !(0..count).all(|lane| lane == own || self.is_done(lane, layer)) {
            return Next::Wait;
        }
        self.decided += 1;
        let mut sessions = Vec::new();
        for (lane, Seen { plan, read, .. }) in (0..).zip(&self.lanes) {
            let log = match read {
                _ if lane == own => log,
                Some((_, log)) => log,
                None => continue,
            };
            for planned in plan.sessions.iter().filter(|planned| planned.round / count == layer) {
                let recorded = log.session(planned.index);
                if recorded.end.is_some() {
                    sessions.push((plan, planned, recorded));
                }
            }
        }
        Next::Decide(sessions)
    }

    /// Whether a lane has done a layer; reads its log where it has grown.
    fn is_done(&mut self, lane: u32, layer: u32) -> bool {
        let count = self.lanes.len() as u32;
        let Seen { plan, path, read } = &mut self.lanes[lane as usize];
        let bytes = std::fs::metadata(&*path).map_or(0, |file| file.len());
        if read.as_ref().is_none_or(|(known, _)| *known != bytes) {
            // One that cannot be read is not so far; what is wrong with it, its own process says.
            let text = std::fs::read(&*path).unwrap_or_default();
            *read = Log::parse_for(&String::from_utf8_lossy(&text), plan).ok().map(|log| (bytes, log));
        }
        let Some((_, log)) = read else { return false };
        next_round(plan, log).is_none_or(|round| round / count > layer)
    }
}

/// The round that is measured next; `None`: nobody is left.
fn next_round(plan: &Plan, log: &Log) -> Option<u32> {
    let stopped: BTreeSet<&str> = log.stops().map(|stop| stop.candidate.as_str()).collect();
    // Blocks that nobody is left for need no control: its sessions may stay open.
    let needs = |name: &str| {
        !plan.is_shared() || plan.pipeline(name).is_some_and(|pipeline| pipeline.role == Role::Candidate)
    };
    let open = plan.sessions.iter().zip(log.sessions(plan)).filter(|(planned, recorded)| {
        let name = planned.candidate.as_str();
        recorded.end.is_none() && !stopped.contains(name) && needs(name)
    });
    open.map(|(planned, _)| planned.round).min()
}
