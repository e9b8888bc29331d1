//! The defect zoo: planted defects and honest candidates of the tiny SDXL, each judged by the gates of
//! `fixtures/defects/zoo.json`. Prints which gate catches what; * marks the worst of the held-back views.
//!
//!     cargo run --release -p edgemaxx-quality --example defect_zoo [SEED]
//!     cargo run --release -p edgemaxx-quality --example defect_zoo FIRST_SEED SEEDS
//!
//! The second counts how often the honest candidates are rejected over so many seeds.
#![allow(clippy::print_stdout, reason = "a table for people")]

mod bounds;
mod make;
mod pixels;
mod zoo;

use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;

use edgemaxx_contract::digest::Digest;
use edgemaxx_contract::metric::{Gate, Metric, Model, Statistic};
use edgemaxx_contract::quality::Judgement;
use edgemaxx_picture::Picture;
use edgemaxx_quality::picture::PictureJudge;
use edgemaxx_quality::picture::views::draw_views;

use make::Maker;
use zoo::{Specimen, Zoo};

/// What was measured of one pair.
struct Scores {
    identical: bool,
    found: Judgement,
}

impl Scores {
    /// As the analysis counts it.
    fn get(&self, metric: Metric) -> Option<f64> {
        let of_identical = metric.entry().of_identical.filter(|_| self.identical);
        self.found.values.get(&metric).copied().or(of_identical)
    }
}

/// One specimen with one seed.
struct Judged<'z> {
    specimen: &'z Specimen,
    honest: bool,
    scores: Vec<Scores>,
    failed: Vec<String>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = std::env::args().skip(1).map(|s| s.parse()).collect::<Result<Vec<u64>, _>>()?;
    let (first_seed, seeds) = (*arguments.first().unwrap_or(&1), arguments.get(1));
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures");
    let zoo: Zoo = serde_json::from_str(&std::fs::read_to_string(fixtures.join("defects/zoo.json"))?)?;
    let Some(seeds) = seeds else {
        table(&zoo, &judge(&fixtures, &zoo, first_seed, true)?);
        return Ok(());
    };
    let mut rejected = vec![0; zoo.honest.len()];
    for seed in first_seed..first_seed + seeds {
        for (count, judged) in rejected.iter_mut().zip(judge(&fixtures, &zoo, seed, false)?) {
            *count += usize::from(!judged.failed.is_empty());
        }
    }
    for (count, specimen) in rejected.iter().zip(&zoo.honest) {
        println!("{:30} rejected with {count} of {seeds} seeds", specimen.name);
    }
    Ok(())
}

/// Makes and judges the honest candidates, and before them the defects if these are wanted.
fn judge<'z>(
    fixtures: &Path,
    zoo: &'z Zoo,
    seed: u64,
    defects: bool,
) -> Result<Vec<Judged<'z>>, Box<dyn Error>> {
    let text = std::fs::read_to_string(fixtures.join("../prompts/emoji-v1.txt"))?;
    let lines: Vec<&str> = text.lines().filter(|l| !l.is_empty() && !l.starts_with('#')).collect();
    let prompts: Vec<&str> =
        (0..zoo.prompts).map(|i| lines[(i * 37 + seed as usize * 11) % lines.len()]).collect();
    let clip = fixtures.join("models/emoji-clip");
    let judge = PictureJudge::load(&BTreeMap::from([(Model::Clip, clip)]))?;
    let maker = Maker::new(fixtures.join("models/emoji-sdxl"), &prompts, seed)?;
    let base = maker.baseline().to_vec();
    let views = draw_views(Digest::of(seed.to_string()));

    let defects = zoo.defects.iter().filter(|_| defects).map(|specimen| (specimen, false));
    let one = |(specimen, honest): (&'z Specimen, bool)| -> Result<Judged<'z>, Box<dyn Error>> {
        let answers = maker.make(&specimen.make)?;
        let score = |i: usize| -> Result<Scores, Box<dyn Error>> {
            let pair: [Picture; 2] = [base[i].clone(), answers[i].clone()];
            let found = judge.compare_pictures(&pair, Some(prompts[i]), &views)?;
            Ok(Scores { identical: pair[0] == pair[1], found })
        };
        let scores = (0..base.len()).map(score).collect::<Result<Vec<_>, _>>()?;
        let failed = zoo.gates.iter().filter_map(|g| failure(g, &scores, zoo.level)).collect();
        Ok(Judged { specimen, honest, scores, failed })
    };
    defects.chain(zoo.honest.iter().map(|specimen| (specimen, true))).map(one).collect()
}

/// A row for each, and the counts.
fn table(zoo: &Zoo, rows: &[Judged<'_>]) {
    println!(
        "{:30} {:>6} {:>6} {:>6} {:>6} {:>7} {:>6} {:>6}  verdict",
        "", "SSIM", "PSNR", "hash", "CLIP", "text", "SSIM*", "CLIP*"
    );
    for row in rows {
        print_row(row.specimen, &row.scores, &row.failed, row.honest);
    }
    let failed = |honest| rows.iter().filter(|r| r.honest == honest && !r.failed.is_empty()).count();
    println!(
        "defects caught: {} of {}; honest candidates rejected: {} of {}",
        failed(false),
        zoo.defects.len(),
        failed(true),
        zoo.honest.len()
    );
}

/// Says which bound missed the gate; `None` when it holds.
fn failure(gate: &Gate, scores: &[Scores], level: f64) -> Option<String> {
    let sign = if gate.metric.higher_is_better() { 1.0 } else { -1.0 };
    let values: Vec<f64> = scores.iter().filter_map(|s| s.get(gate.metric)).map(|v| sign * v).collect();
    let bound = match gate.statistic {
        Statistic::Mean => bounds::mean(&values, level),
        Statistic::Quantile(q) => bounds::quantile(&values, q, level),
    };
    let shown = bound.map_or("none".to_owned(), |b| format!("{:.3}", sign * b));
    (!bound.is_some_and(|b| b >= sign * gate.threshold))
        .then(|| format!("{} {} {shown}", gate.metric, gate.statistic))
}

fn print_row(specimen: &Specimen, scores: &[Scores], failed: &[String], honest: bool) {
    let mean = |name: &str| {
        let metric = Metric::named(name).ok();
        metric.map_or(f64::NAN, |m| scores.iter().filter_map(|s| s.get(m)).sum::<f64>() / scores.len() as f64)
    };
    let verdict = match (failed.is_empty(), honest) {
        (true, true) => "accepted".to_owned(),
        (true, false) => {
            format!("NOT CAUGHT: {}", specimen.why_tolerated.as_deref().unwrap_or("no reason given"))
        }
        (false, true) => format!("REJECTED by {}", failed.join(", ")),
        (false, false) => format!("caught by {}", failed.join(", ")),
    };
    println!(
        "{:30} {:6.3} {:6.1} {:6.1} {:6.3} {:+7.3} {:6.3} {:6.3}  {verdict}",
        specimen.name,
        mean("ssim_gray"),
        mean("psnr_db"),
        mean("phash_distance"),
        mean("clip_image_cosine"),
        mean("clip_text_difference"),
        mean("held_back_ssim_gray"),
        mean("held_back_clip_image_cosine")
    );
}
