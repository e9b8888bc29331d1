//! The chain's side of EdgeMaxx: commitments, reads at one pinned block, weights.
//!
//! Everything that can be decided without a node (the commitment format, normalisation,
//! the chain's own rules for weights) is pure and tested alone; only [`Chain`] talks.

#![forbid(unsafe_code)]

mod amount;
pub mod commitment;
mod error;
mod node;
#[cfg(test)]
mod test_support;
pub mod weights;

pub use amount::tao;
pub use error::ChainError;
pub use node::{
    Attempt, BlockAt, BlockSeen, Call, Chain, ChainCommitment, Committed, ConnectOptions, Hindrance, Journal,
    Landed, Metagraph, Method, Network, Neuron, Outcome, Pin, Snapshot, SubmitOptions, WeightsPlan,
    WeightsRequest, advice,
};
