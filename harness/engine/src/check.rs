//! The conformance kit: puts an engine through the protocol and says in words what is wrong.

use std::fmt;
use std::time::{Duration, Instant};

use edgemaxx_contract::latents::torch_randn;
use edgemaxx_contract::sample::Failure;
use edgemaxx_contract::text::line;
use edgemaxx_protocol::{LatentShape, Load, Ready};
use serde::Serialize;

use crate::engine::{Answer, Engine as _, Request};
use crate::process::{ProcessEngine, ProcessSpec};

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

/// How long an engine is watched while nothing is asked of it.
const WATCHED_IDLE: Duration = Duration::from_millis(500);
/// More than this part of one core in that time is work left running.
const BUSY: f64 = 0.1;

/// Launches the engine, loads, asks for pictures, says goodbye. Stops at the first thing that
/// makes further checks pointless.
pub fn check(spec: &ProcessSpec, load: &Load) -> Vec<Check> {
    let mut checks = Vec::new();
    if let Err(check) = run(spec, load, &mut checks) {
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

fn run(spec: &ProcessSpec, load: &Load, checks: &mut Vec<Check>) -> Result<(), Check> {
    let (mut engine, info, launch_ns) = ProcessEngine::launch(spec).map_err(failed("hello"))?;
    checks.push(good("hello", format!("{} {} after {}", info.name, info.version, ms(launch_ns))));
    let loaded = engine.load(load).map_err(failed("load"))?;
    let ready = loaded.ready;
    let shape = LatentShape::of(ready, load.settings.width, load.settings.height).ok_or_else(|| {
        let size = format!("{}×{}", load.settings.width, load.settings.height);
        bad("ready", format!("a VAE factor of {} does not divide {size}", ready.vae_scale_factor))
    })?;
    checks.push(good(
        "load",
        format!("latents {:?}, factor {}, after {}", shape.0, ready.vae_scale_factor, ms(loaded.load_ns)),
    ));

    let mut asker = Asker { engine, load, ready, next: 1 };
    asker.ask("a red apple", "", 1).map_err(failed("first picture"))?;
    let first = asker.ask("a red apple", "blurry", 2).map_err(failed("picture"))?;
    checks.push(good("picture", format!("{} bytes after {}", first.rgb.len(), ms(first.latency_ns))));
    let again = asker.ask("a red apple", "blurry", 2).map_err(failed("repeated request"))?;
    let other_seed = asker.ask("a red apple", "blurry", 3).map_err(failed("other latents"))?;
    checks.push(repeated(&first, &again, first.latency_ns.min(other_seed.latency_ns)));
    checks.push(differs("other latents", &first, &other_seed));
    let other_prompt = asker.ask("a blue house by the sea", "blurry", 2).map_err(failed("other prompt"))?;
    checks.push(differs("other prompt", &first, &other_prompt));
    for (what, prompt) in [
        ("empty prompt", String::new()),
        ("prompt of 2000 bytes", "wide ".repeat(400)),
        ("prompt beyond ASCII", "ein rotes Haus — 赤い家 🏠".to_owned()),
    ] {
        asker.ask(&prompt, "", 4).map_err(failed(what))?;
        checks.push(good(what, "answered".to_owned()));
    }
    checks.extend(idle(&asker.engine));
    let closed = asker.engine.close();
    checks.push(match (closed.forced, closed.clean_exit) {
        (false, true) => good("bye", "exited with status 0".to_owned()),
        (false, false) => Check {
            what: "bye",
            verdict: Verdict::Doubtful,
            detail: format!("did not exit with status 0 within {} s", spec.timeouts.exit_s),
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

/// `fresh_ns` is the quicker of the requests before and after, so that warming up looks like no cache.
fn repeated(fresh: &Answer, again: &Answer, fresh_ns: u64) -> Check {
    let ratio = again.latency_ns as f64 / fresh_ns.max(1) as f64;
    let (verdict, detail) = if ratio < CACHED && fresh_ns > 5_000_000 {
        (Verdict::Doubtful, format!("took {ratio:.2} of the time of a fresh one: answers must not be cached"))
    } else if fresh.rgb != again.rgb {
        (
            Verdict::Doubtful,
            "gave another picture: fix every seed, so that results can be reproduced".to_owned(),
        )
    } else {
        (Verdict::Good, format!("the same picture, in {ratio:.2} of the time"))
    };
    Check { what: "repeated request", verdict, detail }
}

fn differs(what: &'static str, one: &Answer, other: &Answer) -> Check {
    if one.rgb == other.rgb {
        return Check { what, verdict: Verdict::Doubtful, detail: "gave the same picture".to_owned() };
    }
    good(what, "another picture".to_owned())
}

struct Asker<'a> {
    engine: ProcessEngine,
    load: &'a Load,
    ready: Ready,
    next: u64,
}

impl Asker<'_> {
    fn ask(&mut self, prompt: &str, negative_prompt: &str, seed: u64) -> Result<Answer, Failure> {
        let settings = &self.load.settings;
        let factor = self.ready.vae_scale_factor.max(1);
        let latent_shape = [self.ready.latent_channels, settings.height / factor, settings.width / factor];
        let latents = torch_randn(seed, latent_shape.iter().map(|side| *side as usize).product());
        let id = self.next;
        self.next += 1;
        self.engine.generate(&Request {
            id,
            prompt,
            negative_prompt,
            seed,
            steps: settings.steps,
            guidance_scale: settings.guidance_scale,
            width: settings.width,
            height: settings.height,
            latent_shape,
            latents: &latents,
        })
    }
}
