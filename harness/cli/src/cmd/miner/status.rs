//! `edgemaxx miner status`: what validators see of this hotkey.

use edgemaxx_chain::{ChainCommitment, Neuron, Pin, tao};
use serde::Serialize;

use crate::chain_args::{ChainArgs, WalletArgs};
use crate::error::{Exit, Failure};
use crate::terminal::{answer_json, answer_lines};

/// Shows registration and commitment of a hotkey at one finalised block.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  edgemaxx miner status --wallet.name miner --wallet.hotkey hot
  edgemaxx miner status --subtensor.network test --json

Exit code: 0 registered and committed · 1 not registered, or nothing committed · 5 the chain cannot be reached")]
pub(crate) struct Args {
    #[command(flatten)]
    chain: ChainArgs,
    #[command(flatten)]
    wallet: WalletArgs,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Status<'a> {
    netuid: u16,
    #[serde(flatten)]
    pin: Pin,
    hotkey: edgemaxx_seal::AccountId,
    neuron: Option<&'a Neuron>,
    commitment: Option<&'a ChainCommitment>,
}

impl Args {
    pub(crate) fn execute(&self) -> anyhow::Result<()> {
        let hotkey = self.wallet.address(&self.chain)?;
        let chain = self.chain.connect()?;
        let pin = self.chain.pin(&chain)?;
        let netuid = self.chain.netuid;
        let snapshot = chain.snapshot(&pin, netuid)?;
        let neuron = snapshot.by_hotkey(&hotkey);
        let commitment = snapshot.commitments.iter().find(|c| c.hotkey == hotkey);
        if self.json {
            answer_json(&Status { netuid, pin, hotkey, neuron, commitment })?;
        } else {
            let place = neuron.map_or("not registered".to_owned(), |n| {
                format!("uid {}, registered in block {}, stake {} TAO", n.uid, n.registered_at, tao(n.stake))
            });
            let entry = commitment.map_or("nothing committed".to_owned(), |c| {
                format!("committed in block {}: {}", c.block, c.meaning)
            });
            answer_lines(&[format!("{hotkey} on netuid {netuid} at block {}", pin.number), place, entry])?;
        }
        match (neuron, commitment) {
            (Some(_), Some(_)) => Ok(()),
            (None, _) => {
                Err(Failure::error(Exit::No, format!("{hotkey} is not registered on netuid {netuid}")))
            }
            (_, None) => {
                Err(Failure::error(Exit::No, "nothing is committed; `edgemaxx miner submit` does it"))
            }
        }
    }
}
