//! Turning estimates into scores, tiers and shares of the reward.

use edgemaxx_analyze::rank;
use edgemaxx_contract::ranking::Ranking;
use edgemaxx_contract::run_files::RANKING_FILE;

use crate::error::Result;
use crate::folder::RunFolder;

/// Ranks a run and writes ranking.json.
///
/// # Errors
/// A file of the run is missing, cannot be read, or rests on another.
pub fn rank_run(folder: &RunFolder) -> Result<Ranking> {
    let plan = folder.plan()?;
    let contest = folder.contest(&plan)?;
    let log = folder.samples(&plan)?;
    let (_, quality) = folder.quality(&plan, &log)?;
    let estimates = folder.estimates(&plan, &log, quality)?;
    let environment = folder.environment(&plan)?;
    let ranking = rank(&estimates, &contest, &environment);
    folder.write_document(RANKING_FILE, &ranking)?;
    Ok(ranking)
}
