//! `edgemaxx weights`: what a run decided, onto the chain.

use std::path::PathBuf;

use edgemaxx_chain::{Chain, Landed, Pin, SubmitOptions, WeightsPlan, WeightsRequest};
use edgemaxx_run::RunFolder;
use edgemaxx_run::pay::rewards;
use edgemaxx_seal::AccountId;
use serde::Serialize;

use crate::chain_args::{ChainArgs, JournalArgs, WalletArgs};
use crate::error::{Exit, Failure};
use crate::table::{Align, Table};
use crate::terminal::{answer, answer_json, answer_lines, note};

/// Sets weights from a run's ranking, or shows the weights on chain.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  edgemaxx weights set runs/today --dry-run --wallet.name validator --wallet.hotkey hot
  edgemaxx weights set runs/today --netuid 39 --wallet.name validator --wallet.hotkey hot
  edgemaxx weights set --weights 3=0.8,17=0.2 --subtensor.network test
  edgemaxx weights show --wallet.name validator --json")]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Set weights, wait for finality, read them back.
    Set(Box<Set>),
    /// Show the weights a validator has set.
    Show(Box<Show>),
}

/// Sets weights once: a repetition after a time-out or crash first asks the chain what happened.
///
/// Only a full, fit, sandboxed run can set weights, and only while its ranking.json follows from its estimates.
/// Rewards go by hotkey: a candidate is named by its hotkey's address, or assigned one by --hotkey.
#[derive(Debug, clap::Args)]
#[command(after_help = "Exit codes:
  0 set, or nothing to do · 1 with --dry-run: the chain would refuse · 2 the run may not set weights, or bad input ·
  5 the chain said no, or cannot be reached; the same command again is safe")]
struct Set {
    /// Run folder with its ranking.json.
    #[arg(required_unless_present = "weights", conflicts_with = "weights")]
    run: Option<PathBuf>,
    /// Weights by uid instead of a run; any positive scale.
    #[arg(long, value_name = "UID=W,…", value_delimiter = ',', value_parser = uid_weight)]
    weights: Vec<(u16, f64)>,
    /// Whose hotkey a candidate of the run is; may be repeated.
    #[arg(long = "hotkey", value_name = "CANDIDATE=ADDRESS", value_parser = assignment, requires = "run")]
    assigned: Vec<(String, AccountId)>,
    /// Version key of the validator's rules [default: what the subnet demands].
    #[arg(long, value_name = "N")]
    version_key: Option<u64>,
    /// Mechanism of the subnet.
    #[arg(long, value_name = "N", default_value_t = 0)]
    mechanism: u8,
    /// Show the exact call and whether the chain would take it; sign nothing.
    #[arg(long)]
    dry_run: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    chain: ChainArgs,
    #[command(flatten)]
    wallet: WalletArgs,
    #[command(flatten)]
    journal: JournalArgs,
}

#[derive(Debug, clap::Args)]
struct Show {
    /// Whose weights, by uid [default: the wallet's].
    #[arg(long, value_name = "N")]
    uid: Option<u16>,
    /// Mechanism of the subnet.
    #[arg(long, value_name = "N", default_value_t = 0)]
    mechanism: u8,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    chain: ChainArgs,
    #[command(flatten)]
    wallet: WalletArgs,
}

fn uid_weight(text: &str) -> Result<(u16, f64), String> {
    let parse = || {
        let (uid, weight) = text.split_once('=')?;
        let weight: f64 = weight.trim().parse().ok()?;
        (weight.is_finite() && weight >= 0.0).then_some((uid.trim().parse().ok()?, weight))
    };
    parse().ok_or_else(|| format!("`{text}`: expected UID=WEIGHT with a weight of at least 0, as in 3=0.8"))
}

fn assignment(text: &str) -> Result<(String, AccountId), String> {
    let (name, address) =
        text.rsplit_once('=').ok_or_else(|| format!("`{text}`: expected CANDIDATE=ADDRESS"))?;
    Ok((name.to_owned(), address.parse().map_err(|e: edgemaxx_seal::AccountIdError| e.to_string())?))
}

impl Args {
    pub(crate) fn execute(self) -> anyhow::Result<()> {
        match self.what {
            What::Set(args) => args.execute(),
            What::Show(args) => args.execute(),
        }
    }
}

#[derive(Serialize)]
struct Answer<'a> {
    #[serde(flatten)]
    plan: &'a WeightsPlan,
    #[serde(skip_serializing_if = "Option::is_none")]
    landed: Option<&'a Landed>,
}

impl Set {
    fn execute(&self) -> anyhow::Result<()> {
        // What needs no network fails first.
        let by_hotkey =
            self.run.as_deref().map(|run| rewards(&RunFolder::open(run)?, &self.assigned)).transpose()?;
        let key = (!self.dry_run).then(|| self.wallet.open(&self.chain)).transpose()?;
        let hotkey = match &key {
            Some(key) => key.account(),
            None => self.wallet.address(&self.chain)?,
        };
        let chain = self.chain.connect()?;
        let pin = self.chain.pin(&chain)?;
        let rewards = match by_hotkey {
            Some(rewards) => rewards,
            None => by_uid(&chain, &pin, self.chain.netuid, &self.weights)?,
        };
        let version_key = match self.version_key {
            Some(key) => key,
            None => chain.version_key(&pin, self.chain.netuid)?,
        };
        let request = WeightsRequest {
            netuid: self.chain.netuid,
            mechanism: self.mechanism,
            hotkey,
            rewards,
            version_key,
        };
        let plan = chain.plan_weights(&pin, &request)?;
        for gone in &plan.missing {
            note(&format!("warning: {gone} is not registered any more; its share goes to the others"));
        }
        let Some(key) = key else { return self.show_plan(&plan) };
        let mut journal = self.journal.open(&chain, &hotkey)?;
        let landed = chain.set_weights(&plan, &key, &mut journal, &SubmitOptions::default())?;
        if self.json {
            return answer_json(&Answer { plan: &plan, landed: Some(&landed) });
        }
        let how = if landed.already { "were set already" } else { "set" };
        answer(&format!("{}\nweights {how} in block {}, read back", table(&plan), landed.block))
    }

    fn show_plan(&self, plan: &WeightsPlan) -> anyhow::Result<()> {
        if self.json {
            answer_json(&Answer { plan, landed: None })?;
        } else {
            answer(&format!("{}\ncall {} {}", table(plan), plan.call, plan.call_bytes))?;
        }
        if plan.broken.is_empty() {
            note("dry run: nothing was signed; the chain should accept this call");
            return Ok(());
        }
        let broken: Vec<_> = plan.broken.iter().map(|v| v.to_string()).collect();
        Err(Failure::error(Exit::No, format!("the chain would refuse these weights:\n{}", broken.join("\n"))))
    }
}

/// The plan for a terminal.
fn table(plan: &WeightsPlan) -> String {
    let heading =
        format!("netuid {} at block {}, version key {}", plan.netuid, plan.pin.number, plan.version_key);
    let mut table = Table::new([Align::Right, Align::Left, Align::Right]);
    for w in &plan.weights {
        table.row([w.uid.to_string(), w.hotkey.to_string(), w.value.to_string()]);
    }
    [vec![heading], table.lines()].concat().join("\n")
}

/// Weights by uid as rewards by hotkey: whoever holds the uid at the pin.
fn by_uid(
    chain: &Chain,
    pin: &Pin,
    netuid: u16,
    weights: &[(u16, f64)],
) -> anyhow::Result<Vec<(AccountId, f64)>> {
    let neurons = chain.metagraph(pin, netuid)?.neurons;
    weights
        .iter()
        .map(|&(uid, weight)| {
            let neuron = neurons.get(usize::from(uid)).ok_or_else(|| {
                Failure::input(format!(
                    "--weights: uid {uid}: netuid {netuid} has uids 0 to {}",
                    neurons.len() - 1
                ))
            })?;
            Ok((neuron.hotkey, weight))
        })
        .collect()
}

#[derive(Serialize)]
struct Shown {
    netuid: u16,
    #[serde(flatten)]
    pin: Pin,
    uid: u16,
    hotkey: AccountId,
    last_update: u64,
    weights: Vec<Weight>,
}

#[derive(Serialize)]
struct Weight {
    uid: u16,
    hotkey: Option<AccountId>,
    value: u16,
}

impl Show {
    fn execute(&self) -> anyhow::Result<()> {
        let own = if self.uid.is_none() { Some(self.wallet.address(&self.chain)?) } else { None };
        let chain = self.chain.connect()?;
        let pin = self.chain.pin(&chain)?;
        let netuid = self.chain.netuid;
        let neurons = chain.metagraph(&pin, netuid)?.neurons;
        let setter = match (self.uid, own) {
            (Some(uid), _) => neurons.get(usize::from(uid)),
            (None, own) => neurons.iter().find(|n| Some(n.hotkey) == own),
        };
        let setter = setter.ok_or_else(|| {
            let who =
                own.map_or_else(|| format!("uid {}", self.uid.unwrap_or(0)), |hotkey| hotkey.to_string());
            Failure::input(format!("{who} is not registered on netuid {netuid}; name another with --uid"))
        })?;
        let weights = chain.weights_of(&pin, netuid, self.mechanism, setter.uid)?;
        let weights: Vec<_> = weights
            .into_iter()
            .map(|(uid, value)| Weight {
                uid,
                hotkey: neurons.get(usize::from(uid)).map(|n| n.hotkey),
                value,
            })
            .collect();
        let shown = Shown {
            netuid,
            pin,
            uid: setter.uid,
            hotkey: setter.hotkey,
            last_update: setter.last_update,
            weights,
        };
        if self.json {
            return answer_json(&shown);
        }
        let mut lines = vec![format!(
            "weights of uid {} ({}) on netuid {netuid} at block {}, last set in block {}",
            shown.uid, shown.hotkey, pin.number, shown.last_update
        )];
        if shown.weights.is_empty() {
            lines.push("none".into());
        }
        let mut table = Table::new([Align::Right, Align::Left, Align::Right]);
        for w in &shown.weights {
            let hotkey = w.hotkey.map_or("—".to_owned(), |h| h.to_string());
            table.row([w.uid.to_string(), hotkey, w.value.to_string()]);
        }
        lines.extend(table.lines());
        answer_lines(&lines)
    }
}
