//! What is known of the processes of one launch while it lasts, and how it can end.

use std::collections::{BTreeMap, BTreeSet};

use edgemaxx_contract::plan::{PlannedSession, Side};
use edgemaxx_contract::sample::Failure;
use edgemaxx_engine::Object;

use crate::error::MeasureError;
use crate::process::Processes;
use crate::remaining::Member;
use crate::run::Run;

/// What became of the processes so far, of all that are launched for one another.
pub(super) struct Course<'a> {
    pub(super) sessions: Vec<&'a PlannedSession>,
    /// Those without an end.
    pub(super) left: Vec<u32>,
    pub(super) launch: u32,
    /// What processes have said when they were ready, as far as requests depend on it.
    pub(super) known: BTreeMap<Member, Object>,
    pub(super) peaks: BTreeMap<Member, Option<u64>>,
    /// Sessions whose candidate's process failed.
    pub(super) lost: Vec<u32>,
    /// Whose engines say that they score.
    pub(super) scorers: BTreeSet<Member>,
}

impl Course<'_> {
    pub(super) fn baseline(&self) -> Member {
        (self.sessions[0].index, Side::Baseline)
    }

    /// Notes whose process failed; whether the others go on without it.
    pub(super) fn goes_on_without(&mut self, (session, side): Member) -> bool {
        if side == Side::Candidate && !self.lost.contains(&session) {
            self.lost.push(session);
        }
        side == Side::Candidate && self.left.iter().any(|session| !self.lost.contains(session))
    }

    /// Whether a process has anything to do with what is left.
    pub(super) fn is_wanted(&self, (session, side): Member) -> bool {
        side == Side::Baseline || (self.left.contains(&session) && !self.lost.contains(&session))
    }
}

/// The processes that are in memory, in the order of launch, and what the baseline, or the candidate
/// before it, said of its checkpoint.
pub(super) struct Residents {
    pub(super) processes: Processes,
    pub(super) ready: Object,
    pub(super) launch: u32,
    pub(super) next_id: u64,
}

/// Why a session cannot go on.
pub(super) struct Broken {
    pub(super) member: Member,
    pub(super) failure: Failure,
}

/// Either an end of everything or of what was launched together.
pub(super) enum Halt {
    Error(MeasureError),
    Broken(Broken),
}

impl From<MeasureError> for Halt {
    fn from(error: MeasureError) -> Self {
        Self::Error(error)
    }
}

/// Ends a process that failed; the others go on where there is still a candidate among them.
pub(super) fn lose(
    run: &mut Run<'_, '_>,
    course: &mut Course<'_>,
    residents: &mut Residents,
    broken: Broken,
) -> Result<(), Halt> {
    if !course.goes_on_without(broken.member) {
        return Err(Halt::Broken(broken));
    }
    let now_ns = run.now_ns();
    if let Some((mut process, record)) = residents.processes.remove(broken.member, residents.launch, now_ns) {
        if let Some(record) = record {
            run.append(record)?;
        }
        course.peaks.insert(process.member, process.engine.close().peak_rss_bytes);
    }
    Ok(())
}
