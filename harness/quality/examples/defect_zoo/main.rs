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

use std::error::Error;
use std::path::Path;

use edgemaxx_contract::contest::{Gate, Metric, Statistic};
use edgemaxx_contract::digest::Digest;
use edgemaxx_contract::quality::View;
use edgemaxx_quality::clip::ClipScorer;
use edgemaxx_quality::metric::{cosine, phash_distance, psnr, ssim_gray};
use edgemaxx_quality::views::{apply_view, draw_views};
use edgemaxx_quality::{Picture, wombo_2025};

use make::Maker;
use zoo::{Specimen, Zoo};

/// PSNR of identical pictures, as the analysis counts it.
const IDENTICAL_DB: f64 = 120.0;

/// What was measured of one pair.
struct Scores {
    ssim: f64,
    psnr: f64,
    hash: f64,
    clip: f64,
    text: f64,
    held_back_ssim: f64,
    held_back_clip: f64,
}

impl Scores {
    fn get(&self, metric: Metric) -> Option<f64> {
        match metric {
            Metric::SsimGray => Some(self.ssim),
            Metric::PsnrDb => Some(self.psnr),
            Metric::PhashDistance => Some(self.hash),
            Metric::ClipImageCosine => Some(self.clip),
            Metric::ClipTextDifference => Some(self.text),
            Metric::Wombo2025 => Some(wombo_2025(self.clip, self.ssim)),
            Metric::HeldBackSsimGray => Some(self.held_back_ssim),
            Metric::HeldBackClipImageCosine => Some(self.held_back_clip),
            Metric::Lpips => None,
        }
    }
}

/// Pictures through one held-back view, and their CLIP embeddings.
struct Seen {
    pictures: Vec<Picture>,
    vectors: Vec<Vec<f32>>,
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
    let clip = ClipScorer::load(&fixtures.join("models/emoji-clip"))?;
    let maker = Maker::new(fixtures.join("models/emoji-sdxl"), &prompts, seed)?;
    let texts = clip.embed_prompts(&prompts)?;
    let base = maker.baseline().to_vec();
    let base_vectors = clip.embed_pictures(&base)?;
    let views = draw_views(Digest::of(seed.to_string()));
    let seen = |pictures: &[Picture]| -> Result<Vec<Seen>, Box<dyn Error>> {
        let see = |view: &View| {
            let pictures = pictures.iter().map(|p| apply_view(p, *view)).collect::<Result<Vec<_>, _>>()?;
            Ok(Seen { vectors: clip.embed_pictures(&pictures)?, pictures })
        };
        views.iter().map(see).collect()
    };
    let base_seen = seen(&base)?;

    let defects = zoo.defects.iter().filter(|_| defects).map(|specimen| (specimen, false));
    let one = |(specimen, honest): (&'z Specimen, bool)| -> Result<Judged<'z>, Box<dyn Error>> {
        let answers = maker.make(&specimen.make)?;
        let vectors = clip.embed_pictures(&answers)?;
        let answers_seen = seen(&answers)?;
        let score = |i: usize| -> Result<Scores, Box<dyn Error>> {
            let (a, b): (&Picture, &Picture) = (&base[i], &answers[i]);
            let (mut held_back_ssim, mut held_back_clip) = (1.0_f64, 1.0_f64);
            for (x, y) in base_seen.iter().zip(&answers_seen) {
                held_back_ssim = held_back_ssim.min(ssim_gray(&x.pictures[i], &y.pictures[i])?);
                held_back_clip = held_back_clip.min(cosine(&x.vectors[i], &y.vectors[i])?);
            }
            Ok(Scores {
                ssim: ssim_gray(a, b)?,
                psnr: psnr(a, b)?.unwrap_or(IDENTICAL_DB),
                hash: f64::from(phash_distance(a, b)?),
                clip: cosine(&base_vectors[i], &vectors[i])?,
                text: cosine(&vectors[i], &texts[i])? - cosine(&base_vectors[i], &texts[i])?,
                held_back_ssim,
                held_back_clip,
            })
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
    let mean = |m: Metric| scores.iter().filter_map(|s| s.get(m)).sum::<f64>() / scores.len() as f64;
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
        mean(Metric::SsimGray),
        mean(Metric::PsnrDb),
        mean(Metric::PhashDistance),
        mean(Metric::ClipImageCosine),
        mean(Metric::ClipTextDifference),
        mean(Metric::HeldBackSsimGray),
        mean(Metric::HeldBackClipImageCosine)
    );
}
