//! Answers in parts: their order and times, and what a stream may not do.

mod common;

use std::time::Instant;

use common::{python, ready, unsandboxed, zoo};
use edgemaxx_contract::sample::{Failure, FailureKind};
use edgemaxx_engine::task::object;
use edgemaxx_engine::{Answer, AnswerLimits, Ask, Engine as _, ProcessEngine};
use serde_json::json;

const LIMITS: AnswerLimits = AnswerLimits { parts: 1000, parts_bytes: 1 << 16, answer_bytes: 16 };

/// Asks an engine that makes pictures in the words of a stream.
fn ask(engine: &mut ProcessEngine, id: u64, limits: AnswerLimits) -> Result<Answer, Failure> {
    let header = object([("prompt", "a red apple".into()), ("width", 8.into()), ("height", 8.into())]);
    engine.ask(&Ask { id, header, payload: &[1, 2, 3], limits })
}

fn launched(name: &str) -> ProcessEngine {
    ready(&zoo(unsandboxed(), name, &[])).expect("ready")
}

#[test]
fn parts_are_timed_each_and_the_first_is_the_first_that_carries_something() {
    if !python() {
        return;
    }
    let mut engine = launched("stream");
    for id in 1..3 {
        let since = Instant::now();
        let answer = ask(&mut engine, id, LIMITS).expect("a stream");
        let waited = since.elapsed().as_nanos() as u64;
        assert_eq!((answer.header, answer.payload), (object([("count", 3.into())]), b"end".to_vec()));
        let said: Vec<_> =
            answer.parts.iter().map(|part| (part.header["ids"].clone(), part.payload.clone())).collect();
        let mut expected = vec![(json!([]), Vec::new())];
        expected.extend((0u8..3).map(|number| (json!([number]), vec![number])));
        assert_eq!(said, expected);
        let times: Vec<u64> = answer.parts.iter().map(|part| part.at_ns).chain([answer.latency_ns]).collect();
        assert!(times.is_sorted(), "{times:?}");
        assert!(answer.latency_ns <= waited, "{times:?} {waited}");
        assert_eq!(answer.first_ns, Some(answer.parts[1].at_ns));
    }
    engine.close();
}

#[test]
fn what_a_stream_may_not_do_ends_it() {
    if !python() {
        return;
    }
    let few = AnswerLimits { parts: 4, ..LIMITS };
    let short = AnswerLimits { parts_bytes: 100, ..LIMITS };
    for (name, limits, kind, words) in [
        ("stream-endless", few, FailureKind::Protocol, "4 had come"),
        ("stream-endless", short, FailureKind::Protocol, "at most 100 are allowed"),
        ("stream-endless", AnswerLimits::default(), FailureKind::Protocol, "no parts are allowed"),
        ("stream-stale", LIMITS, FailureKind::Protocol, "request 8 where one to 1"),
        // parts do not extend the time
        ("stream-trickling", LIMITS, FailureKind::Timeout, "no answer to request 1"),
    ] {
        let mut engine = launched(name);
        let failure = ask(&mut engine, 1, limits).expect_err(name);
        assert_eq!(failure.kind, kind, "{name}: {failure:?}");
        assert!(failure.detail.contains(words), "{name}: {failure:?}");
        assert!(ask(&mut engine, 2, limits).is_err(), "{name} is not asked again");
    }
}

#[test]
fn a_stream_may_end_in_a_refusal_and_the_next_begins_anew() {
    if !python() {
        return;
    }
    let mut engine = launched("stream-refused");
    for id in 1..3 {
        let failure = ask(&mut engine, id, AnswerLimits { parts: 1, ..LIMITS }).expect_err("refused");
        assert_eq!(failure.kind, FailureKind::Refused, "{failure:?}");
        assert!(failure.detail.contains("no more words"), "{failure:?}");
    }
    engine.close();
}
