//! `quality.jsonl`: the numbers of every pair of answers.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::digest::Digest;
use crate::format::{FITS, Format, FormatError};
use crate::metric::{Metric, Model};
use crate::plan::Plan;
use crate::sample::Log;

/// The first line of `quality.jsonl`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct QualityHeader {
    /// `edgemaxx-quality`.
    #[serde(flatten)]
    pub format: Format,
    /// The head of the samples' hash chain that was judged.
    pub samples: Digest,
    /// Digests of the folders of the models that judged.
    pub models: BTreeMap<Model, Digest>,
    /// The held-back views, drawn from `samples`, as the task's judge writes them; none where nothing reads them.
    pub views: Vec<Value>,
}

impl QualityHeader {
    /// The format of `quality.jsonl`.
    pub fn format() -> Format {
        Format::new("edgemaxx-quality", 2)
    }
}

/// One pair: the baseline's and a candidate's answer to the same request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct QualityRecord {
    /// The candidate's name.
    pub candidate: String,
    /// Session of the pair.
    pub session: u32,
    /// Position of the pair in its session.
    pub pair: u32,
    /// Id of the request.
    pub request: u32,
    /// The baseline's answer.
    pub baseline_answer: Digest,
    /// The candidate's answer.
    pub candidate_answer: Digest,
    /// The value of each metric that was computed and has one; all are finite.
    pub values: BTreeMap<Metric, f64>,
    /// Of each metric that is a difference of the sides' own values, these.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub sides: BTreeMap<Metric, Sides>,
    /// Of the later of two requests that ask the same under two noises: whether the candidate's two answers differ as the
    /// baseline's two do. 1: in the same way; 0: not at all, or in nothing that the noise explains.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub follows: Option<f64>,
    /// What the task's judge found on the way, for people; in its own words.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub detail: Value,
}

/// What the metrics say of a pair.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Judgement {
    /// As [`QualityRecord::values`].
    pub values: BTreeMap<Metric, f64>,
    /// As [`QualityRecord::sides`].
    pub sides: BTreeMap<Metric, Sides>,
    /// As [`QualityRecord::detail`].
    #[serde(skip_serializing_if = "Value::is_null")]
    pub detail: Value,
}

/// What each answer of a pair has by itself.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Sides {
    /// The baseline's answer.
    pub baseline: f64,
    /// The candidate's answer.
    pub candidate: f64,
}

impl QualityRecord {
    /// The value of `metric`; `None` where it was not computed, or has none.
    pub fn value(&self, metric: Metric) -> Option<f64> {
        self.values.get(&metric).copied()
    }

    /// What the pair counts as in means, quantiles and gates: the value, and of identical answers that have none
    /// what the metric's entry says.
    pub fn counts_as(&self, metric: Metric) -> Option<f64> {
        self.value(metric).or(if self.is_identical() { metric.entry().of_identical } else { None })
    }

    /// Whether both answers have the same bits.
    pub fn is_identical(&self) -> bool {
        self.baseline_answer == self.candidate_answer
    }
}

/// `quality.jsonl` as a whole.
#[derive(Debug, Clone, PartialEq)]
pub struct QualityLog {
    /// The first line.
    pub header: QualityHeader,
    /// The other lines.
    pub records: Vec<QualityRecord>,
}

/// A quality file that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum QualityError {
    /// Not a record.
    #[error("line {line}: {source}")]
    Record {
        /// Line, from 1.
        line: usize,
        /// What the JSON reader says.
        source: serde_json::Error,
    },
    /// Another kind or version of file.
    #[error("line 1: {0}")]
    Format(#[from] FormatError),
    /// Nothing in it.
    #[error("the file is empty; expected a header line")]
    Empty,
    /// It does not judge each pair of the samples once.
    #[error("pair {pair} of session {session} ({candidate}) {problem}")]
    Pair {
        /// Position of the pair in its session.
        pair: u32,
        /// The session.
        session: u32,
        /// Whose session.
        candidate: String,
        /// What is wrong with it.
        problem: &'static str,
    },
}

impl QualityLog {
    /// Reads `quality.jsonl`.
    ///
    /// # Errors
    /// [`QualityError`] names the line.
    pub fn parse(text: &str) -> Result<Self, QualityError> {
        fn read<'a, T: Deserialize<'a>>((index, line): (usize, &'a str)) -> Result<T, QualityError> {
            serde_json::from_str(line).map_err(|source| QualityError::Record { line: index + 1, source })
        }
        let mut lines = text.lines().enumerate();
        let header: QualityHeader = read(lines.next().ok_or(QualityError::Empty)?)?;
        header.format.expect(&QualityHeader::format())?;
        Ok(Self { header, records: lines.map(read).collect::<Result<_, _>>()? })
    }

    /// Whether it judges the pairs of `log` both of whose sides were answered, each once, and no others.
    ///
    /// # Errors
    /// [`QualityError::Pair`] names the first that it does not.
    pub fn check(&self, plan: &Plan, log: &Log) -> Result<(), QualityError> {
        let mut pairs = BTreeMap::new();
        for (planned, recorded) in plan.sessions.iter().zip(log.sessions(plan)) {
            for (pair, baseline, candidate) in recorded.complete_pairs(planned.pairs.len() as u32) {
                let images = [baseline, candidate].map(|attempt| attempt.outcome.answer());
                pairs.insert((planned.index, pair), (&planned.candidate, baseline.request, images));
            }
        }
        let wrong = |session, pair, candidate: &str, problem| {
            Err(QualityError::Pair { pair, session, candidate: candidate.to_owned(), problem })
        };
        let mut judged = BTreeSet::new();
        for record in &self.records {
            let (key, images) =
                ((record.session, record.pair), [record.baseline_answer, record.candidate_answer].map(Some));
            if pairs.get(&key) != Some(&(&record.candidate, record.request, images)) {
                return wrong(
                    record.session,
                    record.pair,
                    &record.candidate,
                    "is not as the samples hold it",
                );
            }
            if !judged.insert(key) {
                return wrong(record.session, record.pair, &record.candidate, "is judged twice");
            }
        }
        match pairs.iter().find(|(key, _)| !judged.contains(key)) {
            Some(((session, pair), (candidate, ..))) => {
                wrong(*session, *pair, candidate, "is not judged, though both sides were answered")
            }
            None => Ok(()),
        }
    }

    /// The file's text: equal logs give equal bytes.
    pub fn to_jsonl(&self) -> String {
        let mut text = serde_json::to_string(&self.header).expect(FITS) + "\n";
        for record in &self.records {
            text.push_str(&serde_json::to_string(record).expect(FITS));
            text.push('\n');
        }
        text
    }
}
