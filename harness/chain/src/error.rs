//! What can go wrong with the chain, each with the next step.

use std::path::PathBuf;

use crate::weights::timelock::TimelockError;
use crate::weights::{Violation, WeightsError};

/// A read or a submission that did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum ChainError {
    /// A network's name.
    #[error(
        "`{0}` is no network: expected finney, test, local, or an endpoint starting with ws:// or wss://"
    )]
    Network(String),
    /// No endpoint answered.
    #[error("no endpoint answered; tried {}; check --subtensor.network and --subtensor.chain_endpoint", tried.join("; "))]
    Connect {
        /// Each endpoint with what it said.
        tried: Vec<String>,
    },
    /// The node did not answer in time.
    #[error("{what}: no answer from {endpoint} within {seconds} s; try another --subtensor.chain_endpoint")]
    Timeout {
        /// What was asked.
        what: &'static str,
        /// Whom.
        endpoint: String,
        /// How long.
        seconds: u64,
    },
    /// The connection or the node failed.
    #[error("{what}: {endpoint} failed: {why}")]
    Transport {
        /// What was asked.
        what: &'static str,
        /// Whom.
        endpoint: String,
        /// What was said.
        why: String,
    },
    /// The node's answers contradict each other, as when maps come back empty without an error.
    #[error(
        "{endpoint} contradicts itself: {what}: expected {expected}, found {found}; use another --subtensor.chain_endpoint"
    )]
    Contradiction {
        /// Whom.
        endpoint: String,
        /// About what.
        what: String,
        /// What follows from one answer.
        expected: String,
        /// What another says.
        found: String,
    },
    /// The node has thrown the block's state away.
    #[error("{endpoint} no longer has the state of block {block}; an archive node has it")]
    Discarded {
        /// Whom.
        endpoint: String,
        /// The block.
        block: u64,
    },
    /// The runtime lacks something.
    #[error(
        "the runtime (spec version {spec}) has no {what}; update this program, or name a chain that is a Subtensor"
    )]
    Missing {
        /// Pallet and item.
        what: String,
        /// The runtime's version.
        spec: u32,
    },
    /// An answer that cannot be understood.
    #[error("{what} (spec version {spec}) cannot be decoded: {why}; update this program")]
    Decode {
        /// Pallet and item.
        what: String,
        /// The runtime's version.
        spec: u32,
        /// The decoder's words.
        why: String,
    },
    /// The subnet does not exist.
    #[error("netuid {0}: the chain knows no such subnet; check --netuid and --subtensor.network")]
    NoSubnet(u16),
    /// A call cannot be encoded for this runtime.
    #[error("{call}: cannot be encoded for this runtime: {why}")]
    Encode {
        /// Pallet and call.
        call: String,
        /// The encoder's words.
        why: String,
    },
    /// The chain's rules forbid the weights; nothing was signed.
    #[error("the chain would refuse these weights: {}", broken.iter().map(|v| v.to_string()).collect::<Vec<_>>().join("; "))]
    Preflight {
        /// Every broken rule.
        broken: Vec<Violation>,
    },
    /// The chain executed the call and refused it.
    #[error("{call}: the chain answered {name}: {advice}")]
    Rejected {
        /// Pallet and call.
        call: String,
        /// The chain's name for it.
        name: String,
        /// What to do.
        advice: String,
    },
    /// The node did not even accept the extrinsic.
    #[error("{call}: refused before execution: {reason}: {advice}")]
    Invalid {
        /// Pallet and call.
        call: String,
        /// Name or code.
        reason: String,
        /// What to do.
        advice: String,
    },
    /// Certainly not executed, and never will be.
    #[error(
        "{call}: did not enter any block before it expired at block {expired}; nothing was changed: it is safe to try again"
    )]
    Expired {
        /// Pallet and call.
        call: String,
        /// Last block it was valid in.
        expired: u64,
    },
    /// Certainly not executed: its place was taken.
    #[error(
        "{call}: another submission of this hotkey came first, so this one can never happen; see who else uses the hotkey, then try again"
    )]
    Superseded {
        /// Pallet and call.
        call: String,
    },
    /// Executed, but reading back shows something else.
    #[error(
        "{call}: was executed, but reading it back at block {block} shows something else: {found}; do not repeat it before looking"
    )]
    ReadBack {
        /// Pallet and call.
        call: String,
        /// Where it was read.
        block: u64,
        /// What was found.
        found: String,
    },
    /// The journal cannot be used.
    #[error("{}: {why}", path.display())]
    Journal {
        /// The file.
        path: PathBuf,
        /// What is wrong and what to do.
        why: String,
    },
    /// The weights themselves.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// Sealing them.
    #[error(transparent)]
    Timelock(#[from] TimelockError),
    /// The commitment itself.
    #[error(transparent)]
    Commitment(#[from] crate::commitment::CommitmentError),
    /// The asynchronous runtime could not be started.
    #[error("cannot start the network runtime: {0}")]
    Runtime(std::io::Error),
}

impl ChainError {
    /// Whether another endpoint, or the same a little later, may answer. Never true once the chain has spoken.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Timeout { .. } | Self::Transport { .. } | Self::Contradiction { .. })
    }
}
