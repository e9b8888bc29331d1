//! `edgemaxx report`: a run for people and programs.

use std::path::PathBuf;

use edgemaxx_analyze::tables;
use edgemaxx_contract::digest::Digest;
use edgemaxx_contract::estimate::Estimates;
use edgemaxx_contract::ranking::Ranking;
use edgemaxx_report::{FileDigest, ImageSource, RunView, html, junit, markdown, summary_json};

use crate::error::Failure;
use crate::folder::RunFolder;
use crate::terminal::answer;

/// Writes report.html, report.md, junit.xml, summary.json, tidy CSVs and samples.parquet.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  edgemaxx report runs/emoji-cpu-2026-11-22")]
pub(crate) struct Args {
    /// Run folder.
    run: PathBuf,
}

/// The files a report rests on.
const SOURCES: [&str; 7] = [
    "contest.toml",
    "plan.json",
    "environment.json",
    "samples.jsonl",
    "quality.jsonl",
    "estimates.json",
    "ranking.json",
];

impl Args {
    pub(crate) fn execute(self) -> anyhow::Result<()> {
        let page = report_run(&RunFolder::open(&self.run)?)?;
        answer(&page.display().to_string())
    }
}

/// The pictures of a run folder.
struct FolderImages(PathBuf);

impl ImageSource for FolderImages {
    fn png(&self, digest: &Digest) -> Option<Vec<u8>> {
        std::fs::read(self.0.join(format!("{digest}.png"))).ok()
    }
}

/// Writes all forms of the report; returns the page's path.
pub(crate) fn report_run(folder: &RunFolder) -> anyhow::Result<PathBuf> {
    let plan = folder.plan()?;
    let contest = folder.contest(&plan)?;
    let log = folder.samples(&plan)?;
    let (quality, _) = folder.quality(&log)?;
    let estimates: Estimates = folder.document("estimates.json", "analyze")?;
    let ranking: Ranking = folder.document("ranking.json", "rank")?;
    let environment = folder.environment()?;
    if ranking.estimates != Digest::of(folder.read("estimates.json", "analyze")?) {
        return Err(Failure::input(format!(
            "{}: belongs to other estimates; run `edgemaxx rank {}` again",
            folder.file("ranking.json").display(),
            folder.path().display()
        )));
    }
    let files = SOURCES
        .iter()
        .map(|name| {
            Ok(FileDigest { name: (*name).to_owned(), digest: Digest::of(folder.read(name, "run")?) })
        })
        .collect::<anyhow::Result<Vec<_>>>()?;
    let view = RunView {
        contest: &contest,
        plan: &plan,
        log: &log,
        quality: &quality,
        estimates: &estimates,
        ranking: &ranking,
        environment: &environment,
        files: &files,
    };
    let samples = tables::samples(&plan, &log)?;
    for table in [
        &tables::leaderboard(&ranking, &estimates)?,
        &tables::estimates(&estimates)?,
        &samples,
        &tables::quality(&quality)?,
    ] {
        folder.write(&format!("{}.csv", table.name()), table.to_csv()?)?;
    }
    folder.write("samples.parquet", samples.to_parquet()?)?;
    folder.write("summary.json", summary_json(&view)?)?;
    folder.write("report.md", markdown(&view))?;
    folder.write("junit.xml", junit(&view))?;
    folder.write("report.html", html(&view, &FolderImages(folder.images()))?)?;
    Ok(folder.file("report.html"))
}
