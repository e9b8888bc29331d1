//! One session, as it was recorded: what the log holds of it, and what that leaves open.

use std::collections::BTreeMap;

use super::record::{Attempt, Idle, Launch, Outcome, Phase, Record, Scores, ScoresOutcome, SessionEnd};
use crate::digest::Digest;
use crate::plan::Side;

/// What was recorded of a session, in order.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RecordedSession<'a> {
    /// The session under which its baseline is recorded, where that is another one.
    pub shares: Option<u32>,
    /// Its launches.
    pub launches: Vec<&'a Launch>,
    /// Its attempts: warm-up, measured and repeated.
    pub attempts: Vec<&'a Attempt>,
    /// What its processes did while nothing was asked of them.
    pub idle: Vec<&'a Idle>,
    /// What was said of its answers, untimed.
    pub scores: Vec<&'a Scores>,
    /// Its end, once it has one.
    pub end: Option<&'a SessionEnd>,
}

impl<'a> RecordedSession<'a> {
    /// Takes in a record of it.
    pub(super) fn take(&mut self, record: &'a Record) {
        match record {
            Record::Launch(launch) => self.launches.push(launch),
            Record::Attempt(attempt) => self.attempts.push(attempt),
            Record::Idle(idle) => self.idle.push(idle),
            Record::Scores(scores) => self.scores.push(scores),
            Record::Session(end) => self.end = Some(end),
            Record::Header(_) | Record::Block(_) | Record::Stop(_) => {}
        }
    }

    /// Whether a pair is not yet asked of both sides. A pair whose one side failed cannot be completed: its other side is not
    /// asked.
    pub fn is_open(&self, pair: u32) -> bool {
        let failed = |attempt: &Attempt| matches!(attempt.outcome, Outcome::Failed(_));
        match [Side::Baseline, Side::Candidate].map(|side| self.measured(pair, side)) {
            [None, None] => true,
            [Some(done), None] | [None, Some(done)] => !failed(done),
            [Some(_), Some(_)] => false,
        }
    }

    /// Under which session a side of `index` is recorded.
    pub fn place(&self, index: u32, side: Side) -> u32 {
        match side {
            Side::Baseline => self.shares.unwrap_or(index),
            Side::Candidate => index,
        }
    }

    /// The measured attempt of one side of a pair.
    pub fn measured(&self, pair: u32, side: Side) -> Option<&'a Attempt> {
        self.attempts.iter().copied().find(|a| a.side == side && a.phase == Phase::Measured { pair })
    }

    /// Of the first `scored` pairs those whose answers of the baseline both sides are to be asked about; `None` as long as the
    /// baseline has not been asked for all of them.
    pub fn pairs_to_score(&self, scored: u32) -> Option<Vec<(u32, Digest)>> {
        let asked: Option<Vec<_>> =
            (0..scored).map(|pair| Some((pair, self.measured(pair, Side::Baseline)?))).collect();
        Some(
            asked?
                .into_iter()
                .filter_map(|(pair, attempt)| Some((pair, attempt.outcome.answer()?)))
                .collect(),
        )
    }

    /// What a side said of the baseline's answer in a pair, or why not.
    pub fn scores_of(&self, pair: u32, side: Side) -> Option<&'a ScoresOutcome> {
        let found = self.scores.iter().find(|scores| (scores.pair, scores.side) == (pair, side));
        found.map(|scores| &scores.outcome)
    }

    /// What both sides said of each of the first `scored` pairs, the baseline first; none unless all was said: nobody chooses
    /// what is looked at.
    pub fn all_scores(&self, scored: u32) -> BTreeMap<u32, [Digest; 2]> {
        let given = |pair: u32, side: Side| match self.scores_of(pair, side)? {
            ScoresOutcome::Given { scores } => Some(*scores),
            ScoresOutcome::Failed(_) => None,
        };
        let both = |(pair, _)| Some((pair, [given(pair, Side::Baseline)?, given(pair, Side::Candidate)?]));
        let all = |pairs: Vec<_>| pairs.into_iter().map(both).collect::<Option<BTreeMap<_, _>>>();
        self.pairs_to_score(scored).and_then(all).unwrap_or_default()
    }

    /// Pairs both of whose sides were answered: (pair, baseline, candidate).
    pub fn complete_pairs(&self, pairs: u32) -> impl Iterator<Item = (u32, &'a Attempt, &'a Attempt)> {
        let answered = |attempt: &Attempt| matches!(attempt.outcome, Outcome::Answered { .. });
        (0..pairs).filter_map(move |pair| {
            let baseline = self.measured(pair, Side::Baseline).filter(|a| answered(a))?;
            let candidate = self.measured(pair, Side::Candidate).filter(|a| answered(a))?;
            Some((pair, baseline, candidate))
        })
    }
}
