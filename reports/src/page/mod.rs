//! The page as values: every number already text, every foreign text already harmless.

mod board;
mod candidate;
mod day;
mod lanes;
mod latencies;
mod provenance;
mod trust;

use std::collections::BTreeMap;

use edgemaxx_contract::counted::Counted;
use edgemaxx_contract::estimate::{CandidateEstimates, CertificateVerdict, Estimate, Estimates};
use edgemaxx_contract::plan::Extent;
use edgemaxx_contract::quality::QualityRecord;
use serde::Serialize;

use crate::escape::visible;
use crate::exhibit::of_task;
use crate::front::{Evidence, Front};
use crate::number;
use crate::plot;
use crate::standing::{standing_key, standing_words};
use crate::summary::summary;
use crate::view::{AnswerSource, RunView};

pub(crate) use board::anchor as candidate_anchor;
pub(crate) use day::{DayPage, DaySection};
use latencies::CandidateLatencies;
pub(crate) use provenance::device;

/// The page may have this many bytes beside the front's answers; those of candidates take what text and plots leave.
const PAGE_BUDGET: usize = 7_600_000;
/// And never more than this.
const ANSWER_BUDGET: usize = 5_500_000;
/// Rainclouds beyond this many are left to the candidates' own sections.
const CLOUDS: usize = 24;

/// A label and its text.
#[derive(Debug, Serialize)]
pub(crate) struct Fact {
    pub label: String,
    pub text: String,
}

impl Fact {
    pub(crate) fn new(label: impl Into<String>, text: impl Into<String>) -> Self {
        Self { label: label.into(), text: text.into() }
    }
}

/// The whole page.
#[derive(Debug, Serialize)]
pub(crate) struct Page {
    pub title: String,
    pub contest: String,
    pub description: String,
    pub day: String,
    pub device: String,
    pub extent: &'static str,
    pub version: String,
    pub verdict: String,
    pub fit: bool,
    pub alerts: Vec<String>,
    pub front: Front,
    pub headline: Vec<Fact>,
    pub level: String,
    pub similarity: String,
    pub board_standings: Vec<[&'static str; 2]>,
    pub forest: String,
    pub plane: String,
    pub clouds: String,
    pub clouds_left_out: usize,
    pub heights: String,
    pub candidates: Vec<candidate::Drill>,
    pub resources: Vec<ResourceRow>,
    pub resource_heads: &'static [&'static str],
    pub resources_note: String,
    pub certificate: trust::CertificateView,
    pub lanes: Vec<lanes::LaneRow>,
    pub stopping: trust::StoppingView,
    pub methods: Vec<Fact>,
    /// Of a validator's day.
    pub submissions: Option<DaySection>,
    pub provenance: provenance::Provenance,
}

/// Memory and load time of one candidate beside the baseline's in the same sessions.
#[derive(Debug, Serialize)]
pub(crate) struct ResourceRow {
    pub anchor: String,
    pub name: String,
    pub groups: Vec<ResourceCells>,
}

/// What [`ResourceRow::groups`] show; the last two only where a GPU was watched.
const RESOURCES: [&str; 4] = ["Load", "Memory", "Energy of an answer", "GPU memory"];

/// What was watched, and what watching took.
fn resources_note(estimates: &Estimates) -> String {
    let Some(telemetry) = &estimates.telemetry else {
        return "Energy, GPU memory and clocks were not recorded in this run.".to_owned();
    };
    let mut note = match &telemetry.gpu {
        Some(gpu) => format!(
            "Energy is what {gpu} drew from request to answer; GPU memory is the peak of what the driver says \
             the engine's processes held. The GPU was slowed down by heat or supply in {} of {} requests.",
            telemetry.throttled, telemetry.attempts
        ),
        None => "No GPU was watched.".to_owned(),
    };
    if let Some((counter, integral)) = telemetry.energy_counter_j.zip(telemetry.energy_integral_j) {
        note += &format!(
            " Its energy counter and its power, integrated over the run, differ by {}.",
            number::percent((integral / counter - 1.0).abs(), 2)
        );
    }
    if let Some(share) = telemetry.processor_share {
        note += &format!(" Telemetry took {} of one processor.", number::percent(share, 3));
    }
    note
}

/// One quantity of both sides.
#[derive(Debug, Serialize)]
pub(crate) struct ResourceCells {
    /// The baseline's, the candidate's with its interval, and the change of the points.
    pub cells: [String; 3],
    /// The candidate's interval and how it was made, for the cell's title.
    pub title: String,
}

impl Page {
    /// Builds the page.
    pub(crate) fn new(view: &RunView<'_>, source: &dyn AnswerSource) -> Self {
        let ranked = view.ranked();
        let latencies = latencies::by_candidate(view.plan, view.log);
        let rows = board::rows(view);
        let stopping = trust::stopping(
            view,
            rows.iter()
                .zip(&ranked)
                .enumerate()
                .map(|(i, (row, (entry, _)))| (i, row, latencies.get(entry.name.as_str()))),
        );
        let gpu = view.estimates.telemetry.as_ref().is_some_and(|telemetry| telemetry.gpu.is_some());
        let resources = rows
            .iter()
            .zip(&ranked)
            .filter_map(|(row, (_, estimates))| Some(resources(row, (*estimates)?, gpu)))
            .collect();

        let anchors: BTreeMap<&str, String> = ranked
            .iter()
            .enumerate()
            .map(|(index, (entry, _))| (entry.name.as_str(), board::anchor(index)))
            .collect();
        let candidates = drills(view, rows, &ranked, &latencies, source);
        let (clouds, clouds_left_out) = clouds(view, &ranked, &latencies);
        let mut standings: Vec<_> = ranked
            .iter()
            .map(|(e, _)| (e.standing, [standing_key(e.standing), standing_words(e.standing)]))
            .collect();
        standings.sort();
        standings.dedup();
        Self {
            title: format!("{} · {}", visible(&view.contest.title), view.plan.day),
            contest: visible(&view.contest.title),
            description: visible(&view.contest.description),
            day: view.plan.day.to_string(),
            device: provenance::device(view),
            extent: if view.plan.extent == Extent::Quick { "quick look" } else { "full run" },
            version: visible(&view.environment.edgemaxx),
            verdict: visible(&view.ranking.verdict),
            fit: view.ranking.fitness == CertificateVerdict::Fit,
            alerts: alerts(view),
            front: Front::new(
                ("front", "In short".to_owned()),
                &summary(view),
                Some(&Evidence::of(view, source)),
                |index| Some(format!("#{}", board::anchor(index))),
            ),
            headline: headline(view, &latencies),
            level: number::percent(view.estimates.level, 0),
            similarity: view.contest.score.similarity.title(),
            board_standings: standings.into_iter().map(|(_, words)| words).collect(),
            forest: forest(view, &ranked),
            plane: plane(view, &ranked),
            clouds,
            clouds_left_out,
            heights: heights(view, &ranked),
            candidates,
            resources,
            resource_heads: if gpu { &RESOURCES } else { &RESOURCES[..2] },
            resources_note: resources_note(view.estimates),
            certificate: trust::certificate(view),
            lanes: lanes::lanes(view),
            stopping,
            methods: trust::methods(view),
            submissions: view.day.map(|day| DaySection::new(&day, &anchors)),
            provenance: provenance::provenance(view),
        }
    }
}

type Ranked<'a> = [(&'a edgemaxx_contract::ranking::RankEntry, Option<&'a CandidateEstimates>)];

/// What a reader must know before the numbers.
fn alerts(view: &RunView<'_>) -> Vec<String> {
    let mut alerts = Vec::new();
    if view.plan.extent == Extent::Quick {
        alerts.push("A quick look: too little evidence for weights.".to_owned());
    }
    if let Some(reason) = &view.ranking.weights_refused {
        alerts.push(format!("No weights may be set from this run: {}", visible(reason)));
    }
    alerts.extend(view.estimates.warnings.iter().map(|warning| visible(warning)));
    alerts.extend(view.environment.unfit.iter().map(|reason| visible(reason)));
    alerts
}

fn headline(view: &RunView<'_>, latencies: &BTreeMap<&str, CandidateLatencies>) -> Vec<Fact> {
    let sum = |count: fn(&CandidateEstimates) -> u32| -> u64 {
        view.estimates.candidates.iter().map(|c| u64::from(count(c))).sum()
    };
    let counted = |part: fn(&Counted) -> u64| -> u64 {
        view.estimates.candidates.iter().map(|c| part(&c.counted)).sum()
    };
    let requests: usize = latencies.values().map(|s| s.counts().0).sum();
    let c = &view.estimates.certificate;
    vec![
        Fact::new("pipelines against the baseline", number::count(view.ranking.entries.len() as u64)),
        Fact::new("sessions", number::count(sum(|c| c.sessions))),
        Fact::new(
            "requests answered on both sides",
            format!(
                "{} of {}",
                number::count(counted(|c| c.compared)),
                number::count(counted(|c| c.expected))
            ),
        ),
        Fact::new("answers timed", number::count(requests as u64)),
        Fact::new("noise floor", number::optional(c.noise_floor, |v| format!("±{}", number::percent(v, 2)))),
        Fact::new(
            "smallest effect found",
            number::optional(c.minimum_detectable_effect, |v| number::percent(v, 2)),
        ),
    ]
}

fn ends(estimate: Option<&Estimate>) -> (Option<f64>, Option<f64>) {
    estimate.map_or((None, None), |e| (e.lower, e.upper))
}

fn forest(view: &RunView<'_>, ranked: &Ranked<'_>) -> String {
    let rows: Vec<plot::Row> = ranked
        .iter()
        .map(|(entry, estimates)| plot::Row {
            name: visible(&entry.name),
            standing: standing_key(entry.standing),
            point: estimates
                .and_then(|e| Some(e.speedup.as_ref()?.point))
                .filter(|p| p.is_finite() && *p > 0.0),
            decides: ends(estimates.and_then(|e| e.claimed_speedup())),
            inner: ends(estimates.and_then(|e| e.speedup.as_ref())),
            outer: ends(estimates.and_then(|e| e.speedup_simultaneous.as_ref())),
        })
        .collect();
    let noise = view.estimates.certificate.noise_floor;
    plot::forest("forest-plot", &rows, view.contest.score.min_speedup, noise)
}

fn plane(view: &RunView<'_>, ranked: &Ranked<'_>) -> String {
    let spots: Vec<plot::Spot> = ranked
        .iter()
        .filter_map(|(entry, estimates)| {
            let estimates = (*estimates)?;
            let (speedup, similarity) = (estimates.speedup.as_ref()?, estimates.similarity.as_ref()?);
            let usable = speedup.point.is_finite() && speedup.point > 0.0 && similarity.point.is_finite();
            usable.then(|| plot::Spot {
                name: visible(&entry.name),
                standing: standing_key(entry.standing),
                speedup: speedup.point,
                speedup_ends: ends(Some(speedup)),
                similarity: similarity.point,
                similarity_lower: similarity.lower.filter(|l| l.is_finite()),
            })
        })
        .collect();
    let metric = view.contest.score.similarity.title();
    plot::plane("plane-plot", &spots, view.similarity_gate(), &metric)
}

/// Rainclouds of the baseline and the best candidates; how many were left out.
fn clouds(
    view: &RunView<'_>,
    ranked: &Ranked<'_>,
    latencies: &BTreeMap<&str, CandidateLatencies>,
) -> (String, usize) {
    let baseline = plot::Cloud {
        name: visible(&view.plan.baseline().name),
        standing: "base",
        values: latencies.values().flat_map(|s| s.latencies(false)).collect(),
    };
    let measured: Vec<_> = ranked
        .iter()
        .filter_map(|(entry, _)| {
            let values = latencies.get(entry.name.as_str())?.latencies(true);
            let standing = standing_key(entry.standing);
            (!values.is_empty()).then(|| plot::Cloud { name: visible(&entry.name), standing, values })
        })
        .collect();
    let left_out = measured.len().saturating_sub(CLOUDS);
    let clouds: Vec<_> = [baseline].into_iter().chain(measured.into_iter().take(CLOUDS)).collect();
    (plot::clouds("latency-plot", &clouds), left_out)
}

/// How far candidates lie above their floors; empty where none is known.
fn heights(view: &RunView<'_>, ranked: &Ranked<'_>) -> String {
    let known = ranked.iter().filter_map(|(entry, estimates)| {
        let times = (*estimates)?.floor?.times;
        let standing = standing_key(entry.standing);
        Some(plot::Height { name: visible(&entry.name), standing, times })
    });
    let known: Vec<_> = known.take(CLOUDS).collect();
    let Some(peaks) = view.environment.peaks.as_ref().filter(|_| !known.is_empty()) else {
        return String::new();
    };
    let fastest = peaks.flops.values().max().copied().unwrap_or_default();
    let billions = |value: u64| number::significant(value as f64 / 1e9, 3);
    let device = format!("{} Gflop/s and {} GB/s", billions(fastest), billions(peaks.bytes));
    plot::heights("floor-plot", &known, &device)
}

/// How many pairs to show of each of `candidates`, so that a page stays readable and quick.
fn pairs_per_candidate(candidates: usize) -> usize {
    (120 / candidates.max(1)).clamp(2, 10)
}

fn drills(
    view: &RunView<'_>,
    rows: Vec<board::BoardRow>,
    ranked: &Ranked<'_>,
    latencies: &BTreeMap<&str, CandidateLatencies>,
    source: &dyn AnswerSource,
) -> Vec<candidate::Drill> {
    let mut records: BTreeMap<(&str, u32), &QualityRecord> = BTreeMap::new();
    for record in &view.quality.records {
        records.entry((record.candidate.as_str(), record.request)).or_insert(record);
    }
    let limit = pairs_per_candidate(ranked.len());
    let worst: Vec<Vec<&QualityRecord>> = ranked
        .iter()
        .map(|(_, e)| e.map_or_else(Vec::new, |e| candidate::worst(e, &records, limit)))
        .collect();
    let dots = ranked.len() <= 48;
    let mut drills: Vec<candidate::Drill> = rows
        .into_iter()
        .zip(ranked)
        .map(|(row, (entry, estimates))| {
            candidate::drill(view, row, *estimates, latencies.get(entry.name.as_str()), dots)
        })
        .collect();
    // Answers last: they get the room that is left.
    let used: usize = drills.iter().map(|d| 10_000 + d.ratios.len() + d.strips.len() + d.series.len()).sum();
    let budget = PAGE_BUDGET.saturating_sub(used + 200_000).min(ANSWER_BUDGET);
    let pairs: Vec<&QualityRecord> = worst.iter().flatten().copied().collect();
    let mut embedded = of_task(view.plan.task).show(&pairs, source, budget).into_iter();
    for (drill, records) in drills.iter_mut().zip(worst) {
        let shown = records.into_iter().map(|record| (record, embedded.next().flatten())).collect();
        drill.show(view, shown);
    }
    drills
}

fn resources(row: &board::BoardRow, e: &CandidateEstimates, gpu: bool) -> ResourceRow {
    let bytes = |v: f64| number::bytes(v.max(0.0) as u64);
    let joules = |v: f64| format!("{} J", number::significant(v, 4));
    let mut groups = vec![
        cells(e.baseline_load_ms.as_ref(), e.load_ms.as_ref(), number::millis),
        cells(e.baseline_peak_rss_bytes.as_ref(), e.peak_rss_bytes.as_ref(), bytes),
    ];
    if gpu {
        groups.push(cells(e.baseline_energy_j.as_ref(), e.energy_j.as_ref(), joules));
        groups.push(cells(e.baseline_peak_vram_bytes.as_ref(), e.peak_vram_bytes.as_ref(), bytes));
    }
    ResourceRow { anchor: row.anchor.clone(), name: row.name.clone(), groups }
}

fn cells(
    baseline: Option<&Estimate>,
    candidate: Option<&Estimate>,
    show: impl Fn(f64) -> String + Copy,
) -> ResourceCells {
    let point = |e: Option<&Estimate>| e.map(|e| e.point);
    let ratio = point(candidate).zip(point(baseline)).map(|(c, b)| c / b - 1.0);
    let change =
        number::optional(ratio, |r| format!("{}{}", if r > 0.0 { "+" } else { "" }, number::percent(r, 1)));
    let title = candidate.map_or_else(String::new, |e| {
        let interval = number::interval(e.lower, e.upper, show);
        format!("{} interval {interval}, {}, n = {}", number::percent(e.level, 0), e.method, e.n)
    });
    ResourceCells {
        cells: [number::optional(point(baseline), show), number::optional(point(candidate), show), change],
        title,
    }
}
