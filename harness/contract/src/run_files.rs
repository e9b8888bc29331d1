//! The files of a run folder by name: one constant each.

/// Where the contest lay on the machine that planned the run; never published.
pub const ORIGIN_FILE: &str = "origin.json";
/// The contest, as it was planned.
pub const CONTEST_FILE: &str = "contest.toml";
/// The prompts, as they were planned.
pub const PROMPTS_FILE: &str = "prompts.txt";
/// What is measured.
pub const PLAN_FILE: &str = "plan.json";
/// Where it was measured.
pub const ENVIRONMENT_FILE: &str = "environment.json";
/// Every attempt.
pub const SAMPLES_FILE: &str = "samples.jsonl";
/// What the machine did meanwhile.
pub const TELEMETRY_FILE: &str = "telemetry.jsonl";
/// The judged pairs.
pub const QUALITY_FILE: &str = "quality.jsonl";
/// Speedups and similarities with their intervals.
pub const ESTIMATES_FILE: &str = "estimates.json";
/// Scores, tiers, shares.
pub const RANKING_FILE: &str = "ranking.json";
/// The page.
pub const REPORT_FILE: &str = "report.html";
/// The page's short form.
pub const MARKDOWN_FILE: &str = "report.md";
/// The verdicts for a CI.
pub const JUNIT_FILE: &str = "junit.xml";
/// What a site shows of a run.
pub const SUMMARY_FILE: &str = "summary.json";
/// The samples as a table.
pub const PARQUET_FILE: &str = "samples.parquet";
/// Folder of what was measured on each lane, by its number from 0, where a run has several.
pub const LANES_FOLDER: &str = "lanes";
/// Which worker of a fleet measured which lane, where one did.
pub const FLEET_FILE: &str = "fleet.json";
/// Folder of what workers measured and what counts for nothing: too late, of an earlier attempt, or refused.
pub const KEPT_FOLDER: &str = "kept";
/// Folder of the answers that are kept, by digest.
pub const ARTEFACTS_FOLDER: &str = "artefacts";
/// Folder of derived checkpoints, by candidate.
pub const CHECKPOINTS_FOLDER: &str = "checkpoints";
/// Folder of compiled kernels, by candidate.
pub const KERNELS_FOLDER: &str = "kernels";

/// What `measure` writes on each lane, in the order in which a report names them.
pub const MEASURED_FILES: [&str; 3] = [ENVIRONMENT_FILE, SAMPLES_FILE, TELEMETRY_FILE];

/// The path of a file of a lane, below the run folder of several lanes.
pub fn of_lane(lane: u32, name: &str) -> String {
    format!("{LANES_FOLDER}/{lane}/{name}")
}
