//! hyperfine's `--export-json`.
//!
//! Each run of hyperfine launches the command anew, so a run is a session with one pair: the
//! n-th run of one command with the n-th of another. The commands are measured one after the
//! other, so drift between them looks like speed; a warning says so.

use std::path::Path;

use edgemaxx_contract::digest::Digest;
use serde::Deserialize;

use super::error::SourceError;
use super::rows::Rows;
use crate::samples::SampleTable;

#[derive(Deserialize)]
struct Export {
    results: Vec<CommandResult>,
}

#[derive(Deserialize)]
struct CommandResult {
    command: String,
    /// Seconds.
    times: Vec<f64>,
}

pub(super) fn read(path: &Path, baseline: Option<&str>) -> Result<SampleTable, SourceError> {
    let bytes = std::fs::read(path).map_err(|source| SourceError::Read { path: path.to_owned(), source })?;
    let export: Export = serde_json::from_slice(&bytes).map_err(|source| SourceError::Json {
        path: path.to_owned(),
        expected: "hyperfine's JSON export with results[].command and results[].times",
        source,
    })?;
    let nothing = |problem| SourceError::Nothing { path: path.to_owned(), problem };
    let mut rows = Rows::default();
    let runs = export.results.iter().map(|result| result.times.len()).min().unwrap_or(0);
    for (index, result) in export.results.iter().enumerate() {
        for (run, &seconds) in result.times.iter().take(runs).enumerate() {
            if !(seconds.is_finite() && seconds > 0.0) {
                return Err(nothing(format!(
                    "results[{index}].times[{run}]: expected a positive number of seconds, found {seconds}"
                )));
            }
            let numbers = (
                rows.sessions.number(&run.to_string()),
                rows.requests.number("run"),
                rows.pipelines.number(&result.command),
            );
            // JSON has no lines that a message could name.
            rows.push(numbers, seconds * 1000.0, false, 0);
        }
    }
    if runs == 0 {
        return Err(nothing("no times; expected results[].times of at least two commands".to_owned()));
    }
    // A command given twice is the one possible duplicate.
    let mut commands: Vec<&str> = export.results.iter().map(|result| result.command.as_str()).collect();
    commands.sort_unstable();
    if let Some(twice) = commands.windows(2).find(|w| w[0] == w[1]) {
        return Err(nothing(format!(
            "the command {:?} is there twice; name them with --command-name",
            twice[0]
        )));
    }
    let mut table = rows.pair_up(path, baseline, Digest::of(&bytes))?;
    if export.results.iter().any(|result| result.times.len() != runs) {
        table
            .warnings
            .push(format!("commands have unequal numbers of runs; the first {runs} of each are compared"));
    }
    table.warnings.push(
        "hyperfine measures one command after the other: drift between them cannot be told from speed"
            .to_owned(),
    );
    Ok(table)
}
