//! The conformance kit: puts an engine through the protocol and says in words what is wrong.

use std::fmt;
use std::time::{Duration, Instant};

use edgemaxx_contract::digest::Digest;
use edgemaxx_contract::sample::{Failure, FailureKind};
use edgemaxx_contract::task::{RequestSpec, Settings};
use edgemaxx_contract::text::line;
use edgemaxx_protocol::{Load, Object};
use serde::Serialize;

use crate::engine::{Ask, Engine as _};
use crate::process::{ProcessEngine, ProcessSpec};
use crate::task::{Codec, Probe, Purpose, Question};

/// How a check went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// As the protocol asks.
    Good,
    /// Allowed, but likely a mistake, or likely to fail an audit.
    Doubtful,
    /// Not allowed: a contest would record a failure.
    Bad,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Good => "good",
            Self::Doubtful => "doubtful",
            Self::Bad => "bad",
        })
    }
}

/// One thing that was checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What was checked.
    pub what: &'static str,
    /// How it went.
    pub verdict: Verdict,
    /// What was seen, in words.
    pub detail: String,
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:8} {}: {}", self.verdict.to_string(), self.what, line(&self.detail))
    }
}

/// A repeated request that takes less than this fraction of a fresh one was answered from memory.
const CACHED: f64 = 0.5;
/// One that takes more than so many times a fresh one shows that no time of this engine means much.
const UNSTEADY: f64 = 3.0;
/// Differences below this may be a busy machine's, nanoseconds.
const UNSTEADY_NS: u64 = 250_000_000;

/// How long an engine is watched while nothing is asked of it.
const WATCHED_IDLE: Duration = Duration::from_millis(500);
/// More than this part of one core in that time is work left running.
const BUSY: f64 = 0.1;

/// What is put through the protocol.
pub struct Examination<'a> {
    /// How the engine is started.
    pub spec: &'a ProcessSpec,
    /// What it is to load.
    pub load: &'a Load,
    /// How to speak with it of its task.
    pub codec: &'a dyn Codec,
    /// What all requests share.
    pub request: &'a RequestSpec,
    /// The pipeline's settings.
    pub settings: &'a Settings,
    /// What the checkpoint itself says its `ready` must be, where that is known.
    pub own_ready: Option<&'a Object>,
}

/// Launches the engine, loads, asks what its task's codec has to ask, says goodbye. Stops at the
/// first thing that makes further checks pointless.
pub fn check(exam: &Examination<'_>) -> Vec<Check> {
    let mut checks = Vec::new();
    if let Err(check) = run(exam, &mut checks) {
        checks.push(check);
    }
    checks
}

fn good(what: &'static str, detail: String) -> Check {
    Check { what, verdict: Verdict::Good, detail }
}

fn bad(what: &'static str, detail: String) -> Check {
    Check { what, verdict: Verdict::Bad, detail }
}

fn failed(what: &'static str) -> impl Fn(Failure) -> Check {
    move |failure| bad(what, format!("{}: {}", failure.kind, failure.detail))
}

fn run(exam: &Examination<'_>, checks: &mut Vec<Check>) -> Result<(), Check> {
    let (mut engine, info, launch_ns) = ProcessEngine::launch(exam.spec).map_err(failed("hello"))?;
    checks.push(good("hello", format!("{} {} after {}", info.name, info.version, ms(launch_ns))));
    let loaded = engine.load(exam.load).map_err(failed("load"))?;
    let ready = exam.codec.ready(exam.request, &loaded.ready).map_err(|problem| bad("ready", problem))?;
    if let Some(own) = exam.own_ready.filter(|own| **own != ready) {
        let detail = format!("it says {}, its checkpoint {}", words(&ready), words(own));
        return Err(bad("ready", detail));
    }
    checks.push(good("load", format!("ready {} after {}", words(&ready), ms(loaded.load_ns))));

    let mut asker = Asker { engine, exam, ready, next: 1 };
    let (mut fresh, mut again) = (Answered::default(), None);
    let probes = exam.codec.probes(exam.request).map_err(|problem| bad("probes", problem))?;
    for probe in probes {
        let answered = asker.ask(&probe).map_err(failed(probe.what))?;
        // Judged with the next request's time, so that warming up looks like no cache.
        if let Some((what, again)) = again.take() {
            checks.push(repeated(what, &fresh, &again, fresh.latency_ns.min(answered.latency_ns)));
        }
        match probe.purpose {
            Purpose::Warm => {}
            Purpose::Fresh => {
                let detail = format!("{} bytes after {}", answered.bytes, ms(answered.latency_ns));
                checks.push(good(probe.what, detail));
                fresh = answered;
            }
            Purpose::Repeat => again = Some((probe.what, answered)),
            Purpose::Other => checks.push(differs(probe.what, &fresh, &answered)),
            Purpose::Edge => checks.push(good(probe.what, "answered".to_owned())),
        }
    }
    if let Some((what, again)) = again {
        checks.push(repeated(what, &fresh, &again, fresh.latency_ns));
    }
    checks.extend(idle(&asker.engine));
    let closed = asker.engine.close();
    checks.push(match (closed.forced, closed.clean_exit) {
        (false, true) => good("bye", "exited with status 0".to_owned()),
        (false, false) => Check {
            what: "bye",
            verdict: Verdict::Doubtful,
            detail: format!("did not exit with status 0 within {} s", exam.spec.timeouts.exit_s),
        },
        (true, _) => bad("bye", "ignored bye and SIGTERM; it had to be killed".to_owned()),
    });
    Ok(())
}

/// Nothing is asked for half a second; `None` where processor time is not known.
fn idle(engine: &ProcessEngine) -> Option<Check> {
    let (before, begin) = (engine.cpu_ns()?, Instant::now());
    std::thread::sleep(WATCHED_IDLE);
    let share = engine.cpu_ns()?.saturating_sub(before) as f64 / begin.elapsed().as_nanos() as f64;
    let detail = format!("busy {:.0}% of one core while nothing was asked", 100.0 * share);
    Some(if share > BUSY {
        let advice = "after its answer an engine must rest: the other side is measured then";
        Check { what: "idle", verdict: Verdict::Doubtful, detail: format!("{detail}; {advice}") }
    } else {
        good("idle", detail)
    })
}

fn ms(ns: u64) -> String {
    format!("{:.1} ms", ns as f64 / 1e6)
}

/// An object as JSON.
fn words(object: &Object) -> String {
    serde_json::Value::Object(object.clone()).to_string()
}

/// `fresh_ns` is the quicker of the requests before and after.
fn repeated(what: &'static str, fresh: &Answered, again: &Answered, fresh_ns: u64) -> Check {
    let ratio = again.latency_ns as f64 / fresh_ns.max(1) as f64;
    let (verdict, detail) = if ratio < CACHED && fresh_ns > 5_000_000 {
        (Verdict::Doubtful, format!("took {ratio:.2} of the time of a fresh one: answers must not be cached"))
    } else if fresh.digest != again.digest {
        let detail = "gave another answer: fix every seed, so that results can be reproduced";
        (Verdict::Doubtful, detail.to_owned())
    } else if ratio > UNSTEADY && again.latency_ns.saturating_sub(fresh_ns) > UNSTEADY_NS {
        let advice = "threads that wait actively, or a busy machine? Nothing small can be told apart so";
        (Verdict::Doubtful, format!("the same answer, in {ratio:.1} times the time: {advice}"))
    } else {
        (Verdict::Good, format!("the same answer, in {ratio:.2} of the time"))
    };
    Check { what, verdict, detail }
}

fn differs(what: &'static str, one: &Answered, other: &Answered) -> Check {
    if one.digest == other.digest {
        return Check { what, verdict: Verdict::Doubtful, detail: "gave the same answer".to_owned() };
    }
    good(what, "another answer".to_owned())
}

/// What is compared of an answer.
#[derive(Default)]
struct Answered {
    latency_ns: u64,
    bytes: usize,
    /// Of its artefact.
    digest: Option<Digest>,
}

struct Asker<'a> {
    engine: ProcessEngine,
    exam: &'a Examination<'a>,
    ready: Object,
    next: u64,
}

impl Asker<'_> {
    fn ask(&mut self, probe: &Probe) -> Result<Answered, Failure> {
        let (codec, request, planned) = (self.exam.codec, &probe.request, &probe.planned);
        let question = Question { request, settings: self.exam.settings, planned };
        let unasked = |detail| Failure { kind: FailureKind::Protocol, detail };
        let payload = codec.payload(request, planned, &self.ready).map_err(unasked)?;
        let header = codec.header(question, &self.ready).map_err(unasked)?;
        let id = self.next;
        self.next += 1;
        let ask = Ask { id, header, payload: &payload, limits: codec.limits(request) };
        let answer = self.engine.ask(&ask)?;
        let artefact = codec.artefact(question, &answer).map_err(|problem| Failure {
            kind: FailureKind::Answer,
            detail: self.engine.with_last_words(problem),
        })?;
        let bytes = answer.payload.len() + answer.parts.iter().map(|part| part.payload.len()).sum::<usize>();
        Ok(Answered { latency_ns: answer.latency_ns, bytes, digest: Some(artefact.digest) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeat_is_neither_remembered_nor_far_slower() {
        let answered = |latency_ms: u64, content: &str| Answered {
            latency_ns: latency_ms * 1_000_000,
            bytes: 1,
            digest: Some(Digest::of(content)),
        };
        let fresh = answered(1000, "a");
        let judged = |again: &Answered| repeated("repeat", &fresh, again, fresh.latency_ns);
        assert_eq!(judged(&answered(900, "a")).verdict, Verdict::Good);
        for (again, words) in [
            (answered(100, "a"), "must not be cached"),
            (answered(1000, "b"), "gave another answer"),
            (answered(47_780, "a"), "in 47.8 times the time"),
        ] {
            let check = judged(&again);
            assert!(check.verdict == Verdict::Doubtful && check.detail.contains(words), "{check}");
        }
    }
}
