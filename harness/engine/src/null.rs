//! The null engine: answers at once, so that what is timed is the protocol.

use edgemaxx_contract::plan::Plan;
use edgemaxx_contract::sample::{Failure, FailureKind};
use edgemaxx_protocol::{Generate, Hello, Load, Object};

use crate::engine::{Ask, Engine};
use crate::process::{ProcessEngine, ProcessSpec};
use crate::serve::{Answerer, Parts, Reply, ServeError, serve as serve_task};
use crate::task::{Codec, Question};

/// A task that only the null engine knows: it sends the parts that it is asked for, and the payload back.
pub const ECHO: &str = "echo";

/// Requests made; the median of their latencies is the answer.
const REQUESTS: u64 = 21;

/// Serves the harness with nothing, in the words of the task that it asks for; `codec_of` knows tasks by their names.
///
/// # Errors
/// See [`crate::serve()`].
pub fn serve(codec_of: impl FnOnce(&str) -> Option<&'static dyn Codec>) -> Result<u64, ServeError> {
    let hello = Hello { engine: "null".to_owned(), version: env!("CARGO_PKG_VERSION").to_owned() };
    serve_task(&hello, |load: &Load| -> Result<(Object, Answerer), String> {
        if load.task == ECHO {
            return Ok((Object::new(), Box::new(echo)));
        }
        let codec = codec_of(&load.task).ok_or_else(|| format!("no task is called {:?}", load.task))?;
        let (ready, reply) = codec.nothing(&load.settings)?;
        // Memory for them is found beforehand.
        let mut replies = vec![reply.clone(); REQUESTS as usize];
        Ok((ready, Box::new(move |_, _| Ok(replies.pop().unwrap_or_else(|| reply.clone())))))
    })
}

/// `parts` times the object `part`, then the payload.
fn echo(request: &Generate, parts: &mut Parts<'_>) -> Result<Reply, String> {
    let count = request.ask.get("parts").and_then(serde_json::Value::as_u64).unwrap_or(0);
    let part = request.ask.get("part").and_then(serde_json::Value::as_object);
    for _ in 0..count {
        parts.send(Reply { header: part.cloned().unwrap_or_default(), payload: Vec::new() })?;
    }
    Ok(Reply { header: Object::new(), payload: request.payload.clone() })
}

/// Nanoseconds that the protocol adds to every latency of `plan`, measured now: the median over
/// 21 requests of the plan's size, to `process`, which is to be the null engine.
///
/// # Errors
/// The failure of the null engine.
pub fn overhead_ns(codec: &dyn Codec, plan: &Plan, process: &ProcessSpec) -> Result<u64, Failure> {
    let (mut engine, _, _) = ProcessEngine::launch(process)?;
    let settings = codec.settings(&plan.request, &plan.baseline().settings);
    let load = Load {
        checkpoint: "/".to_owned(),
        replaced: Default::default(),
        threads: plan.measurement.threads,
        task: codec.task().to_owned(),
        settings: settings.map_err(|detail| Failure { kind: FailureKind::Protocol, detail })?,
    };
    let mut latencies = answered_ns(&mut engine, &load, codec, plan, REQUESTS)?;
    latencies.sort_unstable();
    Ok(latencies.get(latencies.len() / 2).copied().unwrap_or_default())
}

/// Has a launched engine load, and answer the first `count` requests of `plan` as the baseline's: nanoseconds of each. Nothing
/// is recorded, and the engine is closed.
///
/// # Errors
/// The engine's failure.
pub fn answered_ns(
    engine: &mut dyn Engine,
    load: &Load,
    codec: &dyn Codec,
    plan: &Plan,
    count: u64,
) -> Result<Vec<u64>, Failure> {
    let (request, settings) = (&plan.request, &plan.baseline().settings);
    let wrong = |detail| Failure { kind: FailureKind::Protocol, detail };
    let ready = codec.ready(request, &engine.load(load)?.ready).map_err(wrong)?;
    let mut latencies = Vec::new();
    for (id, planned) in (1..=count).zip(plan.requests.iter().cycle()) {
        let payload = codec.payload(request, planned, &ready).map_err(wrong)?;
        let header = codec.header(Question { request, settings, planned }, &ready).map_err(wrong)?;
        let ask = Ask { id, header, payload: &payload, limits: codec.limits(request) };
        latencies.push(engine.ask(&ask)?.latency_ns);
    }
    engine.close();
    Ok(latencies)
}
