//! The conformance kit: puts an engine through the protocol and says in words what is wrong.

mod repeat;

use std::fmt;
use std::time::{Duration, Instant};

use edgemaxx_contract::digest::Digest;
use edgemaxx_contract::sample::{Failure, FailureKind};
use edgemaxx_contract::shown_text::line;
use edgemaxx_contract::task::{RequestSpec, Settings};
use edgemaxx_protocol::{Load, Object};
use serde::Serialize;

use crate::engine::{Ask, Engine as _};
use crate::process::{ProcessEngine, ProcessSpec};
use crate::task::{Artefact, Codec, Probe, Purpose, Question, Scoring};

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

/// Less than this share of its own answer first in its own scores is another model's, or another position's.
const OWN_CHOICES: f64 = 0.9;
/// How long an engine is watched while nothing is asked of it.
const WATCHED_IDLE: Duration = Duration::from_millis(500);
/// More than this part of one core in that time is work left running.
const BUSY: f64 = 0.1;
/// So many times, each after an answer of its own, before it is called a habit.
const WATCHED: u64 = 3;

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
    checks.push(good("load", format!("ready {} after {}", words(&ready), ms(loaded.load_ns))));
    if let Some(own) = exam.own_ready.filter(|own| **own != ready) {
        let advice = "beside a baseline that says what its checkpoint does, every session would fail";
        let detail = format!("it says {}, its checkpoint {}; {advice}", words(&ready), words(own));
        checks.push(Check { what: "ready", verdict: Verdict::Doubtful, detail });
    }

    let mut asker = Asker { engine, exam, ready, next: 1 };
    let mut fresh = None;
    let probes = exam.codec.probes(exam.request).map_err(|problem| bad("probes", problem))?;
    for probe in probes {
        let answered = asker.ask(&probe).map_err(failed(probe.what))?;
        match (probe.purpose, &fresh) {
            (Purpose::Warm, _) => {}
            (Purpose::Fresh, _) => {
                let detail = format!("{} bytes after {}", answered.bytes, ms(answered.latency_ns));
                checks.push(good(probe.what, detail));
                fresh = Some((probe, answered));
            }
            (Purpose::Repeat, Some((first, fresh))) => {
                let found = repeat::look(&mut asker, first, fresh, &answered);
                let (verdict, detail) = found.map_err(failed(probe.what))?;
                checks.push(Check { what: probe.what, verdict, detail });
            }
            (Purpose::Other, Some((_, fresh))) => checks.push(differs(probe.what, fresh, &answered)),
            (Purpose::Edge, _) => checks.push(good(probe.what, "answered".to_owned())),
            // Nothing to compare with.
            (Purpose::Repeat | Purpose::Other, None) => {}
        }
    }
    if let Some((probe, answered)) = fresh {
        if let Some(scoring) = exam.codec.scoring().filter(|scoring| scoring.is_offered(&loaded.ready)) {
            checks.push(asker.scores(scoring, &probe, &answered.kept).map_err(failed("scores"))?);
        }
        checks.extend(idle(&mut asker, &probe)?);
    }
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

/// Nothing is asked for half a second; where it works on, the same after another answer, so that what happened once is
/// no habit. `None` where processor time is not known.
fn idle(asker: &mut Asker<'_>, probe: &Probe) -> Result<Option<Check>, Check> {
    let mut share = 0.0;
    for n in 1..=WATCHED {
        let Some(busy) = watch(&asker.engine) else { return Ok(None) };
        share = busy;
        if share <= BUSY {
            return Ok(Some(good("idle", busy_words(share))));
        }
        if n < WATCHED {
            asker.ask(&asker.exam.codec.another(probe, n)).map_err(failed("idle"))?;
        }
    }
    let advice = "after its answer an engine must rest: the other side is measured then";
    let detail = format!("{}, after each of {WATCHED} answers; {advice}", busy_words(share));
    Ok(Some(Check { what: "idle", verdict: Verdict::Doubtful, detail }))
}

/// The part of one core that an engine takes of which nothing is asked.
fn watch(engine: &ProcessEngine) -> Option<f64> {
    let (before, begin) = (engine.cpu_ns()?, Instant::now());
    std::thread::sleep(WATCHED_IDLE);
    Some(engine.cpu_ns()?.saturating_sub(before) as f64 / begin.elapsed().as_nanos() as f64)
}

fn busy_words(share: f64) -> String {
    format!("busy {:.0}% of one core while nothing was asked", 100.0 * share)
}

fn ms(ns: u64) -> String {
    format!("{:.1} ms", ns as f64 / 1e6)
}

/// An object as JSON.
fn words(object: &Object) -> String {
    serde_json::Value::Object(object.clone()).to_string()
}

fn differs(what: &'static str, one: &Answered, other: &Answered) -> Check {
    if one.digest == other.digest {
        return Check { what, verdict: Verdict::Doubtful, detail: "gave the same answer".to_owned() };
    }
    good(what, "another answer".to_owned())
}

/// What is compared of an answer.
struct Answered {
    latency_ns: u64,
    /// Processor time that the engine took meanwhile, where it is known.
    busy_ns: Option<u64>,
    bytes: usize,
    /// Of its artefact.
    digest: Digest,
    /// Its artefact.
    kept: Vec<u8>,
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
        let before = self.engine.cpu_ns();
        let answer = self.engine.ask(&ask)?;
        let busy_ns = self.engine.cpu_ns().zip(before).map(|(now, before)| now.saturating_sub(before));
        let artefact = codec.artefact(question, &answer).map_err(|problem| Failure {
            kind: FailureKind::Answer,
            detail: self.engine.with_last_words(problem),
        })?;
        let bytes = answer.payload.len() + answer.parts.iter().map(|part| part.payload.len()).sum::<usize>();
        let Artefact { digest, bytes: kept, .. } = artefact;
        Ok(Answered { latency_ns: answer.latency_ns, busy_ns, bytes, digest, kept })
    }

    /// What the engine says of an answer of its own.
    fn scores(&mut self, scoring: &dyn Scoring, probe: &Probe, kept: &[u8]) -> Result<Check, Failure> {
        let what = "scores";
        let unasked = |detail| Failure { kind: FailureKind::Protocol, detail };
        let (header, limits) = scoring.question(&probe.planned, kept).map_err(unasked)?;
        let id = self.next;
        self.next += 1;
        let said = self.engine.ask(&Ask { id, header, payload: &[], limits })?;
        let scores = match scoring.scores(&probe.planned, kept, &said) {
            Ok(scores) => scores,
            Err(problem) => return Ok(bad(what, problem)),
        };
        let positions = scores.units;
        let Some(share) = scoring.own_choices(&probe.planned, kept, &scores.bytes) else {
            return Ok(good(what, format!("of {positions} positions")));
        };
        let put_first =
            format!("of {positions} positions; {:.0}% of its answer come first in them", 100.0 * share);
        if share >= OWN_CHOICES {
            return Ok(good(what, put_first));
        }
        let advice = "a position is scored for what stands there, given all that stands before it";
        Ok(Check { what, verdict: Verdict::Doubtful, detail: format!("{put_first}; {advice}") })
    }
}
