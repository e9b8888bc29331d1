//! What all verbs that use the chain share: btcli's customary flags, the wallet, the journal.

use std::path::PathBuf;

use edgemaxx_chain::{Chain, ChainError, ConnectOptions, Journal, Network, Pin};
use edgemaxx_run::state_folder::{home, state_folder};
use edgemaxx_seal::{AccountId, Keypair, PasswordSource, Wallet};

use crate::error::Failure;
use crate::terminal::note;

/// The subnet this program was made for.
const NETUID: u16 = 39;

/// Which chain, which subnet.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Chain")]
pub(crate) struct ChainArgs {
    /// Subnet.
    #[arg(long, value_name = "N", env = "BT_NETUID", default_value_t = NETUID)]
    pub(crate) netuid: u16,
    /// finney, test, local, or endpoints (ws://… or wss://…) separated by commas.
    #[arg(
        long = "subtensor.network",
        visible_alias = "network",
        value_name = "NETWORK",
        env = "BT_NETWORK",
        default_value = "finney"
    )]
    network: String,
    /// Endpoints, the preferred first, instead of the network's own.
    #[arg(
        long = "subtensor.chain_endpoint",
        visible_alias = "endpoint",
        value_name = "URL,…",
        env = "BT_CHAIN_ENDPOINT"
    )]
    endpoint: Option<String>,
    /// Say on standard error what is asked of whom.
    #[arg(long = "logging.debug")]
    debug: bool,
    /// The same as --logging.debug.
    #[arg(long = "logging.trace")]
    trace: bool,
}

/// Whose hotkey.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Wallet")]
pub(crate) struct WalletArgs {
    /// Wallet.
    #[arg(long = "wallet.name", visible_aliases = ["wallet", "wallet-name"], short = 'w', value_name = "NAME", env = "BT_WALLET", default_value = "default")]
    name: String,
    /// Its hotkey; the coldkey is never touched.
    #[arg(
        long = "wallet.hotkey",
        visible_alias = "wallet-hotkey",
        short = 'H',
        value_name = "NAME",
        env = "BT_WALLET_HOTKEY",
        default_value = "default"
    )]
    hotkey: String,
    /// Folder of wallets [default: ~/.bittensor/wallets].
    #[arg(
        long = "wallet.path",
        visible_alias = "wallet-path",
        short = 'p',
        value_name = "DIR",
        env = "BT_WALLET_PATH"
    )]
    path: Option<PathBuf>,
    /// File (mode 0600) with the password of an encrypted hotkey; else BT_WALLET_PASSWORD, else it is asked for.
    #[arg(long = "wallet.password-file", value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// A public development key such as //Alice instead of a wallet; for a chain on this machine only.
    #[arg(long, value_name = "URI")]
    insecure_dev_key: Option<String>,
}

/// How submissions are remembered.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct JournalArgs {
    /// Folder of the journal of submissions, one file per chain and hotkey [default: ~/.local/state/edgemaxx].
    #[arg(long, value_name = "DIR", help_heading = "Chain")]
    journal: Option<PathBuf>,
}

impl ChainArgs {
    fn network_of(&self) -> Result<Network, ChainError> {
        self.endpoint.as_deref().unwrap_or(&self.network).parse()
    }

    /// Connect to the first endpoint that answers.
    pub(crate) fn connect(&self) -> anyhow::Result<Chain> {
        let network = self.network_of()?;
        self.say(|| format!("endpoints: {}", network.endpoints().join(", ")));
        let chain = Chain::connect(&network, ConnectOptions::default())?;
        self.say(|| format!("connected to {}", chain.endpoint().unwrap_or_default()));
        Ok(chain)
    }

    /// The finalised block that all reads of this command are made at.
    pub(crate) fn pin(&self, chain: &Chain) -> anyhow::Result<Pin> {
        let pin = chain.pin()?;
        self.say(|| {
            format!("reading at block {} ({:?}), spec version {}", pin.number, pin.hash, pin.spec_version)
        });
        Ok(pin)
    }

    pub(crate) fn say(&self, text: impl FnOnce() -> String) {
        if self.debug || self.trace {
            note(&text());
        }
    }

    /// Whether every endpoint is on this machine.
    fn is_local(&self) -> bool {
        let local = |url: &String| {
            let host =
                url.split_once("://").map_or("", |(_, rest)| rest).split('/').next().unwrap_or_default();
            let host = host.rsplit_once(':').map_or(host, |(host, _)| host);
            matches!(host, "127.0.0.1" | "localhost" | "[::1]")
        };
        self.network_of().is_ok_and(|network| network.endpoints().iter().all(local))
    }
}

impl WalletArgs {
    /// btcli's folder of wallets, or the one named.
    pub(crate) fn folder(&self) -> anyhow::Result<PathBuf> {
        if let Some(path) = &self.path {
            // A shell expands `~` in a flag, nobody does in a variable.
            return Ok(match (path.strip_prefix("~"), home()) {
                (Ok(rest), Some(home)) => home.join(rest),
                _ => path.clone(),
            });
        }
        let home =
            home().ok_or_else(|| Failure::input("HOME is not set; name the wallets with --wallet.path"))?;
        Ok(home.join(".bittensor/wallets"))
    }

    fn wallet(&self) -> anyhow::Result<Wallet> {
        Ok(Wallet::new(&self.folder()?, &self.name, &self.hotkey)?)
    }

    /// What is missing where neither a wallet nor a development key is here, in words.
    pub(crate) fn missing(&self) -> Option<String> {
        let folder = self.folder().ok()?;
        (self.insecure_dev_key.is_none() && !folder.join(&self.name).exists())
            .then(|| format!("no wallet {} in {}", self.name, folder.display()))
    }

    fn dev_key(&self, chain: &ChainArgs) -> anyhow::Result<Option<Keypair>> {
        let Some(uri) = &self.insecure_dev_key else { return Ok(None) };
        if !chain.is_local() {
            return Err(Failure::input(
                "--insecure-dev-key: everybody owns this key; it is taken only with --subtensor.network local, or endpoints on this machine",
            ));
        }
        Ok(Some(Keypair::insecure_dev(uri)?))
    }

    /// The hotkey, able to sign.
    pub(crate) fn open(&self, chain: &ChainArgs) -> anyhow::Result<Keypair> {
        if let Some(key) = self.dev_key(chain)? {
            return Ok(key);
        }
        let source = PasswordSource { file: self.password_file.clone(), prompt: crate::terminal::watched() };
        Ok(self.wallet()?.open(&source)?)
    }

    /// Whether the hotkey could sign, as far as that is known without its password.
    pub(crate) fn look(&self, chain: &ChainArgs) -> anyhow::Result<()> {
        match self.dev_key(chain)? {
            Some(_) => Ok(()),
            None => Ok(self.wallet()?.look()?),
        }
    }

    /// The hotkey's address, without opening it where its public file tells it.
    pub(crate) fn address(&self, chain: &ChainArgs) -> anyhow::Result<AccountId> {
        match self.dev_key(chain)? {
            Some(key) => Ok(key.account()),
            None => Ok(self.wallet()?.hotkey_address()?),
        }
    }
}

impl JournalArgs {
    /// The journal of this hotkey's submissions to this chain, locked.
    pub(crate) fn open(&self, chain: &Chain, hotkey: &AccountId) -> anyhow::Result<Journal> {
        Ok(Journal::open(&self.file(chain, hotkey, "jsonl")?)?)
    }

    /// A file of this hotkey's on this chain beside the journal.
    pub(crate) fn file(&self, chain: &Chain, hotkey: &AccountId, ending: &str) -> anyhow::Result<PathBuf> {
        let folder = match &self.journal {
            Some(folder) => folder.clone(),
            None => state_folder()
                .ok_or_else(|| Failure::input("HOME is not set; name a folder with --journal"))?,
        };
        let genesis = format!("{:x}", chain.genesis().unwrap_or_default());
        Ok(folder.join(format!("{}-{hotkey}.{ending}", &genesis[..12.min(genesis.len())])))
    }
}
