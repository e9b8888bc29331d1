//! What the harness asks of an engine, whether it is a process or a mock.

use edgemaxx_contract::plan::PipelinePlan;
use edgemaxx_contract::sample::{EngineInfo, Failure};
use edgemaxx_protocol::{AnswerLimits, Load, Object};

/// A launched engine.
///
/// A failure of kind `refused` leaves it usable; after any other it must be closed.
pub trait Engine {
    /// Loads the checkpoint.
    ///
    /// # Errors
    /// The failure to be recorded.
    fn load(&mut self, load: &Load) -> Result<Loaded, Failure>;

    /// Answers are waited for this long from now on, seconds.
    fn set_patience(&mut self, _seconds: f64) {}

    /// Asks, and waits for the whole answer.
    ///
    /// # Errors
    /// The failure to be recorded.
    fn ask(&mut self, ask: &Ask<'_>) -> Result<Answer, Failure>;

    /// Nothing is asked of it until [`Self::wake`]: no process of it runs meanwhile.
    ///
    /// # Errors
    /// It did not come to rest: the failure to be recorded.
    fn rest(&mut self) -> Result<(), Failure> {
        Ok(())
    }

    /// Something is about to be asked of it. Without effect on one that does not rest.
    ///
    /// # Errors
    /// It did not rest: the failure to be recorded.
    fn wake(&mut self) -> Result<(), Failure> {
        Ok(())
    }

    /// What went wrong, with the end of what the engine printed, where there is any.
    fn with_last_words(&mut self, problem: String) -> String {
        problem
    }

    /// Processor time of its whole process tree so far, nanoseconds; `None` where it is not known.
    fn cpu_ns(&self) -> Option<u64> {
        None
    }

    /// How much of [`Self::cpu_ns`] went into moving its memory away when it rested, and back, nanoseconds.
    fn moved_ns(&self) -> u64 {
        0
    }

    /// The process whose descendants are the engine's; `None`: there is no process.
    fn root(&self) -> Option<u32> {
        None
    }

    /// Says goodbye, waits, and ends whatever is left of the process tree. Idempotent.
    fn close(&mut self) -> Closed;
}

/// Launches the process of a pipeline.
pub trait Launcher {
    /// Starts the process and waits for its `hello`.
    ///
    /// # Errors
    /// The failure to be recorded.
    fn launch(&mut self, pipeline: &PipelinePlan) -> Result<Launched, Failure>;
}

/// A process that said hello.
pub struct Launched {
    /// To talk to.
    pub engine: Box<dyn Engine>,
    /// What it says it is.
    pub info: EngineInfo,
    /// Spawn to `hello`, nanoseconds.
    pub launch_ns: u64,
    /// What it is to load.
    pub load: Load,
}

/// A loaded checkpoint.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// What the engine says of it, in the task's words.
    pub ready: Object,
    /// `load` sent to `ready` received, nanoseconds.
    pub load_ns: u64,
}

/// What is asked.
#[derive(Debug, Clone, PartialEq)]
pub struct Ask<'a> {
    /// Unique on this engine.
    pub id: u64,
    /// In the task's words.
    pub header: Object,
    /// What belongs to it, as the task says.
    pub payload: &'a [u8],
    /// What the answer may be.
    pub limits: AnswerLimits,
}

/// A whole answer.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Answer {
    /// Request fully sent to answer fully received, nanoseconds.
    pub latency_ns: u64,
    /// Request fully sent to the last byte of the first part that carries something; `None` where
    /// no part does.
    pub first_ns: Option<u64>,
    /// What came ahead of its end, in order.
    pub parts: Vec<Part>,
    /// What the engine says it took, nanoseconds.
    pub engine_ns: Option<u64>,
    /// In the task's words.
    pub header: Object,
    /// What belongs to it, as the task says.
    pub payload: Vec<u8>,
}

/// A part of an answer.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Part {
    /// Request fully sent to its last byte, nanoseconds.
    pub at_ns: u64,
    /// In the task's words.
    pub header: Object,
    /// What belongs to it, as the task says.
    pub payload: Vec<u8>,
}

impl Part {
    /// Whether it carries something: bytes, or a field that is not null, nor an empty text, list or object.
    pub fn carries_something(&self) -> bool {
        use serde_json::Value;
        let empty = |value: &Value| match value {
            Value::Null => true,
            Value::String(text) => text.is_empty(),
            Value::Array(list) => list.is_empty(),
            Value::Object(object) => object.is_empty(),
            Value::Bool(_) | Value::Number(_) => false,
        };
        !self.payload.is_empty() || !self.header.values().all(empty)
    }
}

/// What is known of a process tree after its end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Closed {
    /// Peak resident memory, bytes: the sum over its processes of each one's own peak.
    pub peak_rss_bytes: Option<u64>,
    /// It had to be killed: it ignored both `bye` and SIGTERM.
    pub forced: bool,
    /// After `bye` it exited by itself, in time, with status 0.
    pub clean_exit: bool,
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::Part;

    #[test]
    fn an_empty_part_carries_nothing() {
        let part = |header: Value, payload: &[u8]| Part {
            header: header.as_object().cloned().unwrap_or_default(),
            payload: payload.to_vec(),
            ..Part::default()
        };
        for header in [json!({}), json!({"ids": []}), json!({"text": "", "more": null, "of": {}})] {
            assert!(!part(header.clone(), b"").carries_something(), "{header}");
            assert!(part(header, b"x").carries_something());
        }
        for header in [json!({"ids": [0]}), json!({"text": "", "n": 0}), json!({"last": false})] {
            assert!(part(header.clone(), b"").carries_something(), "{header}");
        }
    }
}
