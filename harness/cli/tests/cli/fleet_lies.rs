//! Workers of a fleet that say what is not so, and messages that come twice, in another order, or late: none of it counts.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use edgemaxx_contract::digest::Digest;
use edgemaxx_contract::environment::Environment;
use edgemaxx_contract::fleet::Kept;
use edgemaxx_contract::format::Document as _;
use edgemaxx_contract::sample::Record;
use edgemaxx_fleet::{
    Answer, Bundle, Content, Doing, Failed, Host, Key, Lease, Place, Queue, Side, Signed, Work,
};

use crate::common::{candidate, soon};
use crate::fleet_yard::{PATIENCE, Yard, assert_whole, planted, seal_and_verify, undisturbed};

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
fn one_worker_that_says_that_a_lane_can_be_measured_nowhere_ends_no_run() {
    let Some(yard) = Yard::new(2, &candidate("fast", &["--latency-us", "1000"])) else { return };
    let alone = undisturbed(&yard);
    let _server = yard.serve();
    let mut coordinator = yard.coordinator(2);
    let mut liar = Scripted::new(&yard, 0, &alone);
    // Another is there, which does as it is told.
    let mut honest = Scripted::new(&yard, 1, &alone);
    let work = liar.until("it is given a lane", |_| true);
    let own = honest.until("the other one is given a lane", |own| own.lane != work.lane);
    let why = "the checkpoint is nowhere to be had".to_owned();
    let failed = Failed { here_only: false, lost: false, why };
    liar.host.doing.as_mut().unwrap().failure = Some(failed.clone());
    soon(PATIENCE, "the lane waits for another word", || {
        for worker in [&liar, &honest] {
            worker.queue.say(&worker.host).unwrap();
        }
        let said = yard.said("coordinator.log");
        assert!(coordinator.0.try_wait().unwrap().is_none(), "{said}");
        said.contains("its worker says that none can measure it").then_some(())
    });
    let text = |lane: u32| fs::read_to_string(alone.join(format!("lanes/{lane}/samples.jsonl"))).unwrap();
    honest.queue.send(&honest.bundle(&own, &alone, None, &text(own.lane), true)).unwrap();
    let lane = work.lane;
    let anew = honest.until("it is given the lane of the liar, too", |work| work.lane == lane);
    assert!(anew.attempt > work.attempt);
    // Nobody hands the liar anything of this run any more.
    liar.host.doing = None;
    liar.queue.say(&liar.host).unwrap();
    honest.queue.send(&honest.bundle(&anew, &alone, None, &text(lane), true)).unwrap();
    yard.finish(&mut coordinator);
    let fleet = yard.fleet();
    assert!(fleet.lanes.iter().all(|lane| lane.worker == Some(honest.name())), "{fleet:?}");
    assert_whole(&yard.path("out"), &yard.plan("out"));

    // Two of them are believed.
    fs::remove_dir_all(yard.path("out")).unwrap();
    let mut coordinator = yard.coordinator(2);
    let [mut one, mut other] = [0, 1].map(|number| Scripted::new(&yard, number, &alone));
    let first = one.until("one is given a lane", |_| true);
    other.until("another is given a lane", |work| work.lane != first.lane);
    for worker in [&mut one, &mut other] {
        worker.host.doing.as_mut().unwrap().failure = Some(failed.clone());
        worker.queue.say(&worker.host).unwrap();
    }
    let status = soon(PATIENCE, "the run ends", || coordinator.0.try_wait().unwrap());
    let said = yard.said("coordinator.log");
    assert!(!status.success() && said.contains("nowhere to be had; and another worker: lane"), "{said}");
}
