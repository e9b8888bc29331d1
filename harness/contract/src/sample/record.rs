//! The records of `samples.jsonl`.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::format::Format;
use crate::plan::Side;
use crate::shown_text::line;

/// One line of `samples.jsonl`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "record", rename_all = "snake_case")]
pub enum Record {
    /// The first line.
    Header(Header),
    /// Sessions whose candidates share one launch of the baseline begin.
    Block(Block),
    /// A process was launched and its checkpoint loaded, or not.
    Launch(Launch),
    /// A request was made, answered or not.
    Attempt(Attempt),
    /// What a process did while nothing was asked of it.
    Idle(Idle),
    /// A process said, untimed, how likely it finds an answer of the baseline, or did not.
    Scores(Scores),
    /// A session ended.
    Session(SessionEnd),
    /// No further session of a candidate is run.
    Stop(Stop),
}

impl Record {
    /// The digest of what is kept of what was said, where something is.
    pub fn artefact(&self) -> Option<Digest> {
        match self {
            Self::Attempt(attempt) => attempt.outcome.answer(),
            Self::Scores(Scores { outcome: ScoresOutcome::Given { scores }, .. }) => Some(*scores),
            _ => None,
        }
    }

    /// The session under which it is recorded ([`crate::plan::PlannedSession::index`]); `None`: it is of several, or of all.
    pub fn session(&self) -> Option<u32> {
        match self {
            Self::Launch(Launch { session, .. })
            | Self::Attempt(Attempt { session, .. })
            | Self::Idle(Idle { session, .. })
            | Self::Scores(Scores { session, .. })
            | Self::Session(SessionEnd { session, .. }) => Some(*session),
            Self::Header(_) | Self::Block(_) | Self::Stop(_) => None,
        }
    }

    /// The same, to be changed.
    pub(super) fn session_mut(&mut self) -> Option<&mut u32> {
        match self {
            Self::Launch(Launch { session, .. })
            | Self::Attempt(Attempt { session, .. })
            | Self::Idle(Idle { session, .. })
            | Self::Scores(Scores { session, .. })
            | Self::Session(SessionEnd { session, .. }) => Some(session),
            Self::Header(_) | Self::Block(_) | Self::Stop(_) => None,
        }
    }

    /// Whether it is of the baseline, which several sessions may share.
    pub(super) fn is_of_baseline(&self) -> bool {
        match self {
            Self::Launch(Launch { side, .. })
            | Self::Attempt(Attempt { side, .. })
            | Self::Idle(Idle { side, .. })
            | Self::Scores(Scores { side, .. }) => *side == Side::Baseline,
            Self::Header(_) | Self::Block(_) | Self::Session(_) | Self::Stop(_) => false,
        }
    }
}

/// What the log belongs to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Header {
    /// `edgemaxx-samples`.
    #[serde(flatten)]
    pub format: Format,
    /// Digest of the plan that is executed.
    pub plan: Digest,
    /// Wall clock at the start, milliseconds since 1970-01-01 UTC; for people only.
    pub started_unix_ms: u64,
}

/// Sessions whose candidates share one launch of the baseline. What the baseline does in them is recorded
/// once, under the first of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Block {
    /// [`crate::plan::PlannedSession::index`] of each.
    pub sessions: Vec<u32>,
}

/// A process was launched.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Launch {
    /// [`crate::plan::PlannedSession::index`].
    pub session: u32,
    /// 0, or higher when the session was resumed after an interruption.
    pub launch: u32,
    /// Which process.
    pub side: Side,
    /// What came of it.
    pub outcome: LaunchOutcome,
}

/// What came of a launch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub enum LaunchOutcome {
    /// The engine is ready for requests.
    Ready {
        /// Spawn to `hello`, nanoseconds.
        launch_ns: u64,
        /// `load` sent to `ready` received, nanoseconds.
        load_ns: u64,
        /// What the engine says it is.
        engine: EngineInfo,
    },
    /// It is not.
    Failed(Failure),
}

/// What an engine says it is; shown, never scored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct EngineInfo {
    /// Name, at most 100 characters.
    pub name: String,
    /// Version, at most 100 characters.
    pub version: String,
}

/// One request and its answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Attempt {
    /// [`crate::plan::PlannedSession::index`].
    pub session: u32,
    /// The launch that answered.
    pub launch: u32,
    /// Which process.
    pub side: Side,
    /// Warm-up or measured.
    pub phase: Phase,
    /// Id of the request.
    pub request: u32,
    /// Sent this many nanoseconds after the harness process started measuring (monotonic).
    pub started_ns: u64,
    /// Processor time that the engine's process tree spent from the request to the answer, nanoseconds; `None`: not
    /// known. No verdict rests on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_ns: Option<u64>,
    /// The answer.
    pub outcome: Outcome,
    /// What was unusual meanwhile.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub marks: Vec<Mark>,
}

/// Whether an attempt counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Before the process is steady: recorded, not analysed.
    Warmup {
        /// Position, from 0.
        index: u32,
    },
    /// Part of a pair.
    Measured {
        /// Position of the pair in its session, from 0.
        pair: u32,
    },
    /// A pair's request once more: not analysed for speed, but compared with the first time.
    Repeat {
        /// Position of the pair in its session, from 0.
        pair: u32,
    },
}

/// The answer to a request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub enum Outcome {
    /// An answer that its task can read.
    Answered {
        /// Request fully sent to answer fully received, harness's monotonic clock, nanoseconds.
        latency_ns: u64,
        /// Request fully sent to the first part fully received, nanoseconds; `None`: it came whole.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        first_ns: Option<u64>,
        /// How many units it has, where its task counts any.
        #[serde(default = "one", skip_serializing_if = "is_one")]
        units: u32,
        /// When its parts came, where it came in parts: what of it came before its end and carried units.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        parts: Vec<Arrival>,
        /// Digest that names what is kept of it, `artefacts/<digest>.<the task's extension>`.
        answer: Digest,
        /// What the engine says it took, nanoseconds; shown, never scored.
        engine_ns: Option<u64>,
    },
    /// None.
    Failed(Failure),
}

/// When a part of an answer came; `[at_ns, units]` in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(from = "(u64, u32)", into = "(u64, u32)")]
pub struct Arrival {
    /// Request fully sent to its last byte, nanoseconds.
    pub at_ns: u64,
    /// How many units it has.
    pub units: u32,
}

impl From<(u64, u32)> for Arrival {
    fn from((at_ns, units): (u64, u32)) -> Self {
        Self { at_ns, units }
    }
}

impl From<Arrival> for (u64, u32) {
    fn from(arrival: Arrival) -> Self {
        (arrival.at_ns, arrival.units)
    }
}

fn one() -> u32 {
    1
}

fn is_one(units: &u32) -> bool {
    *units == 1
}

impl Outcome {
    /// The digest of the answer, if there is one.
    pub fn answer(&self) -> Option<Digest> {
        match self {
            Self::Answered { answer, .. } => Some(*answer),
            Self::Failed(_) => None,
        }
    }

    /// Latency for each unit of the answer, nanoseconds, if it was answered.
    pub fn unit_ns(&self) -> Option<f64> {
        match self {
            Self::Answered { latency_ns, units, .. } => Some(*latency_ns as f64 / f64::from((*units).max(1))),
            Self::Failed(_) => None,
        }
    }

    /// Request fully sent to answer fully received, nanoseconds, if it was answered.
    pub fn latency_ns(&self) -> Option<u64> {
        match self {
            Self::Answered { latency_ns, .. } => Some(*latency_ns),
            Self::Failed(_) => None,
        }
    }
}

/// Why something failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Failure {
    /// The kind, for counting.
    pub kind: FailureKind,
    /// In words, with the end of the engine's own error output where there is any.
    pub detail: String,
}

/// For people, on one line: the detail is in the words of whoever wrote the engine.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind, line(&self.detail))
    }
}

/// Kinds of failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// The program could not be started.
    Spawn,
    /// The process ended.
    Died,
    /// No answer in time.
    Timeout,
    /// An answer that the protocol does not allow.
    Protocol,
    /// The engine said it cannot.
    Refused,
    /// An answer that the task cannot use.
    Answer,
    /// It did not come to rest after its answer.
    Restless,
}

impl fmt::Display for FailureKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Spawn => "could not be started",
            Self::Died => "died",
            Self::Timeout => "did not answer in time",
            Self::Protocol => "broke the protocol",
            Self::Refused => "refused",
            Self::Answer => "sent an unusable answer",
            Self::Restless => "did not come to rest",
        })
    }
}

/// Something unusual about a sample; it is kept all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Mark {
    /// The device lowered its clocks.
    Throttled,
    /// The other side of the pair was measured in another launch.
    Split,
}

/// What a process did between `ready` and the session's end while nothing was asked of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Idle {
    /// [`crate::plan::PlannedSession::index`].
    pub session: u32,
    /// The launch.
    pub launch: u32,
    /// Which process.
    pub side: Side,
    /// How long nothing was asked of it, nanoseconds.
    pub waited_ns: u64,
    /// Processor time of its whole process tree meanwhile, nanoseconds.
    pub busy_ns: u64,
    /// Processor time of the machine, from `ready` to the session's end, that neither side nor the harness used,
    /// nanoseconds; `None`: not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub others_ns: Option<u64>,
}

/// How likely one side finds the baseline's answer of a pair, which it need not have given. No clock runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Scores {
    /// [`crate::plan::PlannedSession::index`] of the pair, which may be an earlier session than the one under way.
    pub session: u32,
    /// Which side.
    pub side: Side,
    /// Position of the pair in its session, from 0.
    pub pair: u32,
    /// What it said.
    pub outcome: ScoresOutcome,
}

/// What became of a question that no clock timed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub enum ScoresOutcome {
    /// What its task can read.
    Given {
        /// Digest that names what is kept of it, as it names answers.
        scores: Digest,
    },
    /// Nothing: the side has failed to score, and is not asked again.
    Failed(Failure),
}

/// A session ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct SessionEnd {
    /// [`crate::plan::PlannedSession::index`].
    pub session: u32,
    /// How.
    pub status: SessionStatus,
    /// Peak resident memory of the baseline's process tree, bytes, where it could be read.
    pub baseline_peak_rss_bytes: Option<u64>,
    /// Peak resident memory of the candidate's process tree, bytes, where it could be read.
    pub candidate_peak_rss_bytes: Option<u64>,
    /// Whether both processes were steady before the first pair.
    pub steady: bool,
}

/// How a session ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum SessionStatus {
    /// All pairs were attempted.
    Complete,
    /// A process failed; the rest of its pairs was not attempted.
    Aborted {
        /// Whose process.
        side: Side,
    },
}

/// No further session of a candidate is run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Stop {
    /// The candidate.
    pub candidate: String,
    /// After this many of its sessions.
    pub after_sessions: u32,
    /// Why, in words.
    pub reason: String,
    /// Its remaining sessions in the plan, not run.
    pub sessions_saved: u32,
    /// Whose score is surely higher, where that is why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub beaten_by: Option<String>,
}
