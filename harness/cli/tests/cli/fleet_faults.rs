//! A fleet whose processes end, sleep, or lose each other at any moment: nothing is lost, nothing counts twice, and the verdict
//! is the same.

use std::collections::BTreeSet;
use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::common::{candidate, soon};
use crate::fleet_yard::{
    PATIENCE, Process, Yard, assert_whole, planted, seal_and_verify, skipped, undisturbed,
};

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
