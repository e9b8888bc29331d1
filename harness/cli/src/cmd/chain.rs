//! `edgemaxx chain`: what the chain says, at one finalised block.

use std::collections::BTreeMap;

use edgemaxx_chain::{ChainCommitment, Pin, tao};
use edgemaxx_seal::{WalletEntry, list_wallets};
use serde::Serialize;

use crate::chain_args::{ChainArgs, WalletArgs};
use crate::table::{Align, Table};
use crate::terminal::{answer, answer_json, answer_lines};

/// Reads a subnet at one finalised block: neurons, commitments, hyperparameters; lists wallets.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  edgemaxx chain neurons --netuid 39
  edgemaxx chain commitments --subtensor.network test --netuid 39 --json
  edgemaxx chain params --subtensor.chain_endpoint ws://127.0.0.1:9944
  edgemaxx chain block --at 2026-11-22T17:00:00Z      the first finalised block at or after a moment
  edgemaxx chain wallets")]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Who is registered: uid, hotkey, stake, permit, last weights.
    Neurons(Read),
    /// What registered hotkeys have committed, with the block of each.
    Commitments(Read),
    /// The subnet's hyperparameters, as far as this runtime has them.
    Params(Read),
    /// The finalised head, or the first finalised block at or after a moment.
    Block(Block),
    /// Wallets on this machine: names and public addresses.
    Wallets(Wallets),
}

#[derive(Debug, clap::Args)]
struct Read {
    #[command(flatten)]
    chain: ChainArgs,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
struct Block {
    /// The moment, with its offset from UTC.
    #[arg(long, value_name = "TIME")]
    at: Option<jiff::Timestamp>,
    #[command(flatten)]
    read: Read,
}

#[derive(Debug, clap::Args)]
struct Wallets {
    #[command(flatten)]
    wallet: WalletArgs,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// An answer and the block it was read at.
#[derive(Serialize)]
struct At<'a, T> {
    netuid: u16,
    #[serde(flatten)]
    pin: &'a Pin,
    #[serde(flatten)]
    content: T,
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Content<'a> {
    Neurons(&'a [edgemaxx_chain::Neuron]),
    Commitments(&'a [ChainCommitment]),
    Params(&'a BTreeMap<String, serde_json::Value>),
}

impl Args {
    pub(crate) fn execute(self) -> anyhow::Result<()> {
        match self.what {
            What::Neurons(read) => neurons(&read),
            What::Commitments(read) => commitments(&read),
            What::Params(read) => params(&read),
            What::Block(block) => first_block(&block),
            What::Wallets(wallets) => list(&wallets),
        }
    }
}

fn neurons(read: &Read) -> anyhow::Result<()> {
    let chain = read.chain.connect()?;
    let pin = read.chain.pin(&chain)?;
    let metagraph = chain.metagraph(&pin, read.chain.netuid)?;
    if read.json {
        return json(read, &pin, Content::Neurons(&metagraph.neurons));
    }
    let [left, right] = [Align::Left, Align::Right];
    let mut table = Table::new([right, left, right, left, right]);
    table.row(["uid", "hotkey", "stake, TAO", "permit", "last set"]);
    for n in &metagraph.neurons {
        let permit = if n.permit { "yes" } else { "—" };
        let cells = [n.uid.to_string(), n.hotkey.to_string(), tao(n.stake)];
        let [uid, hotkey, stake] = cells;
        table.row([uid, hotkey, stake, permit.to_owned(), n.last_update.to_string()]);
    }
    let heading = head(read, &pin, &format!("{} neurons", metagraph.neurons.len()));
    answer_lines(&[vec![heading], table.lines()].concat())
}

fn commitments(read: &Read) -> anyhow::Result<()> {
    let chain = read.chain.connect()?;
    let pin = read.chain.pin(&chain)?;
    let commitments = chain.commitments(&pin, read.chain.netuid)?;
    if read.json {
        return json(read, &pin, Content::Commitments(&commitments));
    }
    let mut table = Table::new([Align::Right, Align::Left, Align::Left, Align::Left]);
    for c in &commitments {
        table.row([
            c.uid.map_or("—".to_owned(), |uid| uid.to_string()),
            c.hotkey.to_string(),
            format!("block {:>9}", c.block),
            c.meaning.to_string(),
        ]);
    }
    let heading = head(read, &pin, &format!("{} commitments", commitments.len()));
    answer_lines(&[vec![heading], table.lines()].concat())
}

fn params(read: &Read) -> anyhow::Result<()> {
    let chain = read.chain.connect()?;
    let pin = read.chain.pin(&chain)?;
    let params = chain.params(&pin, read.chain.netuid)?;
    if read.json {
        return json(read, &pin, Content::Params(&params));
    }
    let mut table = Table::new([Align::Left; 2]);
    params.iter().for_each(|(name, value)| table.row([name.clone(), value.to_string()]));
    let heading = head(read, &pin, &format!("spec version {}", pin.spec_version));
    answer_lines(&[vec![heading], table.lines()].concat())
}

fn first_block(block: &Block) -> anyhow::Result<()> {
    let read = &block.read;
    let chain = read.chain.connect()?;
    let Some(at) = block.at else {
        let pin = read.chain.pin(&chain)?;
        let clock = pin.timestamp_ms.map_or(String::new(), |ms| format!(" {}", time(ms)));
        let line = format!("{} {:?}{clock}", pin.number, pin.hash);
        return if read.json { answer_json(&pin) } else { answer(&line) };
    };
    let ms = u64::try_from(at.as_millisecond()).unwrap_or(0);
    match chain.first_block_at(ms)? {
        Some(found) if read.json => answer_json(&found),
        Some(found) => answer(&format!("{} {:?} {}", found.number, found.hash, time(found.timestamp_ms))),
        None => Err(crate::error::Failure::error(
            crate::error::Exit::No,
            format!("no block at or after {at} is final yet; try again a little later"),
        )),
    }
}

fn list(args: &Wallets) -> anyhow::Result<()> {
    let folder = args.wallet.folder()?;
    let wallets = list_wallets(&folder)?;
    if args.json {
        return answer_json(&wallets);
    }
    answer_lines(&wallets.iter().flat_map(wallet_lines).collect::<Vec<_>>())
}

fn wallet_lines(wallet: &WalletEntry) -> Vec<String> {
    let shown = |id: &Option<edgemaxx_seal::AccountId>| id.map_or("—".to_owned(), |id| id.to_string());
    let mut lines = vec![format!("{}  coldkey {}", wallet.name, shown(&wallet.coldkey))];
    for key in &wallet.hotkeys {
        let locked = if key.encrypted { "  (encrypted)" } else { "" };
        lines.push(format!("  {}  {}{locked}", key.name, shown(&key.address)));
    }
    lines
}

/// A block's own time for people.
fn time(ms: u64) -> String {
    let time = i64::try_from(ms).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    time.map_or_else(|| ms.to_string(), |time| time.to_string())
}

fn head(read: &Read, pin: &Pin, what: &str) -> String {
    let time = pin.timestamp_ms.map_or(String::new(), |ms| format!(", {}", time(ms)));
    format!("netuid {} at block {}{time}: {what}", read.chain.netuid, pin.number)
}

fn json(read: &Read, pin: &Pin, content: Content<'_>) -> anyhow::Result<()> {
    answer_json(&At { netuid: read.chain.netuid, pin, content })
}
