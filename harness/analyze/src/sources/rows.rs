//! Rows of foreign measurements, kept compactly (ten million fit), and paired up.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::path::Path;

use edgemaxx_contract::counted::LeftOut;
use edgemaxx_contract::digest::Digest;
use rayon::prelude::*;

use super::error::SourceError;
use super::names::Names;
use crate::samples::{CandidateSamples, Pair, SampleTable, Session};

/// Rows in the order of the file.
#[derive(Debug, Default)]
pub(super) struct Rows {
    pub(super) sessions: Names,
    pub(super) requests: Names,
    pub(super) pipelines: Names,
    rows: Vec<Row>,
}

#[derive(Debug, Clone, Copy)]
struct Row {
    session: u32,
    request: u32,
    pipeline: u32,
    /// Where it stands in the file, from 1.
    line: u32,
    throttled: bool,
    latency_ms: f64,
}

impl Rows {
    /// Appends a row; names by their numbers, the latency a [`possible`] one.
    pub(super) fn push(
        &mut self,
        (session, request, pipeline): (u32, u32, u32),
        latency_ms: f64,
        throttled: bool,
        line: u32,
    ) {
        self.rows.push(Row { session, request, pipeline, line, throttled, latency_ms });
    }

    /// Pairs each row with the baseline's of the same session and request.
    pub(super) fn pair_up(
        self,
        path: &Path,
        baseline: Option<&str>,
        digest: Digest,
    ) -> Result<SampleTable, SourceError> {
        let pipelines = &self.pipelines.list;
        let baseline = self.baseline(path, baseline)?;
        if pipelines.len() < 2 {
            let problem =
                format!("only the pipeline {:?}; expected the baseline and at least one other", pipelines[0]);
            return Err(SourceError::Nothing { path: path.to_owned(), problem });
        }
        if let Some(alike) = self.pipelines.look_alike() {
            let problem = format!("{alike}; give them names that a reader can tell apart");
            return Err(SourceError::Nothing { path: path.to_owned(), problem });
        }
        // Within a session and request the baseline comes first.
        let mut order: Vec<u32> = (0..self.rows.len() as u32).collect();
        let key = |&index: &u32| {
            let row = &self.rows[index as usize];
            (row.session, row.request, row.pipeline != baseline, row.pipeline, index)
        };
        order.par_sort_unstable_by_key(key);
        let expected = self.expected(baseline);
        let mut found: Vec<BTreeMap<u32, Vec<(u32, Pair)>>> = vec![BTreeMap::new(); pipelines.len()];
        // Of each pipeline: requests that both sides answered, those that only the baseline did, those that only it did,
        // and those that neither did, of which others' rows tell.
        let mut counts = vec![[0u64; 4]; pipelines.len()];
        let mut alone: BTreeMap<u32, (usize, u32)> = BTreeMap::new();
        for group in order.chunk_by(|a, b| {
            let (a, b) = (&self.rows[*a as usize], &self.rows[*b as usize]);
            (a.session, a.request) == (b.session, b.request)
        }) {
            self.refuse_duplicates(path, group)?;
            let first = &self.rows[group[0] as usize];
            let partner = (first.pipeline == baseline).then_some(first);
            let own: Vec<u32> = group.iter().map(|&index| self.rows[index as usize].pipeline).collect();
            for &pipeline in &expected[first.session as usize] {
                let who = match (partner, own.contains(&pipeline)) {
                    (Some(_), true) => 0,
                    (Some(_), false) => 1,
                    (None, true) => 2,
                    (None, false) => 3,
                };
                counts[pipeline as usize][who] += 1;
            }
            for &index in &group[usize::from(partner.is_some())..] {
                let row = &self.rows[index as usize];
                let Some(partner) = partner else {
                    let (count, earliest) = alone.entry(row.pipeline).or_insert((0, index));
                    *count += 1;
                    *earliest = index.min(*earliest);
                    continue;
                };
                let pair = Pair {
                    baseline_ms: partner.latency_ms,
                    candidate_ms: row.latency_ms,
                    throttled: partner.throttled || row.throttled,
                };
                found[row.pipeline as usize].entry(row.session).or_default().push((index, pair));
            }
        }
        let tick_ms = self.tick_ms();
        let mut candidates = Vec::new();
        for (pipeline, sessions) in found.into_iter().enumerate() {
            if pipeline as u32 == baseline {
                continue;
            }
            let name = pipelines[pipeline].clone();
            if sessions.is_empty() {
                let problem = format!(
                    "pipeline {name:?} has no row whose session and request the baseline {:?} has too (first: line {}); \
                     latencies are compared pair by pair",
                    pipelines[baseline as usize],
                    alone.get(&(pipeline as u32)).map_or(0, |(_, index)| self.line(*index)),
                );
                return Err(SourceError::Nothing { path: path.to_owned(), problem });
            }
            let in_order = |(key, mut pairs): (u32, Vec<(u32, Pair)>)| {
                pairs.sort_unstable_by_key(|(index, _)| *index);
                Session { key, pairs: pairs.into_iter().map(|(_, pair)| pair).collect() }
            };
            let [both, unanswered, alone, neither] = counts[pipeline];
            let mut samples = CandidateSamples::whole(name, sessions.into_iter().map(in_order).collect());
            samples.counted.expected = both + unanswered + alone + neither;
            let lacks = [
                (unanswered, "without an answer of it"),
                (alone, "without an answer of the baseline"),
                (neither, "without an answer of either, and with one of another pipeline"),
            ];
            let lacks = lacks.into_iter().filter(|(count, _)| *count > 0);
            samples.counted.left_out =
                lacks.map(|(count, why)| LeftOut { count, why: why.to_owned() }).collect();
            samples.blur = blur(&samples, tick_ms);
            candidates.push(samples);
        }
        let warnings = alone.iter().map(|(&pipeline, &(count, index))| {
            format!(
                "{count} row(s) of {:?} have no partner of the baseline in the same session and request \
                 (first: line {}) and are left out",
                pipelines[pipeline as usize],
                self.line(index)
            )
        });
        let mut table = SampleTable {
            baseline: pipelines[baseline as usize].clone(),
            warnings: warnings.collect(),
            candidates,
            digest,
        };
        for candidate in table.candidates.iter().filter(|candidate| candidate.blur > 0.0) {
            table.warnings.push(format!(
                "{:?}: latencies are multiples of {tick_ms} ms; rounding alone may move its speedup by {:.2}%, and its \
                 interval is wider by more than that",
                candidate.name,
                100.0 * candidate.blur.exp_m1()
            ));
        }
        table.doubt_what_is_missing();
        Ok(table)
    }

    /// The pipelines that should have answered in each session, in order: those with a row in it. Where the baseline stands
    /// alone, whose rows those of a candidate should have been, nobody says, so that all of them lack them; and where
    /// candidates share sessions at all, who has no row in one of the baseline's was left out of it.
    fn expected(&self, baseline: u32) -> Vec<BTreeSet<u32>> {
        let mut there = vec![BTreeSet::new(); self.sessions.list.len()];
        for row in &self.rows {
            there[row.session as usize].insert(row.pipeline);
        }
        let candidates = |of: &BTreeSet<u32>| of.len() - usize::from(of.contains(&baseline));
        let shared = there.iter().any(|of| candidates(of) > 1);
        for of in there.iter_mut().filter(|of| of.contains(&baseline)) {
            if shared || candidates(of) == 0 {
                of.extend(0..self.pipelines.list.len() as u32);
            }
        }
        there
    }

    /// The largest tick of which all latencies are multiples: what the clock told, or who wrote them down; 0 where that is
    /// finer than a nanosecond, or where there are too few to tell a clock's tick from chance.
    fn tick_ms(&self) -> f64 {
        if self.rows.len() < TELLING {
            return 0.0;
        }
        let mut tick = 0u64;
        for row in &self.rows {
            let ns = row.latency_ms * 1e6;
            if (ns - ns.round()).abs() > 1e-3 || ns > 9e15 {
                return 0.0;
            }
            tick = gcd(tick, ns.round() as u64);
            if tick == 1 {
                break;
            }
        }
        tick as f64 / 1e6
    }

    fn line(&self, index: u32) -> usize {
        self.rows[index as usize].line as usize
    }

    /// The number of the baseline.
    fn baseline(&self, path: &Path, name: Option<&str>) -> Result<u32, SourceError> {
        let pipelines = &self.pipelines;
        if pipelines.list.is_empty() {
            let problem = "no rows; expected at least one pair".to_owned();
            return Err(SourceError::Nothing { path: path.to_owned(), problem });
        }
        match name {
            Some(name) => pipelines.numbers.get(name).copied().ok_or_else(|| SourceError::Baseline {
                path: path.to_owned(),
                name: name.to_owned(),
                known: known(&pipelines.list),
            }),
            None => Ok(pipelines.numbers.get("baseline").copied().unwrap_or(0)),
        }
    }

    /// One row per pipeline; the rows of a group are sorted by pipeline, then by place.
    fn refuse_duplicates(&self, path: &Path, group: &[u32]) -> Result<(), SourceError> {
        let same = |w: &&[u32]| self.rows[w[0] as usize].pipeline == self.rows[w[1] as usize].pipeline;
        match group.windows(2).find(same) {
            None => Ok(()),
            Some(twice) => Err(SourceError::Duplicate {
                path: path.to_owned(),
                line: self.line(twice[1]),
                first: self.line(twice[0]),
                pipeline: self.pipelines.list[self.rows[twice[0] as usize].pipeline as usize].clone(),
            }),
        }
    }
}

/// Milliseconds that something can have taken: from a femtosecond to thirty years. What lies beyond was computed, not measured,
/// and its ratios leave what a number can hold.
const POSSIBLE_MS: RangeInclusive<f64> = 1e-12..=1e12;

/// A latency that can have been measured.
pub(super) fn possible(ms: f64) -> Option<f64> {
    Some(ms).filter(|ms| POSSIBLE_MS.contains(ms))
}

/// Rows from which a common tick is hardly by chance.
const TELLING: usize = 16;

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// Rounding that moves no ratio by more than this is not worth a word.
const FINE: f64 = 1e-4;

/// How far rounding to a tick may have moved the log ratios: half a tick of either latency.
fn blur(samples: &CandidateSamples, tick_ms: f64) -> f64 {
    let pair = |pair: &Pair| tick_ms / 2.0 * (1.0 / pair.baseline_ms + 1.0 / pair.candidate_ms);
    let blur = samples.all_pairs().map(pair).sum::<f64>() / samples.pairs().max(1) as f64;
    if blur > FINE { blur } else { 0.0 }
}

/// Names for a message; long lists are cut.
fn known(names: &[String]) -> String {
    let mut text = names.iter().take(20).cloned().collect::<Vec<_>>().join(", ");
    if names.len() > 20 {
        text += &format!(" and {} more", names.len() - 20);
    }
    text
}
