//! Talking to a node: one connection at a time, every read at a pinned block, submissions one by one.

mod advice;
mod blocks;
mod call;
mod commitments;
mod committed;
mod connection;
mod fetch;
mod journal;
mod metagraph;
mod network;
mod params;
mod pin;
mod set_weights;
mod snapshot;
mod standing;
mod submit;

pub use advice::advice;
pub use blocks::{BlockAt, BlockSeen};
pub use call::Call;
pub use commitments::ChainCommitment;
pub use committed::Committed;
pub use connection::{Chain, ConnectOptions};
pub use journal::{Attempt, Journal, Outcome};
pub use metagraph::{Metagraph, Neuron};
pub use network::Network;
pub use pin::Pin;
pub use set_weights::{Method, WeightsPlan, WeightsRequest};
pub use snapshot::Snapshot;
pub use standing::Hindrance;
pub use submit::{Landed, SubmitOptions};
