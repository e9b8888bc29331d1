//! The site's one page.

use std::collections::{BTreeMap, BTreeSet};

use edgemaxx_contract::estimate::CertificateVerdict;
use edgemaxx_contract::plan::{Day, Extent};
use serde::Serialize;

use super::changes::change_points;
use crate::ReportError;
use crate::escape::visible;
use crate::front::{Evidence, Front};
use crate::html::render;
use crate::number::{self, UNDEFINED};
use crate::page::candidate_anchor;
use crate::plot::{TrendPoint, trend};
use crate::standing::{standing_key, standing_words};
use crate::summary::{Summary, SummaryCandidate, SummaryEstimate};

/// Days shown side by side in the leaderboard over time.
const DAYS: usize = 10;

/// A run of the history.
#[derive(Debug, Clone)]
pub struct HistoryRun {
    /// Its `summary.json`.
    pub summary: Summary,
    /// Where its report is, relative to the site; `None`: no link.
    pub report: Option<String>,
    /// The block that the weights of its day stand in; `None`: not known, or none.
    pub weights_block: Option<u64>,
    /// What the front page shows of the last run of a contest beside the numbers; `None`: the numbers alone.
    pub evidence: Option<Evidence>,
}

/// A day of a validator on which nothing was measured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuietDay {
    /// The day.
    pub day: Day,
    /// Where its page is, relative to the site.
    pub report: String,
    /// What was decided, and why.
    pub reason: String,
    /// As of a run.
    pub weights_block: Option<u64>,
    /// Of a day of several contests together, which measures nothing itself: their names; their pages lie in folders of
    /// these names.
    pub contests: Vec<String>,
}

/// A file of the site.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SiteFile {
    /// Path inside the site.
    pub path: String,
    /// Its text.
    pub text: String,
}

#[derive(Debug, Serialize)]
struct Site {
    title: String,
    contests: Vec<ContestHistory>,
    /// Days of several contests together, and those contests.
    joint: Vec<QuietRow>,
    joined: Vec<String>,
    quiet: Vec<QuietRow>,
}

#[derive(Debug, Serialize)]
struct QuietRow {
    day: String,
    link: String,
    reason: String,
    block: String,
}

#[derive(Debug, Serialize)]
struct ContestHistory {
    anchor: String,
    name: String,
    verdict: String,
    front: Option<Front>,
    /// Who won over the days, in a sentence.
    glance: String,
    winners: Option<Trend>,
    span: String,
    runs: Vec<RunRow>,
    days: Vec<String>,
    board: Vec<BoardRow>,
    trends: Vec<Trend>,
    machines: Vec<Trend>,
}

#[derive(Debug, Serialize)]
struct RunRow {
    day: String,
    link: Option<String>,
    extent: &'static str,
    fitness: &'static str,
    winner: String,
    verdict: String,
    noise: String,
    effect: String,
    machine: String,
    block: String,
}

#[derive(Debug, Serialize)]
struct BoardRow {
    name: String,
    cells: Vec<BoardCell>,
}

#[derive(Debug, Serialize)]
struct BoardCell {
    text: String,
    standing: &'static str,
    words: &'static str,
}

#[derive(Debug, Serialize)]
struct Trend {
    name: String,
    latest: String,
    plot: String,
    changes: Vec<String>,
}

/// Builds the site: `index.html`, and `history.json` with all summaries. Runs may come in any order; days on which nothing
/// was measured, in theirs.
///
/// # Errors
/// [`ReportError`]: a defect of this crate.
pub fn history(runs: &[HistoryRun], quiet: &[QuietDay]) -> Result<Vec<SiteFile>, ReportError> {
    let mut contests: BTreeMap<&str, Vec<&HistoryRun>> = BTreeMap::new();
    for run in runs {
        contests.entry(&run.summary.contest).or_default().push(run);
    }
    for runs in contests.values_mut() {
        runs.sort_by_key(|run| (run.summary.day.clone(), run.summary.samples));
    }
    let (joint, quiet): (Vec<&QuietDay>, Vec<&QuietDay>) =
        quiet.iter().partition(|day| !day.contests.is_empty());
    let joined: BTreeSet<&String> = joint.iter().flat_map(|day| &day.contests).collect();
    let site = Site {
        title: "EdgeMaxx: history".to_owned(),
        contests: contests.iter().enumerate().map(|(i, (name, runs))| contest(i, name, runs)).collect(),
        joined: joined.into_iter().map(|name| visible(name)).collect(),
        joint: joint.into_iter().rev().map(quiet_row).collect(),
        quiet: quiet.into_iter().rev().map(quiet_row).collect(),
    };
    let sorted: Vec<&Summary> = contests.values().flatten().map(|run| &run.summary).collect();
    let page = SiteFile { path: "index.html".to_owned(), text: render("history.html", &site)? };
    let json = serde_json::to_string_pretty(&sorted)? + "\n";
    Ok(vec![page, SiteFile { path: "history.json".to_owned(), text: json }])
}

fn contest(index: usize, name: &str, runs: &[&HistoryRun]) -> ContestHistory {
    let summaries: Vec<&Summary> = runs.iter().map(|run| &run.summary).collect();
    let recent = &summaries[summaries.len().saturating_sub(DAYS)..];
    // Candidates in the order of the latest run they took part in.
    let mut names: Vec<&str> = Vec::new();
    let mut seen = BTreeSet::new();
    for candidate in summaries.iter().rev().flat_map(|s| &s.candidates) {
        if seen.insert(candidate.name.as_str()) {
            names.push(&candidate.name);
        }
    }
    let of = |summary: &'_ Summary, name: &str| -> Option<SummaryCandidate> {
        summary.candidates.iter().find(|c| c.name == name).cloned()
    };
    let anchor = format!("contest-{}", index + 1);
    let trends = names.iter().enumerate().map(|(i, name)| {
        let values = summaries.iter().filter_map(|s| Some((s.day.to_string(), of(s, name)?.speedup?)));
        series(&format!("{anchor}-candidate-{}", i + 1), name, values, "×", number::speedup)
    });
    let winner = |s: &&Summary| s.winner.as_deref().and_then(|name| of(s, name)?.speedup);
    let winners = summaries.iter().filter_map(|s| Some((s.day.to_string(), winner(s)?)));
    let winners = series(&format!("{anchor}-winners"), "Each day’s winner", winners, "×", number::speedup);
    let machines: BTreeSet<&str> = summaries.iter().map(|s| s.machine.as_str()).collect();
    let machines = machines.iter().enumerate().map(|(i, machine)| {
        let here = summaries.iter().filter(|s| s.machine == **machine);
        let values = here.filter_map(|s| Some((s.day.to_string(), s.baseline_latency_ms.clone()?)));
        series(&format!("{anchor}-machine-{}", i + 1), machine, values, " ms", number::millis)
    });
    ContestHistory {
        name: visible(name),
        verdict: summaries.last().map_or_else(String::new, |s| visible(&s.verdict)),
        front: runs.last().map(|run| {
            let report = link(run);
            Front::new(
                (&format!("{anchor}-front"), format!("In short: {}", visible(name))),
                &run.summary,
                run.evidence.as_ref(),
                |index| Some(format!("{}#{}", report.as_ref()?, candidate_anchor(index))),
            )
        }),
        glance: glance(&summaries),
        winners: winners.filter(|_| summaries.len() > 1),
        span: match (summaries.first(), summaries.last()) {
            (Some(first), Some(_)) if summaries.len() == 1 => format!("One run, of {}", first.day),
            (Some(first), Some(last)) => format!("{} runs, {} to {}", summaries.len(), first.day, last.day),
            _ => String::new(),
        },
        runs: runs.iter().rev().map(|run| row(run)).collect(),
        days: recent.iter().map(|s| s.day.to_string()).collect(),
        board: names
            .iter()
            .map(|name| BoardRow {
                name: visible(name),
                cells: recent.iter().map(|s| cell(of(s, name).as_ref())).collect(),
            })
            .collect(),
        trends: trends.flatten().collect(),
        machines: machines.flatten().collect(),
        anchor,
    }
}

/// Where a run's report is: only a path below the site, a link that a summary cannot turn into anything else.
fn link(run: &HistoryRun) -> Option<String> {
    run.report.clone().filter(|link| !link.contains(':') && !link.starts_with('/'))
}

/// Since when the last run's winner wins.
fn glance(summaries: &[&Summary]) -> String {
    let Some((last, before)) = summaries.split_last() else { return String::new() };
    let same = before.iter().rev().take_while(|s| s.winner == last.winner).count();
    match (&last.winner, before.len(), same) {
        (_, 0, _) => "This is the first run that is published here.".to_owned(),
        (None, runs, _) => format!("The last of {} runs has no winner.", runs + 1),
        (Some(_), runs, 0) => {
            format!("The winner is another than in the run before; there are {} runs.", runs + 1)
        }
        (Some(_), runs, same) if same == runs => format!("The winner has won all {} runs.", runs + 1),
        (Some(_), runs, same) => format!("The winner has won the last {} of {} runs.", same + 1, runs + 1),
    }
}

fn row(run: &HistoryRun) -> RunRow {
    let s = &run.summary;
    let unfit = s.fitness == CertificateVerdict::Unfit;
    RunRow {
        day: s.day.to_string(),
        link: link(run),
        extent: if s.extent == Extent::Quick { "quick look" } else { "full run" },
        fitness: if unfit { "unfit" } else { "fit" },
        winner: s.winner.as_deref().map_or_else(|| UNDEFINED.to_owned(), visible),
        verdict: visible(&s.verdict),
        noise: number::optional(s.noise_floor, |v| format!("±{}", number::percent(v, 2))),
        effect: number::optional(s.minimum_detectable_effect, |v| number::percent(v, 2)),
        machine: visible(&s.machine),
        block: block(run.weights_block),
    }
}

fn quiet_row(quiet: &QuietDay) -> QuietRow {
    QuietRow {
        day: quiet.day.to_string(),
        link: quiet.report.clone(),
        reason: visible(&quiet.reason),
        block: block(quiet.weights_block),
    }
}

/// The block that weights stand in.
fn block(number: Option<u64>) -> String {
    number.map_or_else(|| UNDEFINED.to_owned(), |number| number.to_string())
}

fn cell(candidate: Option<&SummaryCandidate>) -> BoardCell {
    let Some(c) = candidate else {
        return BoardCell { text: String::new(), standing: "absent", words: "did not take part" };
    };
    BoardCell {
        text: number::optional(c.speedup.as_ref().map(|s| s.point), number::speedup),
        standing: standing_key(c.standing),
        words: standing_words(c.standing),
    }
}

/// A trend with its changes; `None` without values.
fn series(
    id: &str,
    name: &str,
    values: impl Iterator<Item = (String, SummaryEstimate)>,
    unit: &str,
    format: fn(f64) -> String,
) -> Option<Trend> {
    let values: Vec<(String, SummaryEstimate)> = values.filter(|(_, e)| e.point.is_finite()).collect();
    let latest = format(values.last()?.1.point);
    let points: Vec<f64> = values.iter().map(|(_, e)| e.point).collect();
    let changes = change_points(&points);
    let mut bounds = vec![0];
    bounds.extend(&changes);
    bounds.push(points.len());
    let levels: Vec<f64> = bounds
        .windows(2)
        .map(|b| (points[b[0]..b[1]].iter().map(|v| v.ln()).sum::<f64>() / (b[1] - b[0]) as f64).exp())
        .collect();
    let told = changes.iter().zip(levels.windows(2)).map(|(at, level)| {
        let relative = level[1] / level[0] - 1.0;
        let sign = if relative > 0.0 { "+" } else { "" };
        format!(
            "{}: from {} to {} ({sign}{})",
            values[*at].0,
            format(level[0]),
            format(level[1]),
            number::percent(relative, 1)
        )
    });
    let told = told.collect();
    let shown: Vec<TrendPoint> = values
        .into_iter()
        .enumerate()
        .map(|(index, (day, e))| TrendPoint {
            day,
            value: e.point,
            ends: (e.lower, e.upper),
            change: changes.contains(&index),
        })
        .collect();
    Some(Trend {
        name: visible(name),
        latest,
        plot: trend(id, &format!("{name} by day"), &shown, unit),
        changes: told,
    })
}
