//! The chain's side of EdgeMaxx: wallets, commitments, reads at one pinned block, weights.
//!
//! Everything that can be decided without a node (key files, the commitment format, normalisation,
//! the chain's own rules for weights) is pure and tested alone; only [`client`](crate) talks.

#![forbid(unsafe_code)]

mod account;
mod wallet;

pub use account::{AccountId, AccountIdError};
pub use wallet::{
    HotkeyEntry, Keypair, PasswordSource, Wallet, WalletEntry, WalletError, list_wallets,
};
