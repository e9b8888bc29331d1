//! What an answer and a part cost the harness itself: measured with the null engine, which echoes.

use edgemaxx_contract::sample::Failure;
use edgemaxx_protocol::{AnswerLimits, Load, Object};
use serde::Serialize;
use serde_json::json;

use crate::clock::thread_cpu_ns;
use crate::engine::{Ask, Engine as _};
use crate::null::ECHO;
use crate::process::{ProcessEngine, ProcessSpec};
use crate::task::object;

/// Requests before anything is counted.
const WARMUP: u64 = 50;
/// Bytes asked and answered in one request.
const PAYLOAD: usize = 64;

/// Times of one kind.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Times {
    /// How many there are.
    pub count: usize,
    /// Half of them are at most this, nanoseconds.
    pub p50_ns: u64,
    /// 99 of 100 are at most this, nanoseconds.
    pub p99_ns: u64,
}

impl Times {
    /// Quantiles by rank: the smallest time that is no less than so many of them.
    fn of(mut times: Vec<u64>) -> Self {
        times.sort_unstable();
        let at = |percent: usize| {
            let rank = (times.len() * percent).div_ceil(100);
            times.get(rank.saturating_sub(1)).copied().unwrap_or_default()
        };
        Self { count: times.len(), p50_ns: at(50), p99_ns: at(99) }
    }
}

/// What it costs.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Cost {
    /// Latencies of requests that are answered at once with 64 bytes.
    pub answer: Times,
    /// Times between parts that are sent as fast as the engine can: what is closer than this
    /// cannot be told apart.
    pub part: Times,
    /// Processor time that the harness spends on a part, nanoseconds, on average.
    pub part_cpu_ns: u64,
}

/// Measures it now: `answers` requests without parts, then `streams` of `parts` parts each, to
/// `process`, which is to be the null engine.
///
/// # Errors
/// The failure of the null engine.
pub fn cost(process: &ProcessSpec, answers: u64, streams: u64, parts: u32) -> Result<Cost, Failure> {
    let (mut engine, _, _) = ProcessEngine::launch(process)?;
    engine.load(&Load {
        checkpoint: "/".to_owned(),
        replaced: Default::default(),
        threads: 1,
        task: ECHO.to_owned(),
        settings: Object::new(),
    })?;
    let payload = [7; PAYLOAD];
    let limits = AnswerLimits { parts, parts_bytes: 1 << 30, answer_bytes: PAYLOAD };
    // As many numbers as a part of a text has.
    let part = json!({ "ids": [1542] });
    let mut id = 0;
    let mut ask = |parts: u32| {
        id += 1;
        let header = object([("parts", parts.into()), ("part", part.clone())]);
        engine.ask(&Ask { id, header, payload: &payload, limits })
    };
    for _ in 0..WARMUP {
        ask(0)?;
    }
    let latencies: Result<Vec<u64>, Failure> = (0..answers).map(|_| Ok(ask(0)?.latency_ns)).collect();
    let answer = Times::of(latencies?);
    ask(parts)?;
    let (mut gaps, mut cpu_ns, mut received) = (Vec::new(), 0, 0);
    for _ in 0..streams {
        let before = thread_cpu_ns();
        let answer = ask(parts)?;
        cpu_ns += thread_cpu_ns().saturating_sub(before);
        received += answer.parts.len() as u64;
        gaps.extend(answer.parts.windows(2).map(|pair| pair[1].at_ns.saturating_sub(pair[0].at_ns)));
    }
    engine.close();
    Ok(Cost { answer, part: Times::of(gaps), part_cpu_ns: cpu_ns / received.max(1) })
}

#[cfg(test)]
mod tests {
    use super::Times;

    #[test]
    fn quantiles_are_times_that_occurred() {
        assert_eq!(Times::of((1..=200).rev().collect()), Times { count: 200, p50_ns: 100, p99_ns: 198 });
        assert_eq!(Times::of(vec![5]), Times { count: 1, p50_ns: 5, p99_ns: 5 });
        assert_eq!(Times::of(Vec::new()), Times { count: 0, p50_ns: 0, p99_ns: 0 });
    }
}
