//! The connection to the server, for those who do not await: every call ends in its own time, whatever the server does.

use std::collections::VecDeque;
use std::future::{Future, IntoFuture as _};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_nats::jetstream::consumer::{AckPolicy, PullConsumer, pull};
use async_nats::jetstream::stream::{Config, RetentionPolicy, StorageType};
use async_nats::jetstream::{self, Context};
use async_nats::{Client, ConnectOptions, Subscriber};
use bytes::Bytes;
use edgemaxx_contract::digest::{Digest, DigestBuilder};
use edgemaxx_files::WholeFile;
use futures_util::StreamExt as _;
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

use crate::content::{Content, PART_BYTES};
use crate::error::{FleetError, Result};
use crate::key::Key;
use crate::message::{Bundle, Host, Lease, Signed};
use crate::subject::{self, ALL, HOSTS, LEASES, PARTS, RESULTS};

/// How long an answer of the server is waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// Parts that are on their way at once.
const IN_FLIGHT: usize = 16;

/// Results that are asked for at once.
const BATCH: usize = 32;

/// How long what nobody fetched is held by the server: whoever still wants it says so.
const HOLD: Duration = Duration::from_secs(6 * 3600);

/// How long a result that no coordinator took is held; workers hold it for longer.
const HOLD_RESULT: Duration = Duration::from_secs(7 * 24 * 3600);

/// Where a server is, and how one comes in.
#[derive(Debug, Clone)]
pub struct Place {
    /// `tls://HOST:PORT`.
    pub server: String,
    /// The certificate of whoever vouches for the server, in PEM; `None`: those that this machine trusts.
    pub ca: Option<PathBuf>,
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
    heard: Mutex<Option<Subscriber>>,
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
            heard: Mutex::new(None),
            results: Mutex::new(None),
            _end: end,
        })
    }

    /// The key that it came in by.
    pub fn key(&self) -> &Key {
        &self.key
    }

    /// Whether the server is there.
    pub fn is_connected(&self) -> bool {
        self.client.connection_state() == async_nats::connection::State::Connected
    }

    fn ask<T, E>(&self, what: &'static str, future: impl Future<Output = Result<T, E>>) -> Result<T>
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
    fn last(&self, stream: &'static str, subject: String) -> Result<Option<Bytes>> {
        use async_nats::jetstream::stream::DirectGetErrorKind;
        self.ask("read", async {
            let stream = self.js.get_stream_no_info(stream).await.map_err(async_nats::Error::from)?;
            match stream.direct_get_last_for_subject(subject).await {
                Ok(message) => Ok(Some(message.payload)),
                Err(error) if error.kind() == DirectGetErrorKind::NotFound => Ok(None),
                Err(error) => Err(async_nats::Error::from(error)),
            }
        })
    }

    /// Makes the streams that are missing: the coordinator's, at any time.
    ///
    /// # Errors
    /// The server makes none.
    pub fn prepare(&self) -> Result<()> {
        let stream = |name: &str, subjects: &str| Config {
            name: name.to_owned(),
            subjects: vec![subjects.to_owned()],
            storage: StorageType::File,
            allow_direct: true,
            max_messages_per_subject: 1,
            max_age: HOLD,
            ..Config::default()
        };
        let results = Config {
            retention: RetentionPolicy::WorkQueue,
            max_messages_per_subject: -1,
            max_age: HOLD_RESULT,
            ..stream(RESULTS, "em.result.*.*")
        };
        let leases = Config { max_age: Duration::ZERO, ..stream(LEASES, "em.lease.*") };
        let all = [stream(HOSTS, "em.host.*"), leases, results, stream(PARTS, "em.part.*.*.*")];
        for config in all {
            self.ask("make a stream", async { self.js.get_or_create_stream(config).await })?;
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
        self.put(subject::result(&bundle.plan, &self.key.name()), Signed::of(bundle, &self.key)?.to_bytes())
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
        Ok(self.last(LEASES, subject::lease(worker))?.map(Vec::from))
    }

    /// What came meanwhile to a worker, or, to a coordinator, of workers: whose it is, and its bytes. Waits until there
    /// is something, but no longer than `wait`.
    ///
    /// # Errors
    /// The server lets nobody hear.
    pub fn hear(&self, wait: Duration) -> Result<Vec<(String, Vec<u8>)>> {
        let own = self.key.name();
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        if heard.is_none() {
            let subject = match self.side {
                Side::Coordinator => subject::host("*"),
                Side::Worker => subject::lease(&own),
            };
            *heard = Some(self.ask("hear", self.client.subscribe(subject))?);
        }
        let Some(subscriber) = heard.as_mut() else { return Ok(Vec::new()) };
        let mut found = Vec::new();
        let mut wait = wait;
        while let Ok(Some(message)) =
            self.handle.block_on(async { tokio::time::timeout(wait, subscriber.next()).await })
        {
            let worker = message.subject.rsplit('.').next().unwrap_or_default().to_owned();
            found.push((worker, message.payload.to_vec()));
            wait = Duration::ZERO;
        }
        Ok(found)
    }

    /// Every worker that the server has heard of, with the seconds since then.
    ///
    /// # Errors
    /// The server does not say.
    pub fn hosts(&self) -> Result<Vec<(String, Vec<u8>, u64)>> {
        let now = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(0, |since| since.as_secs());
        self.ask("read", async {
            let stream = self.js.get_stream(HOSTS).await?;
            let mut subjects = stream.info_with_subjects(subject::host("*")).await?;
            let mut names = Vec::new();
            while let Some(subject) = subjects.next().await {
                names.push(subject?.0);
            }
            names.sort();
            let mut found = Vec::new();
            for name in names {
                let message = stream.direct_get_last_for_subject(name.as_str()).await?;
                let ago = now.saturating_sub(message.time.unix_timestamp().cast_unsigned());
                let worker = name.rsplit('.').next().unwrap_or_default().to_owned();
                found.push((worker, message.payload.to_vec(), ago));
            }
            Ok::<_, async_nats::Error>(found)
        })
    }

    /// The next result of a plan; `None`: none came for so long.
    ///
    /// # Errors
    /// The server gives none out.
    pub fn next_result(&self, plan: &Digest, wait: Duration) -> Result<Option<Received>> {
        let mut results = self.results.lock().unwrap_or_else(PoisonError::into_inner);
        if results.is_none() {
            *results = Some(self.ask("give results out", self.open_results(plan))?);
        }
        let Some(stream) = results.as_mut() else { return Ok(None) };
        match self.handle.block_on(async { tokio::time::timeout(wait, stream.next()).await }) {
            Err(_) => Ok(None),
            Ok(Some(Ok(message))) => {
                let worker = message.subject.rsplit('.').next().unwrap_or_default().to_owned();
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

    async fn open_results(&self, plan: &Digest) -> Result<pull::Stream, async_nats::Error> {
        let name = format!("plan-{}", plan.short());
        let config = pull::Config {
            durable_name: Some(name.clone()),
            ack_policy: AckPolicy::Explicit,
            ack_wait: Duration::from_secs(60),
            filter_subject: subject::result(plan, "*"),
            inactive_threshold: HOLD,
            ..pull::Config::default()
        };
        let stream = self.js.get_stream(RESULTS).await?;
        let consumer: PullConsumer = stream.get_or_create_consumer(&name, config).await?;
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

    fn own_name(&self) -> String {
        match self.side {
            Side::Coordinator => ALL.to_owned(),
            Side::Worker => self.key.name(),
        }
    }

    /// Publishes bytes: what they are called.
    ///
    /// # Errors
    /// The server does not take them.
    pub fn publish(&self, bytes: &[u8]) -> Result<Content> {
        let content = Content::of(bytes);
        self.publish_from(&mut &*bytes, content)?;
        Ok(content)
    }

    /// Publishes what `reader` gives.
    ///
    /// # Errors
    /// It cannot be read, is not that, or the server does not take it.
    pub fn publish_from(&self, reader: &mut dyn Read, content: Content) -> Result<()> {
        let from = self.own_name();
        let mut buffer = vec![0; PART_BYTES];
        let mut digest = DigestBuilder::default();
        let mut waiting = VecDeque::new();
        for number in 0..content.parts() {
            let filled = fill(reader, &mut buffer).map_err(|error| FleetError::Message(error.to_string()))?;
            digest.update(&buffer[..filled]);
            let subject = subject::part(&from, &content.digest, number);
            let part = Bytes::copy_from_slice(&buffer[..filled]);
            waiting.push_back(self.ask("publish", self.js.publish(subject, part))?);
            if waiting.len() > IN_FLIGHT
                && let Some(first) = waiting.pop_front()
            {
                self.ask("publish", first.into_future())?;
            }
        }
        for ack in waiting {
            self.ask("publish", ack.into_future())?;
        }
        match digest.finish() {
            found if found == content.digest => Ok(()),
            found => Err(FleetError::Content { named: content.digest, found }),
        }
    }

    /// Bytes that `from` has published, the coordinator where it is `None`; never others than they are called by.
    ///
    /// # Errors
    /// The server does not hold them, or holds others under their name.
    pub fn fetch(&self, from: Option<&str>, content: Content) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.fetch_to(from, content, &mut bytes)?;
        Ok(bytes)
    }

    /// The same into a file, which is there as a whole or not at all.
    ///
    /// # Errors
    /// As before, or the file cannot be written.
    pub fn fetch_file(&self, from: Option<&str>, content: Content, path: &Path) -> Result<()> {
        let mut file = WholeFile::create(path).map_err(FleetError::file(path))?;
        self.fetch_to(from, content, &mut file)?;
        file.finish().map_err(FleetError::file(path))
    }

    fn fetch_to(&self, from: Option<&str>, content: Content, out: &mut dyn Write) -> Result<()> {
        let mut digest = DigestBuilder::default();
        let mut bytes = 0;
        for number in 0..content.parts() {
            let subject = subject::part(from.unwrap_or(ALL), &content.digest, number);
            let part = self.last(PARTS, subject)?.ok_or(FleetError::Absent(content.digest))?;
            digest.update(&part);
            bytes += part.len() as u64;
            out.write_all(&part)
                .map_err(|source| FleetError::File { path: PathBuf::from("content"), source })?;
        }
        match digest.finish() {
            found if found == content.digest && bytes == content.bytes => Ok(()),
            found => Err(FleetError::Content { named: content.digest, found }),
        }
    }
}

/// Reads until the buffer is full, or there is no more: how much there was.
fn fill(reader: &mut dyn Read, buffer: &mut [u8]) -> std::io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match reader.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
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
