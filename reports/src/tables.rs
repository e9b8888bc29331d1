//! Tidy tables of a run, as CSV and Parquet: one row per thing, one column per property, units in
//! the column names, nothing merged, nothing dropped.

use std::collections::BTreeMap;

use edgemaxx_contract::counted::Counted;
use edgemaxx_contract::estimate::{
    CandidateEstimates, Claim, Compared, Estimate, Estimates, LaneEstimates, Streaming,
};
use edgemaxx_contract::metric::Metric;
use edgemaxx_contract::plan::{Plan, PlannedSession};
use edgemaxx_contract::quality::QualityLog;
use edgemaxx_contract::ranking::Ranking;
use edgemaxx_contract::sample::{Arrival, Attempt, Log, Mark, Outcome, Phase, Record};
use edgemaxx_contract::shown_text::visible;
use edgemaxx_contract::telemetry::AttemptTelemetry;
use polars::prelude::*;

use crate::day::DayView;
use crate::standing::standing_key;

/// A table that could not be made or written.
#[derive(Debug, thiserror::Error)]
#[error("the {table} table could not be written: {source}")]
pub struct TableError {
    /// Which one.
    table: &'static str,
    /// What polars says.
    source: PolarsError,
}

/// A finished table.
#[derive(Debug, Clone)]
pub struct Table {
    name: &'static str,
    frame: DataFrame,
}

impl Table {
    fn new(name: &'static str, columns: Vec<Column>) -> Result<Self, TableError> {
        let frame =
            DataFrame::new_infer_height(columns).map_err(|source| TableError { table: name, source })?;
        Ok(Self { name, frame })
    }

    /// The table's name, fit for a file name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.frame.height()
    }

    /// The names of the columns.
    pub fn columns(&self) -> Vec<String> {
        self.frame.get_column_names().into_iter().map(ToString::to_string).collect()
    }

    /// As CSV with a header; missing values are empty fields. Equal tables give equal bytes.
    ///
    /// # Errors
    /// [`TableError`].
    pub fn to_csv(&self) -> Result<Vec<u8>, TableError> {
        let failed = |source| TableError { table: self.name, source };
        let mut frame = self.frame.clone();
        for name in self.columns() {
            let Ok(texts) = self.frame.column(&name).map_err(failed)?.str().cloned() else { continue };
            let cells: Vec<Option<String>> = texts.iter().map(|text| text.map(cell)).collect();
            frame.with_column(Column::new(name.into(), cells)).map_err(failed)?;
        }
        let mut bytes = Vec::new();
        CsvWriter::new(&mut bytes).n_threads(1).finish(&mut frame).map_err(failed)?;
        Ok(bytes)
    }

    /// As Parquet, compressed with zstd. Equal tables give equal bytes.
    ///
    /// # Errors
    /// [`TableError`].
    pub fn to_parquet(&self) -> Result<Vec<u8>, TableError> {
        let mut bytes = Vec::new();
        ParquetWriter::new(&mut bytes)
            .set_parallel(false)
            .finish(&mut self.frame.clone())
            .map_err(|source| TableError { table: self.name, source })?;
        Ok(bytes)
    }
}

/// Foreign text as a cell that a spreadsheet takes for text, every character visible: what begins like a formula gets an
/// apostrophe before it.
fn cell(text: &str) -> String {
    let shown = visible(text);
    if shown.starts_with(['=', '+', '-', '@', '\t']) { format!("'{shown}") } else { shown }
}

fn text(name: &str, values: impl Iterator<Item = String>) -> Column {
    Column::new(name.into(), values.collect::<Vec<_>>())
}

fn maybe_text(name: &str, values: impl Iterator<Item = Option<String>>) -> Column {
    Column::new(name.into(), values.collect::<Vec<_>>())
}

fn count(name: &str, values: impl Iterator<Item = u32>) -> Column {
    Column::new(name.into(), values.collect::<Vec<_>>())
}

fn maybe_count(name: &str, values: impl Iterator<Item = Option<u32>>) -> Column {
    Column::new(name.into(), values.collect::<Vec<_>>())
}

fn number(name: &str, values: impl Iterator<Item = Option<f64>>) -> Column {
    Column::new(name.into(), values.collect::<Vec<_>>())
}

fn flag(name: &str, values: impl Iterator<Item = bool>) -> Column {
    Column::new(name.into(), values.collect::<Vec<_>>())
}

/// The submissions of a validator's day: one row per commitment, in the order in which they came.
///
/// # Errors
/// [`TableError`].
pub fn submissions(day: &DayView<'_>) -> Result<Table, TableError> {
    let rows = day.rows();
    let given = |text: &String| (!text.is_empty()).then(|| text.clone());
    Table::new(
        "submissions",
        vec![
            maybe_count("uid", rows.iter().map(|row| row.uid.map(u32::from))),
            text("hotkey", rows.iter().map(|row| row.hotkey.clone())),
            maybe_text("source", rows.iter().map(|row| given(&row.source))),
            Column::new("since_block".into(), rows.iter().map(|row| row.since).collect::<Vec<_>>()),
            text("fate", rows.iter().map(|row| row.key.to_owned())),
            number("share", rows.iter().map(|row| Some(row.share))),
            text("why", rows.iter().map(|row| row.why.join("; "))),
        ],
    )
}

/// The lanes of a run: one row each; `None` of a run on one.
///
/// # Errors
/// [`TableError`].
pub fn lanes(estimates: &Estimates) -> Result<Option<Table>, TableError> {
    let rows = &estimates.lanes;
    if rows.is_empty() {
        return Ok(None);
    }
    let part = |of: fn(&LaneEstimates) -> &Option<Estimate>, part: fn(&Estimate) -> Option<f64>| {
        rows.iter().map(move |lane| part(of(lane).as_ref()?))
    };
    let cores = |lane: &LaneEstimates| lane.cores.iter().map(u32::to_string).collect::<Vec<_>>().join(" ");
    let columns = vec![
        count("lane", rows.iter().map(|lane| lane.lane)),
        maybe_text("card", rows.iter().map(|lane| lane.card.clone())),
        text("processors", rows.iter().map(cores)),
        count("sessions", rows.iter().map(|lane| lane.sessions)),
        count("pairs", rows.iter().map(|lane| lane.pairs)),
        number("control_speedup", part(|lane| &lane.control, |s| Some(s.point))),
        number("control_speedup_lower", part(|lane| &lane.control, |s| s.lower)),
        number("control_speedup_upper", part(|lane| &lane.control, |s| s.upper)),
        number("control_p_value", rows.iter().map(|lane| lane.control_p_value)),
        number("offset", part(|lane| &lane.offset, |s| Some(s.point))),
        number("offset_lower", part(|lane| &lane.offset, |s| s.lower)),
        number("offset_upper", part(|lane| &lane.offset, |s| s.upper)),
        number("baseline_ms", rows.iter().map(|lane| lane.baseline_ms)),
        number("clock_mhz", rows.iter().map(|lane| lane.clock_mhz)),
        maybe_text("dropped", rows.iter().map(|lane| lane.dropped.clone())),
        maybe_text("differs", rows.iter().map(|lane| lane.differs.clone())),
    ];
    Table::new("lanes", columns).map(Some)
}

/// The leaderboard: one row per candidate, best first; speedups with the intervals that claims rest on.
///
/// # Errors
/// [`TableError`].
pub fn leaderboard(ranking: &Ranking, estimates: &Estimates) -> Result<Table, TableError> {
    let by_name: BTreeMap<&str, &CandidateEstimates> =
        estimates.candidates.iter().map(|candidate| (candidate.name.as_str(), candidate)).collect();
    let entries = &ranking.entries;
    let of = |name: &str| by_name.get(name).copied();
    let speedup = |part: fn(&Estimate) -> Option<f64>| {
        entries.iter().map(move |e| part(of(&e.name)?.claimed_speedup()?))
    };
    let counted = |part: fn(&Counted) -> u64| {
        entries.iter().map(move |e| u32::try_from(part(&of(&e.name)?.counted)).ok())
    };
    Table::new(
        "leaderboard",
        vec![
            count("position", entries.iter().map(|e| e.position)),
            text("candidate", entries.iter().map(|e| e.name.clone())),
            text("standing", entries.iter().map(|e| standing_key(e.standing).to_owned())),
            maybe_count("tier", entries.iter().map(|e| e.tier)),
            number("score", entries.iter().map(|e| Some(e.score))),
            number("weight", entries.iter().map(|e| Some(e.weight))),
            number("speedup", speedup(|s| Some(s.point))),
            number("speedup_lower", speedup(|s| s.lower)),
            number("speedup_upper", speedup(|s| s.upper)),
            number("quality_factor", entries.iter().map(|e| e.quality_factor)),
            maybe_text("claim", entries.iter().map(|e| Some(claim(of(&e.name)?.claim).to_owned()))),
            number("p_adjusted", entries.iter().map(|e| of(&e.name)?.p_adjusted)),
            maybe_count("rank_lower", entries.iter().map(|e| Some(of(&e.name)?.rank?.lower))),
            maybe_count("rank_upper", entries.iter().map(|e| Some(of(&e.name)?.rank?.upper))),
            number("p_best", entries.iter().map(|e| of(&e.name)?.p_best)),
            maybe_count("requests_expected", counted(|c| c.expected)),
            maybe_count("requests_compared", counted(|c| c.compared)),
            text("reasons", entries.iter().map(|e| e.reasons.join("; "))),
        ],
    )
}

fn claim(claim: Claim) -> &'static str {
    match claim {
        Claim::Faster => "faster",
        Claim::Slower => "slower",
        Claim::Tie => "tie",
        Claim::Ambiguous => "ambiguous",
    }
}

/// Every estimate of every candidate: one row each, with its unit, method, n and level.
///
/// # Errors
/// [`TableError`].
pub fn estimates(estimates: &Estimates) -> Result<Table, TableError> {
    let rows: Vec<(&str, String, &str, &Estimate)> =
        estimates.candidates.iter().flat_map(rows_of_candidate).collect();
    Table::new(
        "estimates",
        vec![
            text("candidate", rows.iter().map(|row| row.0.to_owned())),
            text("quantity", rows.iter().map(|row| row.1.clone())),
            text("unit", rows.iter().map(|row| row.2.to_owned())),
            number("point", rows.iter().map(|row| Some(row.3.point))),
            number("lower", rows.iter().map(|row| row.3.lower)),
            number("upper", rows.iter().map(|row| row.3.upper)),
            number("level", rows.iter().map(|row| Some(row.3.level))),
            count("n", rows.iter().map(|row| row.3.n)),
            text("method", rows.iter().map(|row| row.3.method.clone())),
        ],
    )
}

/// Candidate, quantity, unit and estimate.
fn rows_of_candidate(candidate: &CandidateEstimates) -> Vec<(&str, String, &'static str, &Estimate)> {
    let name = candidate.name.as_str();
    let mut rows = Vec::new();
    let mut add = |quantity: String, unit, estimate| rows.push((name, quantity, unit, estimate));
    for (quantity, estimate) in [
        ("speedup", &candidate.speedup),
        ("speedup_simultaneous", &candidate.speedup_simultaneous),
        ("speedup_unthrottled", &candidate.speedup_unthrottled),
    ] {
        if let Some(estimate) = estimate {
            add(quantity.to_owned(), "ratio", estimate);
        }
    }
    for (side, latency) in
        [("latency", &candidate.latency_ms), ("baseline_latency", &candidate.baseline_latency_ms)]
    {
        if let Some(latency) = latency {
            add(format!("{side}_mean"), "ms", &latency.mean);
            add(format!("{side}_p50"), "ms", &latency.p50);
            add(format!("{side}_p90"), "ms", &latency.p90);
            add(format!("{side}_p99"), "ms", &latency.p99);
        }
    }
    if let Some(estimate) = &candidate.throughput_per_s {
        add("throughput".to_owned(), "1/s", estimate);
    }
    let scored = candidate.kinds.iter().map(|kind| (format!("{}_mean", kind.kind), &kind.scored));
    let streams = candidate.kinds.iter().map(|kind| (format!("{}_", kind.kind), kind.streaming.as_ref()));
    let streams = std::iter::once((String::new(), candidate.streaming.as_ref())).chain(streams);
    for (quantity, compared) in scored.chain(streams.flat_map(|(of, found)| of_streaming(&of, found))) {
        add(quantity.clone(), "ms", &compared.candidate_ms);
        add(format!("baseline_{quantity}"), "ms", &compared.baseline_ms);
        add(format!("{quantity}_ratio"), "ratio", &compared.ratio);
    }
    for (quantity, unit, estimate) in [
        ("load", "ms", &candidate.load_ms),
        ("baseline_load", "ms", &candidate.baseline_load_ms),
        ("peak_rss", "byte", &candidate.peak_rss_bytes),
        ("baseline_peak_rss", "byte", &candidate.baseline_peak_rss_bytes),
        ("energy", "J", &candidate.energy_j),
        ("baseline_energy", "J", &candidate.baseline_energy_j),
        ("energy_unit", "J", &candidate.energy_unit_j),
        ("baseline_energy_unit", "J", &candidate.baseline_energy_unit_j),
        ("energy_unit_ratio", "ratio", &candidate.energy_unit_ratio),
        ("peak_vram", "byte", &candidate.peak_vram_bytes),
        ("baseline_peak_vram", "byte", &candidate.baseline_peak_vram_bytes),
    ] {
        if let Some(estimate) = estimate {
            add(quantity.to_owned(), unit, estimate);
        }
    }
    if let Some(estimate) = &candidate.similarity {
        add("similarity".to_owned(), "", estimate);
    }
    for gate in &candidate.gates {
        if let Some(bound) = &gate.bound {
            add(
                format!("gate {} of {}", gate.statistic, gate.metric),
                gate.metric.entry().unit.symbol(),
                bound,
            );
        }
    }
    for metric in &candidate.quality {
        add(format!("mean {}", metric.metric), metric.metric.entry().unit.symbol(), &metric.mean);
    }
    rows
}

/// The times of a stream by name.
fn of_streaming<'a>(of: &str, found: Option<&'a Streaming>) -> Vec<(String, &'a Compared)> {
    let Some(found) = found else { return Vec::new() };
    [
        ("first", Some(&found.first)),
        ("next", found.next.as_ref()),
        ("gap_p50", found.gap_p50.as_ref()),
        ("gap_p99", found.gap_p99.as_ref()),
    ]
    .into_iter()
    .filter_map(|(name, found)| Some((format!("{of}{name}"), found?)))
    .collect()
}

/// Every attempt, warm-up and failures included, in the order of the log, with what `known`, the
/// telemetry, says of it.
///
/// # Errors
/// [`TableError`].
pub fn samples(
    plan: &Plan,
    log: &Log,
    known: impl Fn(&Attempt) -> Option<AttemptTelemetry>,
) -> Result<Table, TableError> {
    let attempts: Vec<&Attempt> = log
        .records
        .iter()
        .filter_map(|record| match record {
            Record::Attempt(attempt) => Some(attempt),
            _ => None,
        })
        .collect();
    let rows = || attempts.iter().copied();
    let planned =
        |attempt: &Attempt| -> Option<&PlannedSession> { plan.sessions.get(attempt.session as usize) };
    let request = |attempt: &Attempt| plan.requests.get(attempt.request as usize);
    let mut columns = vec![
        count("session", rows().map(|a| a.session)),
        maybe_count("round", rows().map(|a| Some(planned(a)?.round))),
        maybe_text("candidate", rows().map(|a| Some(planned(a)?.candidate.clone()))),
        text("side", rows().map(|a| a.side.to_string())),
        count("launch", rows().map(|a| a.launch)),
        text("phase", rows().map(|a| phase(a.phase).0.to_owned())),
        count("index", rows().map(|a| phase(a.phase).1)),
        count("request", rows().map(|a| a.request)),
        maybe_text("prompt", rows().map(|a| Some(plan.task.ask_words(&request(a)?.ask)))),
        Column::new("seed".into(), rows().map(|a| Some(request(a)?.seed)).collect::<Vec<_>>()),
        number("started_ms", rows().map(|a| Some(a.started_ns as f64 / 1e6))),
        number("latency_ms", rows().map(|a| answered(a).map(|(latency_ns, _)| latency_ns as f64 / 1e6))),
        number("energy_j", rows().map(|a| Some(known(a)?.energy_j?.0))),
        number("gpu_mhz", rows().map(|a| known(a)?.gpu_mhz)),
        number("cpu_mhz", rows().map(|a| known(a)?.cpu_mhz)),
        flag("throttled", rows().map(|a| a.marks.contains(&Mark::Throttled))),
        flag("split", rows().map(|a| a.marks.contains(&Mark::Split))),
        maybe_text("failure", rows().map(failure)),
        maybe_text("answer_sha256", rows().map(|a| answered(a).map(|(_, answer)| answer))),
    ];
    if plan.task.unit().is_some() {
        columns.extend(of_units(plan, &attempts));
    }
    Table::new("samples", columns)
}

/// What is known beside the latency of answers that have several units: their kind, units, the time to the first part,
/// and what is scored.
fn of_units(plan: &Plan, attempts: &[&Attempt]) -> [Column; 4] {
    let kind = |a: &Attempt| plan.task.kind(&plan.requests.get(a.request as usize)?.ask).map(str::to_owned);
    let part = |a: &Attempt, of: fn(u32, Option<u64>) -> Option<f64>| match &a.outcome {
        Outcome::Answered { units, first_ns, .. } => of(*units, *first_ns),
        Outcome::Failed(_) => None,
    };
    let rows = || attempts.iter().copied();
    [
        maybe_text("kind", rows().map(kind)),
        number("units", rows().map(|a| part(a, |units, _| Some(f64::from(units))))),
        number("first_ms", rows().map(|a| part(a, |_, first| Some(first? as f64 / 1e6)))),
        number("unit_ms", rows().map(|a| a.outcome.unit_ns().map(|ns| ns / 1e6))),
    ]
}

/// Every part of every answer that came in parts, in the order of the log; `None` where none did.
///
/// # Errors
/// [`TableError`].
pub fn parts(plan: &Plan, log: &Log) -> Result<Option<Table>, TableError> {
    let mut rows: Vec<(&Attempt, u32, Arrival)> = Vec::new();
    for record in &log.records {
        let Record::Attempt(attempt) = record else { continue };
        let Outcome::Answered { parts, .. } = &attempt.outcome else { continue };
        rows.extend((0u32..).zip(parts).map(|(number, part)| (attempt, number, *part)));
    }
    if rows.is_empty() {
        return Ok(None);
    }
    let candidate = |a: &Attempt| Some(plan.sessions.get(a.session as usize)?.candidate.clone());
    let columns = vec![
        count("session", rows.iter().map(|row| row.0.session)),
        maybe_text("candidate", rows.iter().map(|row| candidate(row.0))),
        text("side", rows.iter().map(|row| row.0.side.to_string())),
        text("phase", rows.iter().map(|row| phase(row.0.phase).0.to_owned())),
        count("index", rows.iter().map(|row| phase(row.0.phase).1)),
        count("request", rows.iter().map(|row| row.0.request)),
        count("part", rows.iter().map(|row| row.1)),
        count("units", rows.iter().map(|row| row.2.units)),
        number("at_ms", rows.iter().map(|row| Some(row.2.at_ns as f64 / 1e6))),
    ];
    Table::new("parts", columns).map(Some)
}

fn phase(phase: Phase) -> (&'static str, u32) {
    match phase {
        Phase::Warmup { index } => ("warmup", index),
        Phase::Measured { pair } => ("measured", pair),
        Phase::Repeat { pair } => ("repeat", pair),
    }
}

fn answered(attempt: &Attempt) -> Option<(u64, String)> {
    match &attempt.outcome {
        Outcome::Answered { latency_ns, answer, .. } => Some((*latency_ns, answer.to_string())),
        Outcome::Failed(_) => None,
    }
}

fn failure(attempt: &Attempt) -> Option<String> {
    match &attempt.outcome {
        Outcome::Answered { .. } => None,
        Outcome::Failed(failure) => Some(format!("{}: {}", failure.kind, failure.detail)),
    }
}

/// Every judged pair, with a column for each metric of its task.
///
/// # Errors
/// [`TableError`].
pub fn quality(log: &QualityLog, task: &str) -> Result<Table, TableError> {
    let rows = || log.records.iter();
    let mut columns = vec![
        text("candidate", rows().map(|r| r.candidate.clone())),
        count("session", rows().map(|r| r.session)),
        count("pair", rows().map(|r| r.pair)),
        count("request", rows().map(|r| r.request)),
        flag("identical", rows().map(|r| r.is_identical())),
    ];
    for metric in Metric::of_task(task) {
        columns.push(number(&metric.column(), rows().map(|r| r.value(metric))));
    }
    columns.push(text("baseline_answer_sha256", rows().map(|r| r.baseline_answer.to_string())));
    columns.push(text("candidate_answer_sha256", rows().map(|r| r.candidate_answer.to_string())));
    Table::new("quality", columns)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strangers_write_no_formulas() {
        let names = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "a\u{1b}[31m", "plain"].map(str::to_owned);
        let table = Table::new("odd", vec![text("name", names.into_iter())]).unwrap();
        let csv = String::from_utf8(table.to_csv().unwrap()).unwrap();
        let lines: Vec<&str> = csv.lines().collect();
        assert_eq!(lines[..4], ["name", "'=1+1", "'+1", "'-1"]);
        assert!(lines[5].contains("'\t=1") && lines[6] == "a⟨U+001B⟩[31m" && lines[7] == "plain", "{csv}");
    }
}
