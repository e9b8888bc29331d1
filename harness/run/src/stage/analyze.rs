//! Turning samples into estimates.

use edgemaxx_analyze::{Evidence, analyze, settings_of};
use edgemaxx_contract::estimate::Estimates;
use edgemaxx_contract::run_files::ESTIMATES_FILE;

use crate::error::{Result, RunError};
use crate::folder::RunFolder;

/// Analyses a run and writes estimates.json.
///
/// # Errors
/// A file of the run is missing, cannot be read, or rests on another.
pub fn analyze_run(folder: &RunFolder) -> Result<Estimates> {
    let plan = folder.plan()?;
    let contest = folder.contest(&plan)?;
    let (log, telemetry) = folder.samples_with_telemetry(&plan)?;
    let (quality, quality_digest) = folder.quality(&plan, &log)?;
    let environment = if folder.is_placed(&plan) { Some(folder.environment(&plan)?) } else { None };
    let evidence = Evidence {
        contest: &contest,
        plan: &plan,
        log: &log,
        quality: &quality,
        quality_digest,
        environment: environment.as_ref(),
        telemetry: telemetry.as_ref(),
    };
    let estimates = analyze(&evidence, &settings_of(&contest, &plan))
        .map_err(|error| RunError::input(error.to_string()))?;
    folder.write_document(ESTIMATES_FILE, &estimates)?;
    Ok(estimates)
}
