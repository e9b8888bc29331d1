//! [`Task`]: what differs from one kind of model to another, and everything else must not know.

use std::fmt;
use std::ops::Deref;

use serde::{Serialize, Serializer};

use super::object::{Ask, Object, RequestSpec, Settings, SettingsPatch};
use super::prompts::PromptsError;
use crate::input::{Input, InputError};

/// A kind of question and answer.
///
/// Its `read_…` methods look into what people, documents and engines say and give it back complete, as the JSON object
/// that travels from the contest to the report; what they gave back, they read again and leave as it is.
pub trait Task: Sync {
    /// As contests and plans name it.
    fn name(&self) -> &'static str;

    /// What an answer is called.
    fn answer(&self) -> Noun;

    /// What answers are made of and what is scored is the time for one of; `None`: the time for a whole answer is.
    fn unit(&self) -> Option<Noun> {
        None
    }

    /// How the file of a kept answer ends, without the dot.
    fn extension(&self) -> &'static str;

    /// The contest's `[request]`: what every request shares, among it the file of prompts under `prompts`.
    ///
    /// # Errors
    /// [`InputError`] names the key.
    fn read_request(&self, input: &Input<'_>) -> Result<Object, InputError>;

    /// The baseline's `generation`, completed: settings of a pipeline.
    ///
    /// # Errors
    /// [`InputError`] names the key.
    fn read_settings(&self, input: &Input<'_>) -> Result<Object, InputError>;

    /// A candidate's `generation`: the settings it names, and no others.
    ///
    /// # Errors
    /// [`InputError`] names the key.
    fn read_patch(&self, input: &Input<'_>) -> Result<Object, InputError>;

    /// What one request asks.
    ///
    /// # Errors
    /// [`InputError`] names the key.
    fn read_ask(&self, input: &Input<'_>) -> Result<Object, InputError>;

    /// What can be asked, from the text of the file of prompts.
    ///
    /// # Errors
    /// [`PromptsError`] names the line.
    fn asks(&self, request: &RequestSpec, file: &str, text: &str) -> Result<Vec<Object>, PromptsError>;

    /// Whether a run asks each of them once at most, and is not planned where there are too few.
    fn asks_once(&self) -> bool {
        false
    }

    /// Whether honest answers to different requests are the same now and then.
    fn answers_coincide(&self) -> bool {
        false
    }

    /// What a request asks, where more of it is left to chance than what it is made from.
    ///
    /// # Errors
    /// [`InputError`]: nothing can be asked of it.
    fn draw(&self, _request: &RequestSpec, ask: &Object, _drawn: &Drawn<'_>) -> Result<Object, InputError> {
        Ok(ask.clone())
    }

    /// Whether all that a run asks can be asked in one run.
    ///
    /// # Errors
    /// [`PromptsError`] says why not.
    fn check_drawn(&self, _file: &str, _asks: &[&Ask]) -> Result<(), PromptsError> {
        Ok(())
    }

    /// What every request shares, for people.
    fn request_rows(&self, request: &RequestSpec) -> Vec<Row>;

    /// Settings, for people.
    fn settings_rows(&self, settings: &Settings) -> Vec<Row>;

    /// What one request asks, for people, in one line.
    fn ask_words(&self, ask: &Ask) -> String;

    /// Of one session of each candidate, about the baseline's answers to how many of its first requests engines are asked
    /// what they would have said, untimed, where they can say it.
    fn scored(&self, _request: &RequestSpec) -> u32 {
        0
    }

    /// Which kind of request it is, where a contest has several that are looked at apart.
    fn kind<'a>(&self, _ask: &'a Ask) -> Option<&'a str> {
        None
    }
}

/// A request that is drawn.
#[derive(Debug, Clone, Copy)]
pub struct Drawn<'a> {
    /// Its number in the plan.
    pub id: u32,
    /// The seed of all that is left to chance.
    pub seed: u64,
    /// What reads prompts, where the task needs it.
    pub encoder: Option<&'a dyn Encoder>,
}

/// Turns what people write into the numbers that a model reads: a tokenizer.
pub trait Encoder: fmt::Debug + Sync {
    /// The numbers of a text.
    ///
    /// # Errors
    /// In words.
    fn encode(&self, text: &str) -> Result<Vec<u32>, String>;

    /// The numbers that end a text.
    fn ends(&self) -> Vec<u32>;

    /// How many numbers there are, from 0 on.
    fn size(&self) -> u32;

    /// The largest number that a text may have: a model may have room for more.
    fn largest(&self) -> u32;
}

/// One and several of something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Noun {
    /// E.g. `answer`.
    pub one: &'static str,
    /// E.g. `answers`.
    pub several: &'static str,
}

/// Something that a person reads of a request or of settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// What it is, in lower case.
    pub label: &'static str,
    /// How it stands.
    pub value: String,
}

impl Row {
    /// A row.
    pub fn new(label: &'static str, value: impl Into<String>) -> Self {
        Self { label, value: value.into() }
    }
}

/// A task, by which alone its checked objects are made. Two are equal if their names are.
#[derive(Clone, Copy)]
pub struct TaskRef(&'static dyn Task);

impl TaskRef {
    /// The task.
    pub const fn new(task: &'static dyn Task) -> Self {
        Self(task)
    }

    /// See [`Task::read_request`].
    ///
    /// # Errors
    /// [`InputError`] names the key.
    pub fn request(self, input: &Input<'_>) -> Result<RequestSpec, InputError> {
        let object = self.0.read_request(input)?;
        if object.get("prompts").and_then(serde_json::Value::as_str).is_none() {
            return Err(input.bad("prompts", "a file", "none"));
        }
        Ok(RequestSpec::checked(object))
    }

    /// See [`Task::read_settings`].
    ///
    /// # Errors
    /// [`InputError`] names the key.
    pub fn settings(self, input: &Input<'_>) -> Result<Settings, InputError> {
        self.0.read_settings(input).map(Settings::checked)
    }

    /// See [`Task::read_patch`].
    ///
    /// # Errors
    /// [`InputError`] names the key.
    pub fn patch(self, input: &Input<'_>) -> Result<SettingsPatch, InputError> {
        self.0.read_patch(input).map(SettingsPatch::checked)
    }

    /// `base` with what `patch` names replaced.
    ///
    /// # Errors
    /// [`InputError`]: each is possible, but not both together.
    pub fn patched(self, base: &Settings, patch: &SettingsPatch) -> Result<Settings, InputError> {
        self.settings(&Input::json("generation", &base.object().replaced_by(patch.object()).to_value()))
    }

    /// See [`Task::read_ask`].
    ///
    /// # Errors
    /// [`InputError`] names the key.
    pub fn ask(self, input: &Input<'_>) -> Result<Ask, InputError> {
        self.0.read_ask(input).map(Ask::checked)
    }

    /// See [`Task::draw`].
    ///
    /// # Errors
    /// [`InputError`]: nothing can be asked of it.
    pub fn drawn_ask(
        self,
        request: &RequestSpec,
        ask: &Object,
        drawn: &Drawn<'_>,
    ) -> Result<Ask, InputError> {
        self.0.draw(request, ask, drawn).map(Ask::checked)
    }
}

impl Deref for TaskRef {
    type Target = dyn Task;

    fn deref(&self) -> &Self::Target {
        self.0
    }
}

impl PartialEq for TaskRef {
    fn eq(&self, other: &Self) -> bool {
        self.0.name() == other.0.name()
    }
}

impl fmt::Debug for TaskRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TaskRef").field(&self.0.name()).finish()
    }
}

impl fmt::Display for TaskRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.name())
    }
}

impl Serialize for TaskRef {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.name())
    }
}
