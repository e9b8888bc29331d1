//! The contests that a validator is told to run, and their shares of the weights.

use std::path::{Path, PathBuf};

use edgemaxx_contract::contest::Contest;
use edgemaxx_contract::joint::check_shares;
use edgemaxx_run::text_file::read_text;
use edgemaxx_validator::contest_file;

use crate::error::{Failure, InFile as _};

/// A contest as it was named, and its share of the weights.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    file: PathBuf,
    share: Option<f64>,
}

pub(super) fn entry(text: &str) -> Result<Entry, String> {
    // A file may have any name; what ends in a number is a share.
    let share = text.rsplit_once('=').and_then(|(file, share)| Some((file, share.parse().ok()?)));
    Ok(match share {
        Some((file, share)) => Entry { file: file.into(), share: Some(share) },
        None => Entry { file: text.into(), share: None },
    })
}

/// A contest that was read.
pub(super) struct Loaded {
    pub(super) text: String,
    pub(super) contest: Contest,
    /// Folder that its paths are relative to.
    pub(super) base: PathBuf,
    pub(super) share: f64,
}

/// The contests, checked; of several, each has a share and a fallback that its share goes to where it has no winner.
pub(super) fn load(entries: &[Entry], netuid: u16) -> anyhow::Result<Vec<Loaded>> {
    let several = entries.len() > 1;
    let mut contests = Vec::new();
    for Entry { file, share } in entries {
        let shown = file.display();
        let text = read_text(file)?;
        let contest = contest_file::check(&text, netuid).in_file(file)?;
        let path = std::fs::canonicalize(file).in_file(file)?;
        let base = path.parent().map(Path::to_owned).unwrap_or_default();
        let share = match (share, several) {
            (Some(share), _) => *share,
            (None, false) => 1.0,
            (None, true) => {
                return Err(Failure::input(format!(
                    "--contest {shown}: several contests need a share each, such as {shown}=0.5"
                )));
            }
        };
        if several && contest.rewards.fallback.is_none() {
            return Err(Failure::input(format!(
                "{shown}: rewards.fallback: expected a hotkey: of several contests, each says where its share goes \
                 while it has no winner"
            )));
        }
        contests.push(Loaded { text, contest, base, share });
    }
    check_shares(contests.iter().map(|loaded| (loaded.contest.name.as_str(), loaded.share)))
        .or_else(|error| if several || contests[0].share != 1.0 { Err(error) } else { Ok(()) })
        .map_err(|error| Failure::input(format!("--contest: {error}")))?;
    Ok(contests)
}
