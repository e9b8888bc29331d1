//! `edgemaxx fleet`: workers on other hosts, the keys that let them in, and how they are.

use std::path::PathBuf;
use std::sync::Arc;

use edgemaxx_contract::shown_text::{line, shorten};
use edgemaxx_fleet::limits::{NAME_LETTERS, WHY_LETTERS};
use edgemaxx_fleet::server_config::{Site, configuration};
use edgemaxx_fleet::{Host, Key, Place, Queue, Side, Signed};
use edgemaxx_run::Observer as _;
use edgemaxx_run::fleet::{Settings, work};
use edgemaxx_validator::workers::Worker;
use serde::Serialize;

use super::on_fleet::OnFleet;
use crate::error::Failure;
use crate::progress::Terminal;
use crate::table::{Align, Table};
use crate::terminal::{answer, answer_json, answer_lines, note, print_bytes};

/// Has other hosts measure the lanes of a run, through a NATS server with JetStream.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  edgemaxx fleet key coordinator.key                       a key for the host that runs contests; prints its public half
  edgemaxx fleet server --coordinator U… --worker U… --certificate c.pem --certificate-key k.pem > nats.conf
  edgemaxx fleet worker --server tls://nats:4222 --creds box1.key --ca ca.pem --spool /var/lib/edgemaxx-fleet
  edgemaxx run contest.toml --lanes 4 --fleet tls://nats:4222 --creds coordinator.key --ca ca.pem --out runs/four
  edgemaxx fleet status --server tls://nats:4222 --creds coordinator.key --ca ca.pem")]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Measure the lanes that a coordinator hands out, until interrupted.
    Worker(WorkerArgs),
    /// Show the workers: what each is, what it measures, how far it is.
    Status(StatusArgs),
    /// Make a key for a worker or a coordinator, and print its public half.
    Key(KeyArgs),
    /// Print a configuration for nats-server that lets these keys in, each with the rights that it needs.
    Server(ServerArgs),
}

impl Args {
    pub(crate) fn execute(self) -> anyhow::Result<()> {
        match self.what {
            What::Worker(args) => args.execute(),
            What::Status(args) => args.execute(),
            What::Key(args) => args.execute(),
            What::Server(args) => args.execute(),
        }
    }
}

/// Where the server is, and by which key one comes in.
#[derive(Debug, clap::Args)]
pub(crate) struct Server {
    /// Address of the server: tls://HOST:PORT, or nats:// on this machine alone.
    #[arg(long, value_name = "ADDRESS")]
    server: String,
    /// File of the key to come in by; `edgemaxx fleet key` makes one.
    #[arg(long, value_name = "FILE")]
    creds: PathBuf,
    /// Certificate of whoever vouches for the server, PEM [default: those that this machine trusts].
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
}

impl Server {
    fn connect(&self, side: Side) -> anyhow::Result<Queue> {
        connect(&self.server, &self.creds, self.ca.clone(), side)
    }
}

/// The connection of a coordinator to the server of a fleet.
pub(super) fn connect_with(server: &str, on: &OnFleet) -> anyhow::Result<Queue> {
    let creds = on.creds.as_deref().unwrap_or_else(|| std::path::Path::new(""));
    connect(server, creds, on.ca.clone(), Side::Coordinator)
}

/// A connection to a server.
fn connect(server: &str, creds: &std::path::Path, ca: Option<PathBuf>, side: Side) -> anyhow::Result<Queue> {
    let place = Place { server: server.to_owned(), ca };
    let key = Key::read(creds).map_err(edgemaxx_run::RunError::from)?;
    Ok(Queue::connect(&place, &key, side).map_err(edgemaxx_run::RunError::from)?)
}

#[derive(Debug, clap::Args)]
struct WorkerArgs {
    #[command(flatten)]
    server: Server,
    /// Folder for what is measured and not handed over yet, and for what it is measured with; one for each worker.
    #[arg(long, value_name = "DIR")]
    spool: PathBuf,
    /// What `fleet status` calls this worker [default: the host's name, and the card's number].
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// The card that engines see, as `edgemaxx doctor` numbers it [default: the only one].
    #[arg(long, value_name = "N")]
    device: Option<u32>,
    /// Keep to these processors: where a host has several workers, each needs its own.
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    cores: Vec<u32>,
    /// GiB of checkpoints and other files to measure with that are kept in the spool at most; the longest unused go first.
    #[arg(long, value_name = "N", default_value = "200", value_parser = clap::value_parser!(u64).range(1..1 << 20))]
    cache_gib: u64,
    /// Public key of the coordinator; whoever else hands out lanes is not heard.
    #[arg(long, value_name = "KEY")]
    coordinator: Option<String>,
}

impl WorkerArgs {
    fn execute(self) -> anyhow::Result<()> {
        let name = match self.name {
            Some(name) => name,
            None => {
                let host = std::fs::read_to_string("/proc/sys/kernel/hostname");
                let card = self.device.map(|number| format!("-{number}")).unwrap_or_default();
                host.map_or_else(|_| "worker".to_owned(), |host| host.trim().to_owned()) + &card
            }
        };
        if let Some(key) = self.coordinator.as_deref().filter(|key| !Key::is_name(key)) {
            return Err(Failure::input(format!(
                "--coordinator {key}: expected a public key, U and 55 more letters and digits"
            )));
        }
        // A signal ends the worker from here on, and what measures for it.
        Terminal.interrupt();
        let queue = Arc::new(self.server.connect(Side::Worker)?);
        note(&format!("worker {name}, key {}", queue.key().name()));
        let settings = Settings {
            name,
            spool: std::path::absolute(&self.spool)?,
            device: self.device,
            cores: self.cores,
            cache_bytes: self.cache_gib << 30,
            coordinator: self.coordinator,
        };
        Ok(work(&queue, &settings, &Terminal)?)
    }
}

#[derive(Debug, clap::Args)]
struct StatusArgs {
    #[command(flatten)]
    server: Server,
    /// Print it as JSON.
    #[arg(long)]
    json: bool,
}

/// A worker, for machines.
#[derive(Serialize)]
struct Seen {
    worker: String,
    seen_s: u64,
    #[serde(flatten)]
    host: Host,
}

impl StatusArgs {
    fn execute(self) -> anyhow::Result<()> {
        let queue = self.server.connect(Side::Coordinator)?;
        let mut all = Vec::new();
        for (worker, bytes, seen_s) in queue.hosts().map_err(edgemaxx_run::RunError::from)? {
            match Signed::open::<Host>(&bytes, Some(&worker)) {
                Ok((host, _)) => all.push(Seen { worker, seen_s, host }),
                Err(error) => note(&format!("warning: worker {worker}: {error}")),
            }
        }
        if self.json {
            return answer_json(&all);
        }
        if all.is_empty() {
            return answer_lines(&["no worker has said anything for the last hours".to_owned()]);
        }
        answer_lines(&rows(
            all.into_iter().map(|Seen { worker: key, host, seen_s }| worker(key, host, seen_s)),
        ))
    }
}

/// The workers for a terminal.
fn rows(workers: impl Iterator<Item = Worker>) -> Vec<String> {
    let mut table = Table::new([
        Align::Left,
        Align::Left,
        Align::Left,
        Align::Right,
        Align::Right,
        Align::Right,
        Align::Right,
        Align::Right,
    ]);
    table.row(["worker", "card", "measures", "sessions", "pairs/min", "spool", "free", "seen"]);
    for worker in workers {
        let of_lane = |text: String| worker.lane.map_or_else(String::new, |_| text);
        table.row([
            worker.name.clone(),
            worker.card.clone(),
            worker.measures(),
            of_lane(worker.sessions.to_string()),
            of_lane(format!("{:.1}", worker.pairs_per_minute)),
            of_lane(format!("{} KiB", worker.spool_bytes.div_ceil(1024))),
            format!("{:.1} GiB", worker.free_bytes as f64 / f64::from(1 << 30)),
            format!("{} s ago", worker.seen_s),
        ]);
    }
    table.lines()
}

/// A worker as it is shown.
pub(crate) fn worker(key: String, host: Host, seen_s: u64) -> Worker {
    let card = host.environment.card.map_or(host.environment.cpu, |card| card.name);
    let doing = host.doing.as_ref();
    let failure = doing.and_then(|doing| doing.failure.as_ref());
    Worker {
        name: shorten(&line(&host.name), NAME_LETTERS),
        key,
        card: shorten(&line(&card), NAME_LETTERS),
        plan: doing.map(|doing| doing.plan.short()),
        lane: doing.map(|doing| doing.lane),
        attempt: doing.map(|doing| doing.attempt),
        sessions: doing.map_or(0, |doing| doing.sessions),
        pairs_per_minute: doing.map_or(0.0, |doing| doing.pairs_per_minute),
        spool_bytes: doing.map_or(0, |doing| doing.spool_bytes),
        free_bytes: host.free_bytes,
        seen_s,
        failure: failure.map(|failed| shorten(&line(&failed.why), WHY_LETTERS)),
    }
}

#[derive(Debug, clap::Args)]
struct KeyArgs {
    /// New file for the key; its owner alone may read it.
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

impl KeyArgs {
    fn execute(self) -> anyhow::Result<()> {
        answer(&Key::create(&self.file).map_err(edgemaxx_run::RunError::from)?.name())
    }
}

#[derive(Debug, clap::Args)]
struct ServerArgs {
    /// Where the server listens.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "0.0.0.0:4222")]
    listen: String,
    /// Folder of the server's store.
    #[arg(long, value_name = "DIR", default_value = "/var/lib/nats")]
    store: PathBuf,
    /// The server's certificate, PEM.
    #[arg(long, value_name = "FILE")]
    certificate: PathBuf,
    /// The certificate's key, PEM.
    #[arg(long, value_name = "FILE")]
    certificate_key: PathBuf,
    /// Public key of the coordinator.
    #[arg(long, value_name = "KEY")]
    coordinator: String,
    /// Public key of a worker; once for each.
    #[arg(long = "worker", value_name = "KEY", required = true)]
    workers: Vec<String>,
}

impl ServerArgs {
    fn execute(self) -> anyhow::Result<()> {
        if let Some(key) = self.workers.iter().chain([&self.coordinator]).find(|key| !Key::is_name(key)) {
            return Err(Failure::input(format!(
                "{key}: expected a public key, as `edgemaxx fleet key` prints it"
            )));
        }
        let site = Site {
            listen: &self.listen,
            store: &self.store,
            certificate: &self.certificate,
            key: &self.certificate_key,
        };
        print_bytes(configuration(site, &self.coordinator, &self.workers).as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use edgemaxx_contract::digest::Digest;
    use edgemaxx_contract::environment::Environment;
    use edgemaxx_contract::format::Document as _;
    use edgemaxx_fleet::{Doing, Failed};

    use super::*;

    #[test]
    fn what_a_worker_says_of_itself_fills_no_line() {
        let environment = include_str!("../../../../reports/examples/emoji-cpu/environment.json");
        let mut environment = Environment::from_json(environment).unwrap();
        environment.card = None;
        environment.cpu = "c\n".repeat(9000);
        let failure = Some(Failed { here_only: true, lost: false, why: "w\n".repeat(9000) });
        let doing = Doing {
            plan: Digest::of("plan"),
            lane: 3,
            attempt: 2,
            sessions: 7,
            pairs: 9,
            pairs_per_minute: 1.25,
            spool_bytes: 2048,
            wants: Vec::new(),
            failure,
        };
        let host = Host {
            format: Host::expected_format(),
            name: "n\n".repeat(9000),
            environment,
            program: Digest::of("program"),
            free_bytes: 3 << 30,
            doing: Some(doing),
        };
        let idle = Host { name: "idle".to_owned(), doing: None, ..host.clone() };
        let workers = [worker("U1".to_owned(), host, 4), worker("U2".to_owned(), idle, 5)];
        let lines = rows(workers.into_iter());
        let bound = 2 * NAME_LETTERS + WHY_LETTERS + 100;
        assert!(lines.len() == 3 && lines.iter().all(|line| line.chars().count() < bound), "{lines:?}");
        assert!(lines.iter().all(|line| !line.contains('\n')), "{lines:?}");
        let cells = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        assert!(lines[1].contains("lane 3: w"), "{lines:?}");
        assert!(cells(&lines[1]).ends_with(&cells("7 1.2 2 KiB 3.0 GiB 4 s ago")), "{lines:?}");
        assert!(cells(&lines[2]).ends_with(&cells("nothing 3.0 GiB 5 s ago")), "{lines:?}");
    }
}
