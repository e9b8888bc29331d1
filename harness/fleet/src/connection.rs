//! The connection to the server, for those who do not await: every call ends in its own time, whatever the server does.

use std::future::Future;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, PullConsumer, pull};
use async_nats::jetstream::message::StreamMessage;
use async_nats::jetstream::stream::DirectGetErrorKind;
use async_nats::jetstream::{self, Context};
use async_nats::{Client, ConnectOptions, Subscriber};
use futures_util::StreamExt as _;
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

use crate::error::{FleetError, Result};
use crate::key::Key;
use crate::limits::UNHEARD;
use crate::message::{Bundle, Host, Lease, Signed};
use crate::streams::{HOLD, Room, streams};
use crate::subject::{self, HOSTS, LEASES, RESULTS};

/// How long an answer of the server is waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// Results that are asked for at once.
const BATCH: usize = 32;

/// What remembers at the server which results were settled: one, since one coordinator at a time takes them.
const RESULTS_CONSUMER: &str = "coordinator";

/// Most workers of one server.
const MOST_HOSTS: usize = 1024;

/// Where a server is, and how one comes in.
#[derive(Debug, Clone)]
pub struct Place {
    /// `tls://HOST:PORT`.
    pub server: String,
    /// The certificate of whoever vouches for the server, in PEM; `None`: those that this machine trusts.
    pub ca: Option<PathBuf>,
}

impl Place {
    /// Refuses an address that none can be reached by.
    ///
    /// # Errors
    /// [`FleetError::Clear`].
    pub fn check(&self) -> Result<()> {
        is_tls(&self.server).map(drop)
    }
}

/// On which side of the queue one is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Measures; waits for a server that is not there yet.
    Worker,
    /// Hands out lanes; makes the streams.
    Coordinator,
}

/// A connection, kept up for as long as this lives.
pub struct Queue {
    side: Side,
    handle: Handle,
    key: Key,
    client: Client,
    js: Context,
    leases: Mutex<Option<Subscriber>>,
    hosts: Mutex<Option<PullConsumer>>,
    results: Mutex<Option<pull::Stream>>,
    _end: oneshot::Sender<()>,
}

impl std::fmt::Debug for Queue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Queue({:?})", self.key)
    }
}

/// A message of a worker.
pub struct Received {
    /// The worker in whose name the server took it.
    pub worker: String,
    /// As it was sent.
    pub bytes: Vec<u8>,
    message: jetstream::Message,
}

impl Queue {
    /// Connects.
    ///
    /// # Errors
    /// The address is none, the server is not there, or does not let this key in.
    pub fn connect(place: &Place, key: &Key, side: Side) -> Result<Self> {
        let server = place.server.clone();
        let failed = |why: String| FleetError::Connect { server: server.clone(), why };
        let tls = is_tls(&server)?;
        let mut options = ConnectOptions::with_nkey(key.seed().to_owned())
            .name("edgemaxx")
            .require_tls(tls)
            .custom_inbox_prefix(subject::inbox(&key.name()))
            .max_reconnects(None)
            .reconnect_delay_callback(|tries| Duration::from_millis((100 * tries as u64).min(2000)))
            .connection_timeout(PATIENCE)
            .request_timeout(Some(PATIENCE))
            .ping_interval(Duration::from_secs(10))
            // Whoever floods fills no memory: what is not heard for it is asked for.
            .subscription_capacity(UNHEARD)
            // Said on the connection itself; nobody else is told.
            .event_callback(|_| async {});
        if let Some(ca) = &place.ca {
            options = options.add_root_certificates(ca.clone());
        }
        if side == Side::Worker {
            options = options.retry_on_initial_connect();
        }
        let runtime =
            Builder::new_current_thread().enable_all().build().map_err(|error| failed(error.to_string()))?;
        let handle = runtime.handle().clone();
        let (end, ended) = oneshot::channel::<()>();
        std::thread::Builder::new()
            .name("nats".to_owned())
            .spawn(move || {
                let _ = runtime.block_on(ended);
            })
            .map_err(|error| failed(error.to_string()))?;
        let client = handle
            .block_on(options.connect(place.server.as_str()))
            .map_err(|error| failed(error.to_string()))?;
        let mut js = {
            let _runtime = handle.enter();
            jetstream::new(client.clone())
        };
        js.set_timeout(PATIENCE);
        Ok(Self {
            side,
            handle,
            key: key.clone(),
            client,
            js,
            leases: Mutex::new(None),
            hosts: Mutex::new(None),
            results: Mutex::new(None),
            _end: end,
        })
    }

    /// The key that it came in by.
    pub fn key(&self) -> &Key {
        &self.key
    }

    pub(crate) fn side(&self) -> Side {
        self.side
    }

    pub(crate) fn js(&self) -> &Context {
        &self.js
    }

    pub(crate) fn ask<T, E>(
        &self,
        what: &'static str,
        future: impl Future<Output = Result<T, E>>,
    ) -> Result<T>
    where
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let failed = FleetError::server(what);
        match self.handle.block_on(async { tokio::time::timeout(2 * PATIENCE, future).await }) {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => Err(failed(error.into())),
            Err(_) => Err(failed("no answer".into())),
        }
    }

    /// Publishes a message, and waits until the server has it.
    fn put(&self, subject: String, bytes: Vec<u8>) -> Result<()> {
        self.ask("publish", async {
            self.js.publish(subject, bytes.into()).await?.await?;
            Ok::<_, async_nats::Error>(())
        })
    }

    /// The last message of a subject.
    pub(crate) fn last(&self, stream: &'static str, subject: String) -> Result<Option<StreamMessage>> {
        self.ask("read", async {
            let stream = self.js.get_stream_no_info(stream).await.map_err(async_nats::Error::from)?;
            match stream.direct_get_last_for_subject(subject).await {
                Ok(message) => Ok(Some(message)),
                Err(error) if error.kind() == DirectGetErrorKind::NotFound => Ok(None),
                Err(error) => Err(async_nats::Error::from(error)),
            }
        })
    }

    /// Makes the streams that are missing, and leaves the bounds of the others: a run may go on with them.
    ///
    /// # Errors
    /// The server makes none, or has no room for what a run needs.
    pub fn make_missing(&self, room: Room) -> Result<()> {
        for config in streams(room) {
            self.ask("make a stream", self.js.get_or_create_stream(config))?;
        }
        Ok(())
    }

    /// Makes the streams that are missing, and gives each its bounds, beyond which the oldest goes: for the one run that has
    /// claimed the server.
    ///
    /// # Errors
    /// The server makes none, or has no room for what a run needs.
    pub fn prepare(&self, room: Room) -> Result<()> {
        for config in streams(room) {
            self.ask("make a stream", self.js.create_or_update_stream(config))?;
        }
        Ok(())
    }

    /// Says how a worker is.
    ///
    /// # Errors
    /// The server does not take it.
    pub fn say(&self, host: &Host) -> Result<()> {
        self.put(subject::host(&self.key.name()), Signed::of(host, &self.key)?.to_bytes())
    }

    /// Sends lines of a log.
    ///
    /// # Errors
    /// The server does not take them.
    pub fn send(&self, bundle: &Bundle) -> Result<()> {
        self.put(subject::result(&self.key.name()), Signed::of(bundle, &self.key)?.to_bytes())
    }

    /// Tells a worker what is wanted of it.
    ///
    /// # Errors
    /// The server does not take it.
    pub fn lease(&self, worker: &str, lease: &Lease) -> Result<()> {
        self.put(subject::lease(worker), Signed::of(lease, &self.key)?.to_bytes())
    }

    /// What is wanted of a worker, as the server has it.
    ///
    /// # Errors
    /// The server does not say.
    pub fn leased(&self, worker: &str) -> Result<Option<Vec<u8>>> {
        Ok(self.last(LEASES, subject::lease(worker))?.map(|message| message.payload.into()))
    }

    /// What a worker was told meanwhile. Waits until there is something, but no longer than `wait`; never more than wait at
    /// once, however much comes.
    ///
    /// # Errors
    /// The server lets nobody hear.
    pub fn hear_leases(&self, wait: Duration) -> Result<Vec<Vec<u8>>> {
        let mut heard = self.leases.lock().unwrap_or_else(PoisonError::into_inner);
        if heard.is_none() {
            let own = subject::lease(&self.key.name());
            *heard = Some(self.ask("hear", self.client.subscribe(own))?);
        }
        let Some(subscriber) = heard.as_mut() else { return Ok(Vec::new()) };
        let mut found = Vec::new();
        let mut wait = wait;
        for _ in 0..UNHEARD {
            let next = async { tokio::time::timeout(wait, subscriber.next()).await };
            let Ok(Some(message)) = self.handle.block_on(next) else { break };
            wait = Duration::ZERO;
            found.push(message.payload.to_vec());
        }
        Ok(found)
    }

    /// What workers said since this was asked before: whose it is, and its bytes. The server holds one word of each, so
    /// whoever says a thousand in between is heard once; never more than wait at once.
    ///
    /// # Errors
    /// The server gives none out.
    pub fn hear_hosts(&self) -> Result<Vec<(String, Vec<u8>)>> {
        let mut heard = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        let known = heard.take();
        let (consumer, found) = self.ask("hear", async {
            let consumer = match known {
                Some(consumer) => consumer,
                None => {
                    let config = pull::Config {
                        deliver_policy: DeliverPolicy::New,
                        ack_policy: AckPolicy::None,
                        inactive_threshold: HOLD,
                        ..pull::Config::default()
                    };
                    self.js.get_stream(HOSTS).await?.create_consumer(config).await?
                }
            };
            let mut batch = consumer.fetch().max_messages(UNHEARD).messages().await?;
            let mut found = Vec::new();
            while let Some(message) = batch.next().await {
                let message = message?;
                found.push((last_word(&message.subject), message.payload.to_vec()));
            }
            drop(batch);
            Ok::<_, async_nats::Error>((consumer, found))
        })?;
        // One that failed is gone, or stuck: another is made.
        *heard = Some(consumer);
        Ok(found)
    }

    /// Every worker that the server has heard of, with the seconds since then; none, where its store is new.
    ///
    /// # Errors
    /// The server does not say.
    pub fn hosts(&self) -> Result<Vec<(String, Vec<u8>, u64)>> {
        let now = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(0, |since| since.as_secs());
        self.ask("read", async {
            let stream = match self.js.get_stream(HOSTS).await {
                Ok(stream) => stream,
                Err(error) if is_missing(&error) => return Ok(Vec::new()),
                Err(error) => return Err(error.into()),
            };
            let mut subjects = stream.info_with_subjects(subject::host("*")).await?;
            let mut names = Vec::new();
            while let Some(subject) = subjects.next().await {
                names.push(subject?.0);
            }
            names.sort();
            names.truncate(MOST_HOSTS);
            let mut found = Vec::new();
            for name in names {
                let message = match stream.direct_get_last_for_subject(name.as_str()).await {
                    Ok(message) => message,
                    // It grew old in between, or gave way to newer ones.
                    Err(error) if error.kind() == DirectGetErrorKind::NotFound => continue,
                    Err(error) => return Err(error.into()),
                };
                let ago = now.saturating_sub(message.time.unix_timestamp().cast_unsigned());
                found.push((last_word(&name), message.payload.to_vec(), ago));
            }
            Ok::<_, async_nats::Error>(found)
        })
    }

    /// What a worker said last, and a number that grows with each time that it says something.
    ///
    /// # Errors
    /// The server does not say.
    pub fn host(&self, worker: &str) -> Result<Option<(Vec<u8>, u64)>> {
        let message = self.last(HOSTS, subject::host(worker))?;
        Ok(message.map(|message| (message.payload.to_vec(), message.sequence)))
    }

    /// The next result, of whatever plan; `None`: none came for so long.
    ///
    /// # Errors
    /// The server gives none out.
    pub fn next_result(&self, wait: Duration) -> Result<Option<Received>> {
        let mut results = self.results.lock().unwrap_or_else(PoisonError::into_inner);
        if results.is_none() {
            *results = Some(self.ask("give results out", self.open_results())?);
        }
        let Some(stream) = results.as_mut() else { return Ok(None) };
        match self.handle.block_on(async { tokio::time::timeout(wait, stream.next()).await }) {
            Err(_) => Ok(None),
            Ok(Some(Ok(message))) => {
                let worker = last_word(&message.subject);
                Ok(Some(Received { worker, bytes: message.payload.to_vec(), message }))
            }
            // It has ended, or is stuck: another is opened.
            Ok(None) => {
                *results = None;
                Ok(None)
            }
            Ok(Some(Err(error))) => {
                *results = None;
                Err(FleetError::server("give results out")(error.into()))
            }
        }
    }

    async fn open_results(&self) -> Result<pull::Stream, async_nats::Error> {
        let config = pull::Config {
            durable_name: Some(RESULTS_CONSUMER.to_owned()),
            ack_policy: AckPolicy::Explicit,
            ack_wait: Duration::from_secs(60),
            inactive_threshold: HOLD,
            ..pull::Config::default()
        };
        let stream = self.js.get_stream(RESULTS).await?;
        let consumer: PullConsumer = stream.get_or_create_consumer(RESULTS_CONSUMER, config).await?;
        let batches = consumer.stream().max_messages_per_batch(BATCH).expires(Duration::from_secs(20));
        Ok(batches.heartbeat(Duration::from_secs(5)).messages().await?)
    }

    /// Says that a result needs not be given out again.
    ///
    /// # Errors
    /// The server was not told; it will give it out again.
    pub fn settle(&self, received: &Received) -> Result<()> {
        self.ask("settle", received.message.ack())
    }
}

fn is_missing(error: &jetstream::context::GetStreamError) -> bool {
    use jetstream::context::GetStreamErrorKind::JetStream;
    matches!(error.kind(), JetStream(error) if error.error_code() == jetstream::ErrorCode::STREAM_NOT_FOUND)
}

/// Whose a message is: the last word of its subject.
fn last_word(subject: &str) -> String {
    subject.rsplit('.').next().unwrap_or_default().to_owned()
}

/// Whether the connection is encrypted; in clear text one speaks to this machine alone.
fn is_tls(server: &str) -> Result<bool> {
    let (scheme, rest) = server.split_once("://").unwrap_or(("", server));
    let host = rest.rsplit_once(':').map_or(rest, |(host, _)| host).trim_matches(['[', ']']);
    let own =
        host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
    match scheme {
        "tls" => Ok(true),
        "nats" if own => Ok(false),
        _ => Err(FleetError::Clear(server.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_goes_over_a_network_in_clear_text() {
        assert!(is_tls("tls://fleet.example:4222").unwrap() && is_tls("tls://127.0.0.1:4222").unwrap());
        assert!(!is_tls("nats://127.0.0.1:4222").unwrap() && !is_tls("nats://[::1]:4222").unwrap());
        for clear in [
            "nats://fleet.example:4222",
            "fleet.example:4222",
            "nats://127.0.0.1.example:1",
            "ws://localhost:1",
        ] {
            assert!(is_tls(clear).is_err(), "{clear}");
        }
    }
}
