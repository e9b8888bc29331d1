//! The connection: several endpoints, back-off, one network only, time-outs on everything.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use subxt::backend::LegacyBackend;
use subxt::config::RpcConfigFor;
use subxt::metadata::Metadata;
use subxt::rpcs::{LegacyRpcMethods, RpcClient};
use subxt::utils::H256;
use subxt::{OnlineClient, OnlineClientAtBlock, SubstrateConfig};

use crate::{ChainError, Network};

pub(super) type Online = OnlineClient<SubstrateConfig>;
pub(super) type At = OnlineClientAtBlock<SubstrateConfig>;

/// How patient the connection is.
#[derive(Debug, Clone)]
pub struct ConnectOptions {
    /// For opening a connection.
    pub connect: Duration,
    /// For one whole read (a metagraph, all commitments).
    pub read: Duration,
    /// How often a read is tried over all, endpoints taken in turn.
    pub attempts: u32,
    /// The pause before the second attempt; it doubles, up to eight seconds.
    pub pause: Duration,
}

impl Default for ConnectOptions {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            read: Duration::from_secs(60),
            attempts: 5,
            pause: Duration::from_millis(250),
        }
    }
}

/// A chain that can be read and written to. Blocking; to be used outside asynchronous code.
pub struct Chain {
    runtime: tokio::runtime::Runtime,
    endpoints: Vec<String>,
    pub(super) options: ConnectOptions,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    link: Option<Arc<Link>>,
    /// Which endpoint to try next.
    next: usize,
    /// The first connection decides which chain this is.
    genesis: Option<H256>,
}

/// One open connection.
pub(super) struct Link {
    pub client: Online,
    pub rpc: LegacyRpcMethods<RpcConfigFor<SubstrateConfig>>,
    pub endpoint: String,
    /// The block last turned to: the reads of a command follow one another at one block, and a node is slow to say which
    /// runtime a block has.
    turned_to: Mutex<Option<At>>,
}

impl Link {
    /// The block last turned to.
    pub(super) fn turned_to(&self) -> Option<At> {
        self.turned_to.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }

    /// Keeps a block at hand, and gives it back.
    pub(super) fn turn_to(&self, at: At) -> At {
        *self.turned_to.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(at.clone());
        at
    }
}

impl Chain {
    /// Connect to the first endpoint that answers.
    ///
    /// # Errors
    /// When none does.
    pub fn connect(network: &Network, options: ConnectOptions) -> Result<Self, ChainError> {
        // One worker keeps the connection alive between calls.
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .map_err(ChainError::Runtime)?;
        let chain = Self { runtime, endpoints: network.endpoints(), options, state: Mutex::default() };
        chain.block_on(async {
            let mut tried = Vec::new();
            for _ in 0..chain.endpoints.len() {
                match chain.link().await {
                    Ok(_) => return Ok(()),
                    Err(error) => tried.push(error.to_string()),
                }
            }
            Err(ChainError::Connect { tried })
        })?;
        Ok(chain)
    }

    /// The endpoint in use.
    pub fn endpoint(&self) -> Option<String> {
        self.lock().link.as_ref().map(|l| l.endpoint.clone())
    }

    /// The hash of block 0: which chain this is.
    pub fn genesis(&self) -> Option<H256> {
        self.lock().genesis
    }

    /// Run a read until it succeeds, taking endpoints in turn.
    pub(super) fn read<T>(
        &self,
        what: &'static str,
        op: impl AsyncFn(&Link) -> Result<T, ChainError>,
    ) -> Result<T, ChainError> {
        self.block_on(self.retry(what, &op))
    }

    pub(super) fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.runtime.block_on(future)
    }

    /// As [`Self::read`], inside asynchronous code.
    pub(super) async fn retry<T>(
        &self,
        what: &'static str,
        op: &impl AsyncFn(&Link) -> Result<T, ChainError>,
    ) -> Result<T, ChainError> {
        let mut pause = self.options.pause;
        let mut attempt = 1;
        loop {
            let result = match self.link().await {
                Ok(link) => match tokio::time::timeout(self.options.read, op(&link)).await {
                    Ok(result) => result,
                    Err(_) => Err(ChainError::Timeout {
                        what,
                        endpoint: link.endpoint.clone(),
                        seconds: self.options.read.as_secs(),
                    }),
                },
                Err(error) => Err(error),
            };
            match result {
                Err(error) if error.is_transient() && attempt < self.options.attempts => {
                    self.hang_up();
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(Duration::from_secs(8));
                    attempt += 1;
                }
                other => return other,
            }
        }
    }

    /// Forget the connection; the next use opens one to the next endpoint.
    pub(super) fn hang_up(&self) {
        self.lock().link = None;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        // The guarded code does not panic; were it to, the state is still whole.
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// The open connection, or a new one to the next endpoint.
    pub(super) async fn link(&self) -> Result<Arc<Link>, ChainError> {
        let endpoint = {
            let mut state = self.lock();
            if let Some(link) = &state.link {
                return Ok(link.clone());
            }
            let endpoint = self.endpoints[state.next % self.endpoints.len()].clone();
            state.next += 1;
            endpoint
        };
        let what = "connecting";
        let failed = |why: String| ChainError::Transport { what, endpoint: endpoint.clone(), why };
        let open = async {
            let rpc = RpcClient::from_insecure_url(&endpoint).await.map_err(|e| failed(e.to_string()))?;
            // Explicitly the legacy methods: the default backend returned empty maps without an error.
            let backend = LegacyBackend::builder().storage_page_size(512).build(rpc.clone());
            let rpc = LegacyRpcMethods::new(rpc);
            let config = config(&rpc, self.options.connect / 2).await;
            let client = Online::from_backend_with_config(config, Arc::new(backend))
                .await
                .map_err(|e| failed(e.to_string()))?;
            Ok::<_, ChainError>((client, rpc))
        };
        let (client, rpc) = tokio::time::timeout(self.options.connect, open).await.map_err(|_| {
            ChainError::Timeout { what, endpoint: endpoint.clone(), seconds: self.options.connect.as_secs() }
        })??;
        let link = Arc::new(Link { client, rpc, endpoint: endpoint.clone(), turned_to: Mutex::default() });
        let mut state = self.lock();
        let genesis = link.client.genesis_hash();
        match state.genesis {
            Some(first) if first != genesis => {
                return Err(ChainError::Contradiction {
                    endpoint,
                    what: "genesis block".into(),
                    expected: format!("{first:?}"),
                    found: format!("{genesis:?}"),
                });
            }
            _ => state.genesis = Some(genesis),
        }
        // The endpoint that works is kept: the next turn comes only after a failure.
        state.link = Some(link.clone());
        Ok(link)
    }
}

/// What is known beforehand: the runtime's metadata at the head, by the one call whose answer nodes keep at hand. Asked by
/// version, which is the client's own way and what remains where this fails or takes too long, a node computes it anew.
async fn config(rpc: &LegacyRpcMethods<RpcConfigFor<SubstrateConfig>>, within: Duration) -> SubstrateConfig {
    let config = SubstrateConfig::builder();
    let known = async {
        let head = Some(rpc.chain_get_finalized_head().await.ok()?);
        let (version, metadata) =
            tokio::try_join!(rpc.state_get_runtime_version(head), rpc.state_get_metadata(head)).ok()?;
        let metadata = Metadata::decode_from(&metadata.into_raw()).ok()?;
        Some((version.spec_version, Arc::new(metadata)))
    };
    let known = tokio::time::timeout(within, known).await.ok().flatten();
    config.set_metadata_for_spec_versions(known).build()
}

/// Whether a node says that it keeps no state of a block: in the words of Substrate's client.
pub(super) fn is_discarded(why: &str) -> bool {
    why.contains("State already discarded")
}

#[cfg(test)]
mod tests {
    use super::is_discarded;

    #[test]
    fn a_pruned_state_is_told_from_a_lost_connection() {
        // As reported of nodes: paritytech/substrate-api-sidecar 1562 (2024), chainx-org/chainx.js 12 (2020).
        assert!(is_discarded(
            "4003: Client error: Api called for an unknown Block: State already discarded for 0xfc41b9bd"
        ));
        assert!(is_discarded(
            "Error(Client(UnknownBlock(\"State already discarded for Hash(0x7194c91f)\")))"
        ));
        // A node that lags behind may have the block later.
        assert!(!is_discarded("UnknownBlock: Header was not found in the database"));
        assert!(!is_discarded("connection reset by peer"));
    }
}
