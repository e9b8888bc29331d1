//! What makes a published run believable: its manifest and signature, the chain of days, and the addresses, keys and
//! key files behind them.
//!
//! There is one type for an address ([`AccountId`]), one for a key ([`Keypair`]) and one reader of key files
//! ([`Keypair::read`]); whoever signs, a manifest or an extrinsic, uses these.

#![forbid(unsafe_code)]

mod address;
pub mod manifest;
pub mod sign;
mod wallet;

pub use address::{AccountId, AccountIdError};
pub use wallet::{HotkeyEntry, Keypair, PasswordSource, Wallet, WalletEntry, WalletError, list_wallets};
