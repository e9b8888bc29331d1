//! [`Codec`]: what those who drive engines must know of a task, and nothing else.

use edgemaxx_contract::digest::Digest;
use edgemaxx_contract::plan::PlannedRequest;
use edgemaxx_contract::sample::Arrival;
use edgemaxx_contract::task::{RequestSpec, Settings};
use edgemaxx_protocol::{AnswerLimits, Object};

use crate::engine::Answer;
use crate::serve::Reply;

/// What a pipeline is asked, as its plan says it.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// What all requests share.
    pub request: &'a RequestSpec,
    /// The pipeline's settings.
    pub settings: &'a Settings,
    /// This request.
    pub planned: &'a PlannedRequest,
}

/// An answer as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Artefact {
    /// Of its content, whatever the form in which it is kept: equal answers have equal digests.
    pub digest: Digest,
    /// How many units it has, where the task counts any; else 1.
    pub units: u32,
    /// When what of it came ahead of its end came, where the task keeps that.
    pub parts: Vec<Arrival>,
    /// Its file.
    pub bytes: Vec<u8>,
}

/// Seeds from here on are no probe's.
const ANOTHER: u64 = 1000;

/// Turns what a plan asks into headers and payloads, and answers into what is kept.
///
/// All of it happens while no clock runs.
pub trait Codec: Sync {
    /// The task's name, as `load` says it.
    fn task(&self) -> &'static str;

    /// The settings of `load`.
    ///
    /// # Errors
    /// In words: they are another task's.
    fn settings(&self, request: &RequestSpec, settings: &Settings) -> Result<Object, String>;

    /// What of an engine's `ready` its requests depend on. Both sides of a pair must have said the
    /// same, so that both can be asked the same.
    ///
    /// # Errors
    /// In words, why such an engine cannot be asked.
    fn ready(&self, request: &RequestSpec, ready: &Object) -> Result<Object, String>;

    /// The payload of a request: drawn once, the same for both sides. `ready` is what [`Self::ready`] gave.
    ///
    /// # Errors
    /// In words, why there is none.
    fn payload(
        &self,
        request: &RequestSpec,
        planned: &PlannedRequest,
        ready: &Object,
    ) -> Result<Vec<u8>, String>;

    /// The header of a request. `ready` is what [`Self::ready`] gave.
    ///
    /// # Errors
    /// In words, why there is none.
    fn header(&self, question: Question<'_>, ready: &Object) -> Result<Object, String>;

    /// What an answer may be.
    fn limits(&self, request: &RequestSpec) -> AnswerLimits;

    /// What is kept of an answer.
    ///
    /// # Errors
    /// In words, why it is none.
    fn artefact(&self, question: Question<'_>, answer: &Answer) -> Result<Artefact, String>;

    /// What an engine that does nothing says: its `ready`, and an answer to every request.
    ///
    /// # Errors
    /// In words, what is wrong with the settings.
    fn nothing(&self, settings: &Object) -> Result<(Object, Reply), String>;

    /// What the conformance kit asks, in order; one of them is [`Purpose::Fresh`], before those that are compared
    /// with it.
    ///
    /// # Errors
    /// In words: the request is another task's.
    fn probes(&self, request: &RequestSpec) -> Result<Vec<Probe>, String>;

    /// The `n`th request that takes as long as `probe` and that nobody ever asked: an engine that remembers its
    /// answers has none to it.
    fn another(&self, probe: &Probe, n: u64) -> Probe {
        let seed = probe.planned.seed.wrapping_add(ANOTHER).wrapping_add(n);
        Probe { planned: PlannedRequest { seed, ..probe.planned.clone() }, ..probe.clone() }
    }

    /// How engines are asked what they would have said elsewhere, where the task knows such a question.
    fn scoring(&self) -> Option<&dyn Scoring> {
        None
    }
}

/// A question that no clock times: how likely an engine finds an answer that it need not have given.
pub trait Scoring: Sync {
    /// Whether an engine that said this in its `ready` takes such questions.
    fn is_offered(&self, ready: &Object) -> bool;

    /// The header of the question about a kept answer to a request, and what its own answer may be.
    ///
    /// # Errors
    /// In words: the answer is none to the request.
    fn question(&self, planned: &PlannedRequest, answer: &[u8]) -> Result<(Object, AnswerLimits), String>;

    /// What is kept of what an engine said of a kept answer to a request.
    ///
    /// # Errors
    /// In words, why it says nothing.
    fn scores(&self, planned: &PlannedRequest, answer: &[u8], said: &Answer) -> Result<Artefact, String>;

    /// Of what an engine answered by itself, the share that its own kept scores of that answer put first; `None` where
    /// answers are not made of what comes first.
    fn own_choices(&self, planned: &PlannedRequest, answer: &[u8], scores: &[u8]) -> Option<f64>;
}

/// A request of the conformance kit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// What is checked by it.
    pub what: &'static str,
    /// Why it is made.
    pub purpose: Purpose,
    /// What the contest would ask of all.
    pub request: RequestSpec,
    /// What it would ask here.
    pub planned: PlannedRequest,
}

/// Why a [`Probe`] is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To warm up; the answer is not looked at.
    Warm,
    /// To have something to compare with.
    Fresh,
    /// The same as [`Self::Fresh`] once more: the same answer, in about the same time.
    Repeat,
    /// Another one than [`Self::Fresh`], which must change the answer.
    Other,
    /// One that some engines cannot answer.
    Edge,
}
