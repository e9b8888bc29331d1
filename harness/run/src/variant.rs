//! A contest with other candidates: the miner's own, in the place of those in the file.

use std::path::Path;

use toml::{Table, Value};

use crate::error::{InFile as _, Result, RunError};

/// The text of the contest at `path` with these candidates and nobody else's; a control stays. Its paths are still
/// relative to the same folder.
///
/// # Errors
/// The contest cannot be read.
pub fn with_candidates(path: &Path, candidates: Vec<Table>) -> Result<String> {
    let text = std::fs::read_to_string(path).in_file(path)?;
    let mut contest: Table = text.parse().in_file(path)?;
    let mut all = match contest.remove("candidate") {
        Some(Value::Array(list)) => list,
        _ => Vec::new(),
    };
    all.retain(|candidate| candidate.get("control").and_then(Value::as_bool) == Some(true));
    all.extend(candidates.into_iter().map(Value::Table));
    contest.insert("candidate".to_owned(), Value::Array(all));
    toml::to_string(&contest).map_err(|error| RunError::input(format!("{}: {error}", path.display())))
}
