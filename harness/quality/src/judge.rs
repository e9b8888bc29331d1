//! How answers are judged: pairs of artefacts in, the values of metrics out. Each task has its judge.

use std::path::{Path, PathBuf};

use edgemaxx_contract::digest::Digest;
use edgemaxx_contract::quality::{Judgement, QualityRecord};
use edgemaxx_contract::task::Ask;
use serde_json::Value;

use crate::error::Result;

/// An answer that was kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Artefact {
    /// The file.
    pub path: PathBuf,
    /// Digest of what was answered, as recorded when it was measured.
    pub digest: Digest,
}

/// Two answers to one request.
#[derive(Clone, Debug)]
pub struct Pair {
    /// The candidate's name.
    pub candidate: String,
    /// Session of the pair.
    pub session: u32,
    /// Position of the pair in its session.
    pub pair: u32,
    /// Id of the request.
    pub request: u32,
    /// What was asked.
    pub ask: Ask,
    /// The baseline's answer.
    pub baseline: Artefact,
    /// The candidate's answer.
    pub answer: Artefact,
    /// Of the later of two requests that ask the same under two noises: the baseline's and the candidate's answer to
    /// the earlier one.
    pub twin: Option<[Artefact; 2]>,
    /// What the baseline's engine and the candidate's say of the baseline's answer, where both were asked.
    pub scores: Option<[Artefact; 2]>,
}

/// Judges the answers of one task, with the models it was given; what needs another is left out.
pub trait Judge: Send + Sync {
    /// The held-back views of the run whose samples end in `head`, as documents hold them: nobody knows them before
    /// all answers are made.
    fn draw_views(&self, head: Digest) -> Vec<Value>;

    /// The file of a kept answer, which is the one recorded.
    ///
    /// # Errors
    /// When it is missing, or another than the samples say.
    fn read(&self, artefact: &Artefact) -> Result<Vec<u8>>;

    /// What the metrics say of each pair, in order and the same for any number of threads, through `views` too.
    /// `done` is called after each pair, from any thread, and may count.
    ///
    /// # Errors
    /// When an answer cannot be read, is not the one recorded, or the two of a pair cannot be compared.
    fn judge(&self, pairs: &[Pair], views: &[Value], done: &(dyn Fn() + Sync)) -> Result<Vec<Judgement>>;

    /// Whether the candidate's two answers to one ask differ as the baseline's two do under the same two noises, from 1 (in
    /// the same way) to -1; 0: not at all, or otherwise. `None`: the baseline's do not differ, or the task knows no noise.
    ///
    /// # Errors
    /// When an answer cannot be read, or is not the one recorded.
    fn follows(&self, _baseline: [&Artefact; 2], _candidate: [&Artefact; 2]) -> Result<Option<f64>> {
        Ok(None)
    }

    /// What the metrics say of two files, the first taken for the baseline's; `prompt` is what both should show.
    ///
    /// # Errors
    /// When a file is no answer, or the two cannot be compared; names the files.
    fn compare(&self, a: &Path, b: &Path, prompt: Option<&str>) -> Result<Judgement>;
}

/// The records of a run's pairs, in order.
///
/// # Errors
/// As [`Judge::judge`].
pub fn records(
    judge: &dyn Judge,
    pairs: &[Pair],
    views: &[Value],
    done: &(dyn Fn() + Sync),
) -> Result<Vec<QualityRecord>> {
    let judgements = judge.judge(pairs, views, done)?;
    let follows = |pair: &Pair| match &pair.twin {
        Some([theirs, own]) => judge.follows([theirs, &pair.baseline], [own, &pair.answer]),
        None => Ok(None),
    };
    let record = |(pair, found): (&Pair, Judgement)| {
        Ok(QualityRecord {
            candidate: pair.candidate.clone(),
            session: pair.session,
            pair: pair.pair,
            request: pair.request,
            baseline_answer: pair.baseline.digest,
            candidate_answer: pair.answer.digest,
            values: found.values,
            sides: found.sides,
            follows: follows(pair)?,
            detail: found.detail,
        })
    };
    pairs.iter().zip(judgements).map(record).collect()
}
