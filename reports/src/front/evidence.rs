//! What a run's summary lacks of its outcome: what the answers look like, and who was turned away unmeasured.

use std::collections::BTreeSet;

use edgemaxx_contract::contest::Contest;
use edgemaxx_contract::plan::Plan;
use edgemaxx_contract::quality::{QualityLog, QualityRecord};
use edgemaxx_contract::ranking::{Ranking, Standing};
use serde::Serialize;

use crate::escape::visible;
use crate::exhibit::of_task;
use crate::view::{AnswerSource, RunView};

/// Pairs of answers shown.
const PAIRS: usize = 4;
/// Characters that they may take.
const BUDGET: usize = 300_000;

/// What the front page shows beside the summary's numbers.
#[derive(Debug, Clone, Default)]
pub struct Evidence {
    /// Answers of the best candidate beside the baseline's.
    pub(super) pairs: Vec<Pair>,
    /// Of how many judged requests they are.
    pub(super) of: usize,
    /// Those who had submitted and were turned away before anything was measured.
    pub(super) turned_away: Vec<TurnedAway>,
}

/// Two answers to one request.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Pair {
    pub asked: String,
    /// Markup in which nothing foreign is left.
    pub shown: String,
}

/// A submission that was not measured.
#[derive(Debug, Clone)]
pub(super) struct TurnedAway {
    pub hotkey: String,
    pub source: String,
    pub words: &'static str,
    pub why: Vec<String>,
}

impl Evidence {
    /// Gathers it from a run.
    pub fn of(view: &RunView<'_>, source: &dyn AnswerSource) -> Self {
        let best = best(view.ranking);
        let (records, of) = best.map_or((Vec::new(), 0), |name| spread(view.contest, view.quality, name));
        let shown = of_task(view.plan.task).show(&records, source, BUDGET);
        let pair = |(record, shown): (&&QualityRecord, Option<crate::exhibit::Shown>)| {
            Some(Pair { asked: asked(view.plan, record.request), shown: shown?.html })
        };
        Self {
            pairs: records.iter().zip(shown).filter_map(pair).collect(),
            of,
            turned_away: view.day.as_ref().map_or_else(Vec::new, |day| {
                let rows = day.rows().into_iter().filter(|row| matches!(row.key, "copy" | "invalid"));
                let measured = |hotkey: &str| view.ranking.entries.iter().any(|entry| entry.name == hotkey);
                rows.filter(|row| !measured(&row.hotkey))
                    .map(|row| TurnedAway {
                        hotkey: row.hotkey,
                        source: row.source,
                        words: row.words,
                        why: row.why,
                    })
                    .collect()
            }),
        }
    }
}

/// Whose answers are shown: the winner's, else the first of those who share the first place.
fn best(ranking: &Ranking) -> Option<&str> {
    let first = ranking.entries.first().filter(|entry| entry.standing == Standing::Accepted);
    ranking.winner.as_deref().or(first.map(|entry| entry.name.as_str()))
}

fn asked(plan: &Plan, request: u32) -> String {
    plan.requests.get(request as usize).map_or_else(String::new, |r| visible(&plan.task.ask_words(&r.ask)))
}

/// [`PAIRS`] of a candidate's answers, one to a request, from the least alike to the most alike at even distances; and of
/// how many.
fn spread<'a>(
    contest: &Contest,
    quality: &'a QualityLog,
    candidate: &str,
) -> (Vec<&'a QualityRecord>, usize) {
    let metric = contest.score.similarity;
    let sign = if metric.higher_is_better() { 1.0 } else { -1.0 };
    let likeness =
        |record: &QualityRecord| record.counts_as(metric).map_or(f64::INFINITY, |value| sign * value);
    let mut seen = BTreeSet::new();
    let mut records: Vec<&QualityRecord> = quality
        .records
        .iter()
        .filter(|record| record.candidate == candidate && seen.insert(record.request))
        .collect();
    records.sort_by(|a, b| likeness(a).total_cmp(&likeness(b)).then(a.request.cmp(&b.request)));
    let last = records.len().saturating_sub(1);
    let mut places: Vec<usize> = (0..PAIRS).map(|place| place * last / (PAIRS - 1)).collect();
    places.dedup();
    (places.into_iter().filter_map(|place| records.get(place).copied()).collect(), records.len())
}
