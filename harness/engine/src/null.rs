//! The null engine: answers at once, so that what is timed is the protocol.

use edgemaxx_contract::plan::Plan;
use edgemaxx_contract::sample::{Failure, FailureKind};
use edgemaxx_protocol::{Generate, Hello, Load};

use crate::engine::{Ask, Engine as _};
use crate::process::{ProcessEngine, ProcessSpec};
use crate::serve::{Parts, ServeError, serve as serve_task};
use crate::task::{Codec, Question, by_name};

/// Requests made; the median of their latencies is the answer.
const REQUESTS: u64 = 21;

/// Serves the harness with nothing, in the words of the task that it asks for.
///
/// # Errors
/// See [`crate::serve()`].
pub fn serve() -> Result<u64, ServeError> {
    let hello = Hello { engine: "null".to_owned(), version: env!("CARGO_PKG_VERSION").to_owned() };
    serve_task(&hello, |load: &Load| {
        let codec = by_name(&load.task).ok_or_else(|| format!("no task is called {:?}", load.task))?;
        let (ready, reply) = codec.nothing(&load.settings)?;
        // Memory for them is found beforehand.
        let mut replies = vec![reply.clone(); REQUESTS as usize];
        Ok((ready, move |_: &Generate, _: &mut Parts<'_>| Ok(replies.pop().unwrap_or_else(|| reply.clone()))))
    })
}

/// Nanoseconds that the protocol adds to every latency of `plan`, measured now: the median over
/// 21 requests of the plan's size, to `process`, which is to be the null engine.
///
/// # Errors
/// The failure of the null engine.
pub fn overhead_ns(codec: &dyn Codec, plan: &Plan, process: &ProcessSpec) -> Result<u64, Failure> {
    let (mut engine, _, _) = ProcessEngine::launch(process)?;
    let (request, settings) = (&plan.request, &plan.baseline().generation);
    let load = Load {
        checkpoint: "/".to_owned(),
        replaced: Default::default(),
        threads: plan.measurement.threads,
        task: codec.task().to_owned(),
        settings: codec.settings(request, settings),
    };
    let wrong = |detail| Failure { kind: FailureKind::Protocol, detail };
    let ready = codec.ready(request, &engine.load(&load)?.ready).map_err(wrong)?;
    let mut latencies = Vec::new();
    for (id, planned) in (1..=REQUESTS).zip(plan.requests.iter().cycle()) {
        let payload = codec.payload(request, planned, &ready).map_err(wrong)?;
        let header = codec.header(Question { request, settings, planned }, &ready).map_err(wrong)?;
        let ask = Ask { id, header, payload: &payload, limits: codec.limits(request) };
        latencies.push(engine.ask(&ask)?.latency_ns);
    }
    engine.close();
    latencies.sort_unstable();
    Ok(latencies.get(latencies.len() / 2).copied().unwrap_or_default())
}
