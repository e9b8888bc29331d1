//! All stages, one after the other.

use std::path::PathBuf;

use edgemaxx_contract::ranking::Ranking;

use super::{analyze, measure, quality, rank, report};
use crate::error::Result;
use crate::folder::RunFolder;
use crate::progress::Observer;

/// All stages on a planned run: its ranking and its report.
///
/// # Errors
/// Those of the stages.
pub fn whole(
    folder: &RunFolder,
    options: measure::Options<'_>,
    observer: &dyn Observer,
) -> Result<(Ranking, PathBuf)> {
    observer.note(&format!("run folder: {}", folder.path().display()));
    measure::measure_run(folder, options, observer)?;
    quality::judge_run(folder, quality::Models::default(), observer)?;
    analyze::analyze_run(folder)?;
    let ranking = rank::rank_run(folder)?;
    let page = report::report_run(folder)?;
    Ok((ranking, page))
}
