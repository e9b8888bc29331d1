//! `edgemaxx verify`: is a published run what it says?

use std::path::{Path, PathBuf};

use edgemaxx_contract::run_files::ORIGIN_FILE;
use edgemaxx_run::audit::{self, Agreement, Check, Means, Verdict};
#[cfg(not(all(feature = "chain", feature = "hub")))]
use edgemaxx_run::left_out::left_out;
use edgemaxx_run::origin::Origin;
use edgemaxx_run::{RunError, RunFolder};
use edgemaxx_seal::manifest::MANIFEST_FILE;
use serde::Serialize;

use crate::error::{Exit, Failure};
use crate::progress::Terminal;
use crate::table::{Align, Table};
use crate::terminal::{answer_json, answer_lines};

/// Checks a sealed run: signature, every byte, the day before, the plan, and everything that follows
/// from the raw log, recomputed.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  edgemaxx verify days/2026-11-22 --hotkey 5F3sa2TJ…
  edgemaxx verify https://example.org/days/2026-11-22 --hotkey 5F3sa2TJ… --keep fetched
  edgemaxx verify days/2026-11-22 --chain finney                    also the block, the weights, the digest on chain
  edgemaxx verify days/2026-11-22 --chain finney --fetch             also the files of who was called a copy or invalid
  edgemaxx verify days/2026-11-22 --base fixtures/contests          also judges the answers again
  edgemaxx verify days/2026-11-22 --base fixtures/contests --rerun 12

Exit code: 0 it is · 1 it is not; the first file that differs is named · 2 bad input, or no sealed run there ·
5 the site or the chain cannot be reached · 6 not verified: something that must be checked could not be, e.g. because
the node has thrown the state of that block away; it is named.")]
pub(crate) struct Args {
    /// Sealed run folder, or its address (http:// or https://) on a static site.
    #[arg(value_name = "RUN|URL")]
    run: PathBuf,
    /// Keep what is fetched from an address in this folder, under its day; what is there already is not fetched
    /// again [default: removed afterwards].
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
    /// Fetch no day larger than this.
    #[arg(long, value_name = "N", default_value_t = 64)]
    max_gib: u32,
    /// Who must have signed (SS58).
    #[arg(long, value_name = "ADDRESS")]
    hotkey: Option<String>,
    /// The subnet that it must be a day of.
    #[arg(long, value_name = "N")]
    netuid: Option<u16>,
    /// The sealed run of the day before [default: beside this one, under its day].
    #[arg(long, value_name = "DIR")]
    previous: Option<PathBuf>,
    /// Folder that the contest's paths are relative to: with the models that judge answers, and
    /// the checkpoints [default: where the run was made, if that was here].
    #[arg(long, value_name = "DIR")]
    base: Option<PathBuf>,
    /// Also compare a validator's day with the chain: finney, test, local, or endpoints (ws://… or wss://…)
    /// separated by commas.
    #[arg(long, value_name = "NETWORK|URL,…", aliases = ["subtensor.network", "subtensor.chain_endpoint"])]
    chain: Option<Network>,
    /// Also fetch every submission of a validator's day, measured or not, and look whether its files are what is said of
    /// them.
    #[arg(long)]
    fetch: bool,
    /// Accept a run that nobody signed.
    #[arg(long)]
    allow_unsigned: bool,
    /// Also make about this many of its answers again, and measure those pairs on this machine.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    rerun: Option<u32>,
    /// Print the checks as JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Answer<'a> {
    verified: bool,
    checks: &'a [Check],
    rerun: Option<&'a [Agreement]>,
}

impl Args {
    pub(crate) fn execute(mut self) -> anyhow::Result<()> {
        let shown = self.run.display().to_string();
        let mut means = Means {
            previous: self.previous.clone(),
            base: self.base.clone(),
            hotkey: self.hotkey.clone(),
            netuid: self.netuid,
            allow_unsigned: self.allow_unsigned,
        };
        let scratch = tempfile::tempdir()?;
        if let Some(address) = audit::address(&self.run) {
            let into = self.keep.as_deref().unwrap_or(scratch.path());
            self.run = fetch(address, into, u64::from(self.max_gib) << 30, &means)?;
        } else if !self.run.is_dir() {
            return Err(Failure::input(format!(
                "{shown}: no such folder; name a sealed run, or its address"
            )));
        } else if !self.run.join(MANIFEST_FILE).exists() {
            return Err(Failure::input(format!(
                "{shown}: no sealed run: it holds no {MANIFEST_FILE}; `edgemaxx seal {shown}` makes one"
            )));
        } else if self.keep.is_some() {
            return Err(Failure::input(
                "--keep: keeps what is fetched, and a folder is not; name an address",
            ));
        } else if self.base.is_none() && self.run.join(ORIGIN_FILE).exists() {
            self.base = Some(Origin::of(&RunFolder::open(&self.run)?)?.base);
            means.base = self.base.clone();
        }
        let mut checks = audit::audit(&self.run, &means, &Terminal);
        let mut agreements = None;
        let failed = |checks: &[Check]| checks.iter().any(|check| check.verdict == Verdict::Failed);
        if let (Some(network), false) = (&self.chain, failed(&checks)) {
            checks.extend(on_chain(&self.run, network)?);
        }
        if self.fetch && !failed(&checks) {
            let base = self.base.as_deref().unwrap_or(scratch.path());
            checks.extend(audit::look_at_files(&self.run, base, &Terminal));
        }
        if let (Some(answers), false) = (self.rerun, failed(&checks)) {
            let base = self.base.as_deref().ok_or_else(|| {
                Failure::input("--rerun: needs the checkpoints; name the folder of the contest with --base")
            })?;
            let (again, found) = audit::rerun(&RunFolder::open(&self.run)?, base, answers, &Terminal)?;
            checks.extend(again);
            agreements = Some(found);
        }
        let unknown = checks.iter().find(|check| check.verdict == Verdict::Unknown);
        let verified = !failed(&checks) && unknown.is_none();
        if self.json {
            answer_json(&Answer { verified, checks: &checks, rerun: agreements.as_deref() })?;
        } else {
            answer_lines(&table(&checks))?;
        }
        match checks.iter().find(|check| check.verdict == Verdict::Failed) {
            None => match unknown {
                None => Ok(()),
                Some(check) => Err(Failure::error(
                    Exit::Unchecked,
                    format!("{shown}: not verified: {} could not be checked: {}", check.what, check.detail),
                )),
            },
            Some(check) => Err(Failure::error(
                Exit::No,
                format!("{shown}: not verified: {}: {}", check.what, check.detail),
            )),
        }
    }
}

#[cfg(feature = "hub")]
pub(super) fn fetch(address: &str, into: &Path, most: u64, means: &Means) -> Result<PathBuf, RunError> {
    audit::fetch(address, into, most, means, &Terminal)
}

#[cfg(not(feature = "hub"))]
pub(super) fn fetch(_: &str, _: &Path, _: u64, _: &Means) -> Result<PathBuf, RunError> {
    Err(left_out("verify URL", "hub"))
}

#[cfg(feature = "chain")]
use edgemaxx_chain::Network;

#[cfg(feature = "chain")]
fn on_chain(run: &Path, network: &Network) -> Result<Vec<Check>, RunError> {
    let chain = edgemaxx_chain::Chain::connect(network, edgemaxx_chain::ConnectOptions::default())?;
    audit::on_chain(run, &chain)
}

#[cfg(not(feature = "chain"))]
type Network = String;

#[cfg(not(feature = "chain"))]
fn on_chain(_: &Path, _: &Network) -> Result<Vec<Check>, RunError> {
    Err(left_out("verify --chain", "chain"))
}

fn table(checks: &[Check]) -> Vec<String> {
    let mut table = Table::new([Align::Left; 3]);
    for check in checks {
        let verdict = match check.verdict {
            Verdict::Passed => "yes",
            Verdict::Failed => "NO",
            Verdict::Skipped => "—",
            Verdict::Unknown => "NOT CHECKED",
        };
        table.row([verdict, check.what, &check.detail]);
    }
    table.lines()
}
