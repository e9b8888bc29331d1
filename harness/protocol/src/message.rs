//! What the two sides say to each other.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::error::ProtocolError;
use crate::frame::{Kind, MAX_ERROR_CHARS, MAX_NAME_CHARS};

/// What a task says in a header: its own words, which this crate does not know.
pub type Object = serde_json::Map<String, serde_json::Value>;

/// A frame's content.
#[derive(Debug, Clone, PartialEq)]
pub enum Message {
    /// Engine: what I am.
    Hello(Hello),
    /// Harness: load this checkpoint.
    Load(Load),
    /// Engine: still loading.
    Heartbeat(Heartbeat),
    /// Engine: loaded.
    Ready(Ready),
    /// Harness: answer this.
    Generate(Generate),
    /// Engine: a part of the answer.
    Part(Part),
    /// Engine: the answer, or its end.
    Answer(Answer),
    /// Engine: I cannot.
    Error(Refusal),
    /// Harness: that was all.
    Bye(Bye),
}

impl Message {
    /// The kind of frame it travels in.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Hello(_) => Kind::Hello,
            Self::Load(_) => Kind::Load,
            Self::Heartbeat(_) => Kind::Heartbeat,
            Self::Ready(_) => Kind::Ready,
            Self::Generate(_) => Kind::Generate,
            Self::Part(_) => Kind::Part,
            Self::Answer(_) => Kind::Answer,
            Self::Error(_) => Kind::Error,
            Self::Bye(_) => Kind::Bye,
        }
    }

    /// The bytes that follow its header.
    pub fn payload(&self) -> &[u8] {
        match self {
            Self::Generate(Generate { payload, .. })
            | Self::Part(Part { payload, .. })
            | Self::Answer(Answer { payload, .. }) => payload,
            _ => &[],
        }
    }
}

/// What an engine is; shown, never scored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// At most [`MAX_NAME_CHARS`] visible characters.
    pub engine: String,
    /// At most [`MAX_NAME_CHARS`] visible characters.
    pub version: String,
}

/// What to load, and for what.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Load {
    /// Absolute path of the checkpoint's folder.
    pub checkpoint: String,
    /// Absolute paths of folders that are to be read instead of parts of the checkpoint, by the part's name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub replaced: BTreeMap<String, String>,
    /// Threads to compute with; 1 or more.
    pub threads: u32,
    /// What will be asked: the name of a task, of [`MAX_NAME_CHARS`] characters at most.
    pub task: String,
    /// The pipeline's settings, in the task's words; the same for every request.
    pub settings: Object,
}

/// Loading goes on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heartbeat {}

/// The checkpoint is loaded.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Ready {
    /// What the harness must know to ask, in the task's words.
    pub ready: Object,
}

/// A request.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Generate {
    /// Echoed by the answer; never twice the same on one connection.
    pub id: u64,
    /// What is asked, in the task's words.
    pub ask: Object,
    /// What belongs to it, as the task says.
    #[serde(skip)]
    pub payload: Vec<u8>,
}

/// A part of an answer, ahead of its end.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Part {
    /// Of the request answered.
    pub id: u64,
    /// What it says, in the task's words; may be left out when it is empty.
    #[serde(default, skip_serializing_if = "Object::is_empty")]
    pub part: Object,
    /// What belongs to it, as the task says.
    #[serde(skip)]
    pub payload: Vec<u8>,
}

/// An answer, or its end where parts came before.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// Of the request answered.
    pub id: u64,
    /// What the engine says it took, nanoseconds; shown, never scored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine_ns: Option<u64>,
    /// What it says, in the task's words.
    pub answer: Object,
    /// What belongs to it, as the task says.
    #[serde(skip)]
    pub payload: Vec<u8>,
}

/// Something cannot be done: loading, or the request `id`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// Of the request; absent while loading.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<u64>,
    /// Why, in words; at most [`MAX_ERROR_CHARS`] characters are kept.
    pub message: String,
}

impl Refusal {
    /// A refusal whose message is shortened to what the protocol allows.
    pub fn new(id: Option<u64>, message: &str) -> Self {
        Self { id, message: message.chars().take(MAX_ERROR_CHARS).collect() }
    }
}

/// No further request comes; exit with status 0.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bye {}

/// `name`, if it is 1 to [`MAX_NAME_CHARS`] printable characters.
fn check_name(kind: Kind, field: &'static str, name: &str) -> Result<(), ProtocolError> {
    let length = name.chars().count();
    if (1..=MAX_NAME_CHARS).contains(&length) && !name.chars().any(char::is_control) {
        return Ok(());
    }
    let expected = format!("1 to {MAX_NAME_CHARS} printable characters");
    Err(ProtocolError::Value { kind, field, expected, found: format!("{length} characters") })
}

/// Checks what the header's types cannot; applied by both encoder and decoder.
pub(crate) fn check(message: &Message) -> Result<(), ProtocolError> {
    match message {
        Message::Hello(hello) => {
            check_name(Kind::Hello, "engine", &hello.engine)?;
            check_name(Kind::Hello, "version", &hello.version)
        }
        Message::Load(load) if load.threads == 0 => Err(ProtocolError::Value {
            kind: Kind::Load,
            field: "threads",
            expected: "1 or more".to_owned(),
            found: "0".to_owned(),
        }),
        Message::Load(load) => check_name(Kind::Load, "task", &load.task),
        _ => Ok(()),
    }
}
