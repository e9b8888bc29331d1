//! Keys, the one reader of their files, and wallets in btcli's layout. Hotkeys only: this program never opens a coldkey.

mod error;
mod keyfile;
mod keypair;
mod layout;
mod nacl;
mod password;
mod phrase;
mod secret;

pub use error::WalletError;
pub(crate) use keypair::CONTEXT;
pub use keypair::Keypair;
pub use layout::{HotkeyEntry, Wallet, WalletEntry, list_wallets};
pub use password::PasswordSource;
