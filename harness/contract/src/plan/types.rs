//! `plan.json`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::contest::{CheckpointSpec, Device, EngineSpec, Measurement};
use crate::digest::Digest;
use crate::format::Format;
use crate::run_files::ARTEFACTS_FOLDER;
use crate::task::{Ask, RequestSpec, Settings, TaskRef};

/// Everything `measure` executes; a pure function of contest, prompts, candidates, day, entropy.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Plan {
    /// `edgemaxx-plan`.
    #[serde(flatten)]
    pub format: Format,
    /// The contest file.
    pub contest: ContestRef,
    /// The file of prompts.
    pub prompts: PromptsRef,
    /// The contest's day.
    pub day: Day,
    /// What nobody knew before.
    pub entropy: Entropy,
    /// Full or quick.
    pub extent: Extent,
    /// How many lanes its rounds are dealt to: cards, or sets of processors, that measure at the same time.
    #[serde(skip_serializing_if = "is_one")]
    #[cfg_attr(feature = "schema", schemars(default = "one"))]
    pub lanes: u32,
    /// The device the contest is for.
    pub device: Device,
    /// What is asked and answered.
    pub task: TaskRef,
    /// What every request shares.
    pub request: RequestSpec,
    /// Sessions, pairs, warm-up, time-outs, as in the contest.
    pub measurement: Measurement,
    /// All pipelines; the first is the baseline. One has [`Role::Control`].
    pub pipelines: Vec<PipelinePlan>,
    /// All requests; a request's `id` is its index.
    pub requests: Vec<PlannedRequest>,
    /// All sessions in the order of execution; where candidates share a baseline, blocks are formed of them
    /// in this order ([`super::next_block`]).
    pub sessions: Vec<PlannedSession>,
}

/// Lanes of a plan that does not say.
pub(super) fn one() -> u32 {
    1
}

fn is_one(lanes: &u32) -> bool {
    *lanes == 1
}

impl Plan {
    /// The pipeline all are compared with.
    pub fn baseline(&self) -> &PipelinePlan {
        &self.pipelines[0]
    }

    /// The pipeline called `name`.
    pub fn pipeline(&self, name: &str) -> Option<&PipelinePlan> {
        self.pipelines.iter().find(|p| p.name == name)
    }

    /// All pipelines but the baseline, in the order of the contest.
    pub fn candidates(&self) -> &[PipelinePlan] {
        &self.pipelines[1..]
    }

    /// The baseline entered against itself, where there is one.
    pub fn control(&self) -> Option<&PipelinePlan> {
        self.pipelines.iter().find(|p| p.role == Role::Control)
    }

    /// Whether several candidates are measured against one launch of the baseline.
    pub fn is_shared(&self) -> bool {
        self.measurement.block > 1 && self.pipelines.iter().any(|p| p.role == Role::Candidate)
    }

    /// How many of the first pairs of a session engines are asked about, untimed, once they are asked about this session.
    pub fn scored(&self, session: &PlannedSession) -> u32 {
        self.task.scored(&self.request).min(session.pairs.len() as u32)
    }

    /// The file of an answer that is kept, below the run folder.
    pub fn artefact(&self, answer: &Digest) -> String {
        format!("{ARTEFACTS_FOLDER}/{answer}.{}", self.task.extension())
    }

    /// The digest that names this plan: that of its JSON.
    pub fn digest(&self) -> Digest {
        use crate::format::Document as _;
        Digest::of(self.to_json())
    }

    /// Checks what the types cannot: indices point at something.
    ///
    /// # Errors
    /// Says which field does not.
    pub fn check(&self) -> Result<(), String> {
        if self.pipelines.first().is_none_or(|p| p.role != Role::Baseline) {
            return Err("pipelines[0]: expected the baseline".to_owned());
        }
        if let Some(at) = self.requests.iter().enumerate().position(|(i, r)| r.id as usize != i) {
            return Err(format!("requests[{at}].id: expected {at}"));
        }
        self.check_lanes()?;
        for (index, session) in self.sessions.iter().enumerate() {
            if session.index as usize != index {
                return Err(format!("sessions[{index}].index: expected {index}"));
            }
            if self.candidates().iter().all(|c| c.name != session.candidate) {
                return Err(format!(
                    "sessions[{index}].candidate: no pipeline is called {:?}",
                    session.candidate
                ));
            }
            if self.is_shared() {
                self.check_shared(session).map_err(|problem| format!("sessions[{index}]{problem}"))?;
            } else if session.first.is_none() || session.pairs.iter().any(|pair| pair.first.is_none()) {
                return Err(format!("sessions[{index}]: expected which side is first"));
            }
            if let Some(repeat) = session.repeats.iter().find(|r| r.pair as usize >= session.pairs.len()) {
                return Err(format!("sessions[{index}].repeats: there is no pair {}", repeat.pair));
            }
            let ids = session.warmup.iter().copied().chain(session.pairs.iter().map(|p| p.request));
            if let Some(id) = ids.into_iter().find(|id| *id as usize >= self.requests.len()) {
                return Err(format!("sessions[{index}]: no request has id {id}"));
            }
        }
        Ok(())
    }
}

impl Plan {
    /// Sessions of a round that may become a block ask the same in the same order.
    fn check_shared(&self, session: &PlannedSession) -> Result<(), String> {
        let Some(other) = self.sessions.iter().find(|other| other.round == session.round) else {
            return Ok(());
        };
        let asks = |of: &PlannedSession| of.pairs.iter().map(|pair| pair.request).collect::<Vec<_>>();
        let again = |of: &PlannedSession| of.repeats.iter().map(|repeat| repeat.pair).collect::<Vec<_>>();
        let same = asks(session) == asks(other) && again(session) == again(other);
        if !same || session.warmup != other.warmup {
            return Err(format!(": expected what sessions[{}] of its round asks", other.index));
        }
        let mut turns = session.order.clone();
        turns.sort_unstable();
        if (0..).zip(&turns).any(|(turn, found)| turn != *found) {
            return Err(".order: expected every turn from 0 once".to_owned());
        }
        Ok(())
    }
}

/// Which contest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ContestRef {
    /// Its name.
    pub name: String,
    /// Digest of its file.
    pub digest: Digest,
}

/// Which prompts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct PromptsRef {
    /// File name without folders.
    pub file: String,
    /// Digest of the file.
    pub digest: Digest,
    /// How many prompts it holds.
    pub count: u32,
}

/// Whether the plan is the contest's own or a short look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Extent {
    /// As the contest says.
    Full,
    /// `--quick`: fewer sessions and pairs; never sets weights.
    Quick,
}

/// What a pipeline is in this contest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// All are compared with it.
    Baseline,
    /// The baseline entered against itself (A/A).
    Control,
    /// Wants to win.
    Candidate,
}

/// One side of a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// The baseline's process.
    Baseline,
    /// The candidate's process.
    Candidate,
}

impl Side {
    /// Both, the given one first; the baseline where none is.
    pub fn both_from(first: impl Into<Option<Self>>) -> [Self; 2] {
        let first = first.into().unwrap_or(Self::Baseline);
        [first, first.other()]
    }

    /// The other one.
    pub fn other(self) -> Self {
        match self {
            Self::Baseline => Self::Candidate,
            Self::Candidate => Self::Baseline,
        }
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Baseline => "baseline",
            Self::Candidate => "candidate",
        })
    }
}

/// One pipeline: checkpoint, settings, process.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PipelinePlan {
    /// Unique name.
    pub name: String,
    /// Baseline, control or candidate.
    pub role: Role,
    /// One line for people.
    pub description: String,
    /// Where the files come from.
    pub checkpoint: CheckpointSpec,
    /// What the files are: source, replaced UNet, recipe and candidate file together.
    pub digest: Digest,
    /// Settings, complete.
    pub settings: Settings,
    /// Process.
    pub engine: EngineSpec,
}

/// One request to both sides of pairs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PlannedRequest {
    /// Index in [`Plan::requests`].
    pub id: u32,
    /// Seed of all that is left to chance; below 2^53, so that any JSON reader keeps it.
    pub seed: u64,
    /// What is asked.
    pub ask: Ask,
}

/// One relaunch of both processes; of the candidate's, where several share one of the baseline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct PlannedSession {
    /// Position in the order of execution.
    pub index: u32,
    /// Which round: each round holds one session of every candidate.
    pub round: u32,
    /// Name of the candidate measured against the baseline.
    pub candidate: String,
    /// Which process is launched first; `None` where the block's order says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first: Option<Side>,
    /// Of the control, where candidates share a baseline: in which order the processes of its block take
    /// turns. 0 is the baseline, 1 the control, 2 and more are the candidates in the plan's order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub order: Vec<u32>,
    /// Requests for warm-up, in order; as many are used as are needed.
    pub warmup: Vec<u32>,
    /// Pairs in order.
    pub pairs: Vec<PlannedPair>,
    /// Pairs asked once more at the end, off the leaderboard: an answer must not be faster
    /// because it was given before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub repeats: Vec<PlannedRepeat>,
}

/// A pair of the same session, asked again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct PlannedRepeat {
    /// Position of the pair in its session.
    pub pair: u32,
    /// Which side answers first; `None` where the block's order says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first: Option<Side>,
}

/// One request, asked of both sides, or of everybody in the block, one after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct PlannedPair {
    /// Id of the request.
    pub request: u32,
    /// Which side answers first; `None` where the block's order says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first: Option<Side>,
}

/// A calendar day, `YYYY-MM-DD`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Day(String);

/// Text that is no day.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected a day as YYYY-MM-DD, found {0:?}")]
pub struct DayError(String);

impl FromStr for Day {
    type Err = DayError;

    fn from_str(text: &str) -> Result<Self, DayError> {
        let error = || DayError(text.chars().take(40).collect());
        let bytes = text.as_bytes();
        let shaped = bytes.len() == 10
            && bytes
                .iter()
                .enumerate()
                .all(|(i, b)| if i == 4 || i == 7 { *b == b'-' } else { b.is_ascii_digit() });
        if !shaped {
            return Err(error());
        }
        let number = |range: std::ops::Range<usize>| text[range].parse::<u32>().map_err(|_| error());
        let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
        let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let days = match month {
            2 if leap => 29,
            2 => 28,
            4 | 6 | 9 | 11 => 30,
            1..=12 => 31,
            _ => 0,
        };
        if day == 0 || day > days {
            return Err(error());
        }
        Ok(Self(text.to_owned()))
    }
}

impl TryFrom<String> for Day {
    type Error = DayError;
    fn try_from(text: String) -> Result<Self, DayError> {
        text.parse()
    }
}

impl From<Day> for String {
    fn from(day: Day) -> Self {
        day.0
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Public randomness: a block hash, or any literal offline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Entropy(String);

/// Text that cannot be entropy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected 1 to 256 visible ASCII characters as entropy (a block hash, or any literal), found {0:?}")]
pub struct EntropyError(String);

impl Entropy {
    /// The text itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Entropy {
    type Err = EntropyError;

    fn from_str(text: &str) -> Result<Self, EntropyError> {
        if (1..=256).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic()) {
            return Ok(Self(text.to_owned()));
        }
        Err(EntropyError(text.chars().take(80).collect()))
    }
}

impl TryFrom<String> for Entropy {
    type Error = EntropyError;
    fn try_from(text: String) -> Result<Self, EntropyError> {
        text.parse()
    }
}

impl From<Entropy> for String {
    fn from(entropy: Entropy) -> Self {
        entropy.0
    }
}

impl fmt::Display for Entropy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
