//! `edgemaxx copies`: whose weights are whose.

use std::path::{Path, PathBuf};

use edgemaxx_candle::copies::{CopiesError, CopyFound, Entry, Fingerprint, compare, find_copies};
use edgemaxx_run::Observer as _;
use edgemaxx_run::copies::salt;
use serde::Serialize;

use crate::error::{Exit, Failure};
use crate::progress::Terminal;
use crate::table::{Align, Table};
use crate::terminal::{answer_json, answer_lines};

/// Looks for checkpoints that repeat an earlier one's weights.
///
/// Weights are recognised in other files (safetensors, GGUF), shards, names and number formats, with small noise added,
/// heads permuted or channels rescaled. What a candidate shares with the baseline is nobody's own
/// work and proves nothing.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  edgemaxx copies --baseline sdxl submissions/alice submissions/bob submissions/carol
  edgemaxx copies --baseline sdxl a b --entropy 0x5f2c… --json

Exit code: 0 no copies · 1 copies were found · 2 a checkpoint has weights that cannot be read, and no other is a copy.")]
pub(crate) struct Args {
    /// Checkpoint that everybody started from.
    #[arg(long, value_name = "DIR")]
    baseline: PathBuf,
    /// Checkpoints in the order in which they were committed: the earlier one is the original.
    #[arg(value_name = "DIR", required = true)]
    candidates: Vec<PathBuf>,
    /// Public randomness drawn after submissions closed: it chooses which part of each matrix is
    /// read, so that nobody can prepare for it.
    #[arg(long, value_name = "TEXT", default_value = "offline")]
    entropy: String,
    /// Print the answer as JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Found {
    checkpoint: String,
    /// Share of its weights that are the baseline's; `None` without matrices, or where some were not read.
    baseline_share: Option<f64>,
    /// What was not read of its weights, each with the reason.
    unread: Vec<String>,
    copy: Option<CopyFound>,
}

impl Args {
    pub(crate) fn execute(self) -> anyhow::Result<()> {
        let salt = salt(&self.entropy);
        let mut progress = Terminal.begin("copies", self.candidates.len() as u64 + 1);
        type Reader = fn(&Path, u64) -> Result<Fingerprint, CopiesError>;
        let mut read = |of: Reader, path: &Path| -> anyhow::Result<Fingerprint> {
            let fingerprint = of(path, salt).map_err(|error| Failure::input(error.to_string()))?;
            progress.advance(1);
            Ok(fingerprint)
        };
        let baseline = read(Fingerprint::of, &self.baseline)?;
        if let Some(unread) = baseline.unread().first() {
            return Err(Failure::input(format!("--baseline: {unread}")));
        }
        let fingerprints = self
            .candidates
            .iter()
            .map(|path| read(Fingerprint::of_readable, path))
            .collect::<anyhow::Result<Vec<_>>>()?;
        progress.end(&format!("{} checkpoints read", fingerprints.len() + 1));

        let names: Vec<String> = self.candidates.iter().map(|path| path.display().to_string()).collect();
        let entries: Vec<Entry<'_>> = names
            .iter()
            .zip(&fingerprints)
            .enumerate()
            .map(|(at, (name, fingerprint))| Entry { name, block: at as u64, fingerprint })
            .collect();
        let copies = find_copies(&entries, &baseline);
        let found: Vec<Found> = entries
            .iter()
            .map(|entry| Found {
                checkpoint: entry.name.to_owned(),
                baseline_share: compare(entry.fingerprint, &baseline)
                    .copied_share()
                    .filter(|_| entry.fingerprint.unread().is_empty()),
                unread: entry.fingerprint.unread().to_vec(),
                copy: copies.iter().find(|copy| copy.copy == entry.name).cloned(),
            })
            .collect();
        if self.json {
            answer_json(&found)?;
        } else {
            answer_lines(&table(&found))?;
        }
        let unread: Vec<&str> = found.iter().flat_map(|found| &found.unread).map(String::as_str).collect();
        match copies.len() {
            0 if unread.is_empty() => Ok(()),
            0 => Err(Failure::input(format!("not all can be compared: {}", unread.join("; ")))),
            n => Err(Failure::error(Exit::No, format!("{n} of {} are copies", found.len()))),
        }
    }
}

fn table(found: &[Found]) -> Vec<String> {
    let mut table = Table::new([Align::Left, Align::Right, Align::Left]);
    for found in found {
        let verdict = match &found.copy {
            Some(copy) => format!("COPY of {}: {:.0}% of its own work", copy.original, 100.0 * copy.share),
            None if !found.unread.is_empty() => format!("cannot be compared: {}", found.unread.join("; ")),
            None => "no copy".to_owned(),
        };
        let share = found.baseline_share.map_or("—".to_owned(), |share| format!("{:.0}%", 100.0 * share));
        let share = format!("{share} of the weights are the baseline's");
        table.row([found.checkpoint.clone(), share, verdict]);
    }
    table.lines()
}
