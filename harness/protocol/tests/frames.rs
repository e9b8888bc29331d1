//! Round trips, bounds, and bytes from strangers.

use edgemaxx_protocol::{
    Answer, AnswerLimits, Bye, Decoder, Generate, Heartbeat, Hello, Kind, Limits, Load, MAX_DEPTH, Message,
    Object, PREFIX_BYTES, Part, ProtocolError, Ready, Refusal, Sender, VERSION, encode, encode_head,
    preamble,
};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use serde_json::Value;

const LIMITS: AnswerLimits = AnswerLimits { parts: 9, parts_bytes: 4000, answer_bytes: 2000 };
/// What two of the longest headers take: one is kept while its payload is read.
const HEADERS: usize = 512 << 10;

fn limits(from: Sender) -> Limits {
    match from {
        Sender::Engine => Limits::harness(LIMITS),
        Sender::Harness => Limits { ask_bytes: 1 << 16, ..Limits::engine() },
    }
}

fn decoder(from: Sender) -> Decoder {
    let mut decoder = Decoder::new(limits(from));
    assert_eq!(decoder.push(&mut &preamble()[..]), Ok(None));
    decoder
}

fn frame(kind: u8, header: &[u8], payload: &[u8]) -> Vec<u8> {
    let length = (PREFIX_BYTES - 4 + header.len() + payload.len()) as u32;
    let mut frame = length.to_le_bytes().to_vec();
    frame.push(kind);
    frame.extend((header.len() as u32).to_le_bytes());
    frame.extend(header);
    frame.extend(payload);
    frame
}

fn text(max: usize) -> impl Strategy<Value = String> {
    vec(any::<char>(), 0..max).prop_map(String::from_iter)
}

fn name() -> impl Strategy<Value = String> {
    "[a-zA-Z0-9 ._é-]{1,100}"
}

/// What a task may say: any JSON, nested within bounds.
fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-1e300f64..1e300).prop_map(Value::from),
        text(12).prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 5, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..5).prop_map(Value::from),
            btree_map(text(6), inner, 0..4).prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

fn object() -> impl Strategy<Value = Object> {
    btree_map(text(8), value(), 0..4).prop_map(|fields| fields.into_iter().collect())
}

fn bytes(max: usize) -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), 0..max)
}

fn message() -> impl Strategy<Value = Message> {
    prop_oneof![
        (name(), name()).prop_map(|(engine, version)| Message::Hello(Hello { engine, version })),
        (text(200), btree_map(name(), text(40), 0..3), 1u32..64, name(), object()).prop_map(
            |(checkpoint, replaced, threads, task, settings)| {
                Message::Load(Load { checkpoint, replaced, threads, task, settings })
            }
        ),
        Just(Message::Heartbeat(Heartbeat {})),
        object().prop_map(|ready| Message::Ready(Ready { ready })),
        (any::<u64>(), object(), bytes(600)).prop_map(|(id, ask, payload)| Message::Generate(Generate {
            id,
            ask,
            payload
        })),
        (any::<u64>(), object(), bytes(300)).prop_map(|(id, part, payload)| Message::Part(Part {
            id,
            part,
            payload
        })),
        (any::<u64>(), any::<Option<u64>>(), object(), bytes(2000)).prop_map(
            |(id, engine_ns, answer, payload)| Message::Answer(Answer { id, engine_ns, answer, payload })
        ),
        (any::<Option<u64>>(), text(500)).prop_map(|(id, message)| Message::Error(Refusal { id, message })),
        Just(Message::Bye(Bye {})),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Whatever the pieces in which bytes arrive, the messages are those that were sent.
    #[test]
    fn round_trip_in_any_pieces(messages in vec(message(), 1..5), piece in 1usize..200) {
        for from in [Sender::Engine, Sender::Harness] {
            let sent: Vec<&Message> = messages.iter().filter(|m| m.kind().sender() == from).collect();
            let bytes: Vec<u8> = sent.iter().flat_map(|m| encode(m).expect("allowed")).collect();
            let mut decoder = decoder(from);
            let mut got = Vec::new();
            for mut piece in bytes.chunks(piece) {
                while let Some(message) = decoder.push(&mut piece).expect("valid") {
                    got.push(message);
                }
            }
            prop_assert_eq!(got.iter().collect::<Vec<_>>(), sent);
            prop_assert!(!decoder.is_inside_frame());
        }
    }

    /// No bytes make the decoder panic or allocate beyond its bounds; an error is final.
    #[test]
    fn any_bytes_are_survived_within_bounds(
        kind in 0u8..12,
        length in prop_oneof![any::<u32>(), 0u32..2000],
        header in prop_oneof![any::<u32>(), 0u32..200],
        rest in vec(any::<u8>(), 0..600),
        with_preamble in any::<bool>(),
        from_engine in any::<bool>(),
    ) {
        let limits = limits(if from_engine { Sender::Engine } else { Sender::Harness });
        let mut decoder = Decoder::new(limits);
        let mut bytes = if with_preamble { preamble().to_vec() } else { Vec::new() };
        bytes.extend(length.to_le_bytes());
        bytes.push(kind);
        bytes.extend(header.to_le_bytes());
        bytes.extend(&rest);
        let bound = HEADERS + (1 << 16);
        let mut left = &bytes[..];
        let mut failed = None;
        while !left.is_empty() {
            match decoder.push(&mut left) {
                Ok(_) => prop_assert!(failed.is_none(), "went on after an error"),
                Err(error) => {
                    prop_assert!(failed.as_ref().is_none_or(|f| *f == error), "another error");
                    failed = Some(error);
                }
            }
            prop_assert!(decoder.allocated() <= bound, "{} > {bound}", decoder.allocated());
        }
    }

    /// A valid frame with one byte changed is survived too.
    #[test]
    fn a_changed_byte_is_survived(message in message(), at in any::<prop::sample::Index>(), to in any::<u8>()) {
        let mut bytes = encode(&message).expect("allowed");
        let at = at.index(bytes.len());
        bytes[at] = to;
        let mut decoder = decoder(message.kind().sender());
        let mut left = &bytes[..];
        while !left.is_empty() && decoder.push(&mut left).is_ok() {}
    }

    /// What is sent in two pieces is what is sent in one.
    #[test]
    fn head_and_payload_are_the_frame(message in message()) {
        let (mut head, payload) = encode_head(&message).expect("allowed");
        head.extend_from_slice(payload);
        prop_assert_eq!(head, encode(&message).expect("allowed"));
    }
}

fn refused(from: Sender, bytes: &[u8]) -> ProtocolError {
    decoder(from).push(&mut &bytes[..]).expect_err("refused")
}

#[test]
fn lengths_are_checked_before_anything_is_allocated() {
    let mut huge = u32::MAX.to_le_bytes().to_vec();
    huge.push(Kind::Answer as u8);
    huge.extend(64u32.to_le_bytes());
    let mut decoder = decoder(Sender::Engine);
    let error = decoder.push(&mut &huge[..]).expect_err("4 GiB");
    assert!(matches!(error, ProtocolError::TooLong { kind: Kind::Answer, part: "payload", .. }), "{error}");
    assert!(decoder.allocated() < 1024);

    let long_header = frame(Kind::Hello as u8, &[b' '; 4096], &[]);
    assert!(matches!(refused(Sender::Engine, &long_header), ProtocolError::TooLong { part: "header", .. }));
    let payload = frame(Kind::Ready as u8, b"{}", &[0]);
    assert!(matches!(
        refused(Sender::Engine, &payload),
        ProtocolError::TooLong { part: "payload", max: 0, .. }
    ));
    let part = frame(Kind::Part as u8, br#"{"id":1}"#, &[0; 4000]);
    assert_eq!(refused(Sender::Engine, &part), ProtocolError::PartsTooLong { found: 4008, max: 4000 });
    let mut contradiction = frame(Kind::Ready as u8, b"{}", &[]);
    contradiction[5] = 200;
    assert!(matches!(refused(Sender::Engine, &contradiction), ProtocolError::Lengths { header: 200, .. }));
}

#[test]
fn limits_themselves_are_bounded() {
    let answer = AnswerLimits { parts: u32::MAX, parts_bytes: usize::MAX, answer_bytes: usize::MAX };
    let mut decoder = Decoder::new(Limits::harness(answer));
    assert_eq!(decoder.push(&mut &preamble()[..]), Ok(None));
    let mut vast = u32::MAX.to_le_bytes().to_vec();
    vast.push(Kind::Part as u8);
    vast.extend(2u32.to_le_bytes());
    let error = decoder.push(&mut &vast[..]).expect_err("4 GiB");
    assert!(matches!(error, ProtocolError::PartsTooLong { max, .. } if max == 1 << 30), "{error}");
    assert_eq!(Limits::harness(answer).max_parts(), 1 << 20);
}

#[test]
fn parts_are_counted_and_allowed_only_where_the_limits_say_so() {
    let part = encode(&Message::Part(Part { id: 1, ..Part::default() })).expect("allowed");
    let answer = encode(&Message::Answer(Answer { id: 1, ..Answer::default() })).expect("allowed");
    let push =
        |decoder: &mut Decoder, bytes: &[u8]| decoder.push(&mut &bytes[..]).map(|message| message.is_some());
    let mut none = Decoder::new(Limits::harness(AnswerLimits::default()));
    assert_eq!(push(&mut none, &preamble()), Ok(false));
    let error = push(&mut none, &part).expect_err("no parts are allowed");
    assert_eq!(error, ProtocolError::Parts { max: None });
    assert!(error.to_string().contains("no parts are allowed"), "{error}");

    let mut nine = decoder(Sender::Engine);
    for _ in 0..3 {
        // the count begins anew with each answer
        for _ in 0..9 {
            assert_eq!(push(&mut nine, &part), Ok(true));
        }
        assert_eq!(push(&mut nine, &answer), Ok(true));
    }
    for _ in 0..9 {
        assert_eq!(push(&mut nine, &part), Ok(true));
    }
    let error = push(&mut nine, &part).expect_err("the tenth");
    assert!(error.to_string().contains("9 had come"), "{error}");
    // what they hold counts together, whether in headers or in payloads
    let long = |header: &str| frame(Kind::Part as u8, header.as_bytes(), &[0; 1500]);
    let (short, padded) =
        (long(r#"{"id":1}"#), long(&format!(r#"{{"id":1,"part":{{"a":"{}"}}}}"#, "x".repeat(990))));
    let mut together = decoder(Sender::Engine);
    assert_eq!(push(&mut together, &short), Ok(true));
    assert_eq!(push(&mut together, &short), Ok(true));
    let error = push(&mut together, &padded).expect_err("too long together");
    assert!(matches!(error, ProtocolError::PartsTooLong { found, max: 4000 } if found > 5500), "{error}");
    // with each request, too
    let mut anew = decoder(Sender::Engine);
    for _ in 0..3 {
        for _ in 0..9 {
            assert_eq!(push(&mut anew, &part), Ok(true));
        }
        anew.set_limits(limits(Sender::Engine));
    }
}

#[test]
fn versions_are_compared_by_their_major_number() {
    for (major, words) in [(1, "protocol 1.0"), (9, "protocol 9.0")] {
        let mut other = preamble();
        other[8] = major;
        let error = Decoder::new(Limits::engine()).push(&mut &other[..]).expect_err("another version");
        assert!(
            matches!(error, ProtocolError::Version { found, expected: VERSION } if found.major == u16::from(major))
        );
        assert!(
            error.to_string().contains(words) && error.to_string().contains("this program 2.0"),
            "{error}"
        );
    }
    let mut newer = preamble();
    newer[10] = 7;
    assert_eq!(Decoder::new(Limits::engine()).push(&mut &newer[..]), Ok(None), "2.7 is understood");
    let error = Decoder::new(Limits::engine()).push(&mut &b"HTTP/1.1 200"[..]).expect_err("no magic");
    assert!(matches!(error, ProtocolError::Magic { found } if &found == b"HTTP/1.1"));
}

#[test]
fn unknown_header_fields_are_ignored_and_missing_ones_named() {
    let more = frame(Kind::Ready as u8, br#"{"ready":{"any":[1]},"new":[1]}"#, &[]);
    let ready = decoder(Sender::Engine).push(&mut &more[..]).expect("read").expect("a message");
    assert!(matches!(ready, Message::Ready(Ready { ready }) if ready.len() == 1));
    let less = frame(Kind::Ready as u8, br#"{"any":4}"#, &[]);
    assert!(refused(Sender::Engine, &less).to_string().contains("missing field `ready`"));
    let less = frame(Kind::Answer as u8, br#"{"id":4}"#, &[]);
    assert!(refused(Sender::Engine, &less).to_string().contains("missing field `answer`"));
    // a part may say nothing but its payload
    let plain = frame(Kind::Part as u8, br#"{"id":4}"#, b"x");
    assert!(decoder(Sender::Engine).push(&mut &plain[..]).expect("read").is_some());
}

#[test]
fn nesting_is_bounded_in_both_directions() {
    let nested = |depth: usize| format!("{{\"ready\":{{\"a\":{}{}}}}}", "[".repeat(depth), "]".repeat(depth));
    let read = |depth| {
        let bytes = frame(Kind::Ready as u8, nested(depth).as_bytes(), &[]);
        decoder(Sender::Engine).push(&mut &bytes[..]).map(|message| message.expect("whole"))
    };
    let message = read(MAX_DEPTH - 2).expect("deep enough");
    assert!(encode(&message).is_ok());
    let error = read(MAX_DEPTH - 1).expect_err("too deep");
    assert_eq!(error, ProtocolError::Depth { kind: Kind::Ready, max: MAX_DEPTH });
    let Message::Ready(Ready { ready }) = message else { panic!("ready") };
    let deeper = Object::from_iter([("b".to_owned(), Value::Object(ready))]);
    let error = encode(&Message::Ready(Ready { ready: deeper })).expect_err("too deep");
    assert_eq!(error, ProtocolError::Depth { kind: Kind::Ready, max: MAX_DEPTH });
    // 2,000 brackets fit the header's bytes and are not followed
    assert!(matches!(read(2000), Err(ProtocolError::Depth { .. })));
}

#[test]
fn what_makes_no_sense_is_refused() {
    let unnamed = frame(Kind::Hello as u8, br#"{"engine":"","version":"1"}"#, &[]);
    assert!(matches!(refused(Sender::Engine, &unnamed), ProtocolError::Value { field: "engine", .. }));
    for (field, threads, task) in [("threads", 0, "picture"), ("task", 1, "")] {
        let header =
            format!("{{\"checkpoint\":\"/c\",\"threads\":{threads},\"task\":\"{task}\",\"settings\":{{}}}}");
        let error = refused(Sender::Harness, &frame(Kind::Load as u8, header.as_bytes(), &[]));
        assert!(matches!(error, ProtocolError::Value { field: found, .. } if found == field), "{error}");
    }
    let wrong_way = frame(Kind::Bye as u8, b"{}", &[]);
    assert!(matches!(refused(Sender::Engine, &wrong_way), ProtocolError::Direction { kind: Kind::Bye, .. }));
    assert_eq!(refused(Sender::Engine, &frame(77, b"{}", &[])), ProtocolError::Kind(77));
    let list = frame(Kind::Generate as u8, br#"{"id":1,"ask":[1]}"#, &[]);
    assert!(matches!(refused(Sender::Harness, &list), ProtocolError::Header { kind: Kind::Generate, .. }));
}

#[test]
fn memory_held_ready_changes_nothing_but_stays_within_the_limits() {
    let answer = |bytes: usize| {
        let payload = (0..bytes).map(|i| i as u8).collect();
        Message::Answer(Answer { id: 1, payload, ..Answer::default() })
    };
    let bytes = 12_000;
    let limits = Limits::harness(AnswerLimits { answer_bytes: bytes, ..AnswerLimits::default() });
    let mut decoder = Decoder::new(limits);
    assert_eq!(decoder.push(&mut &preamble()[..]), Ok(None));
    decoder.prepare(usize::MAX);
    assert!(decoder.allocated() <= bytes + 4096);
    for bytes in [12_000, 5000, 8, 12_000] {
        decoder.prepare(12_000);
        let message = answer(bytes);
        let bytes = encode(&message).expect("allowed");
        assert_eq!(decoder.push(&mut &bytes[..]).expect("valid"), Some(message));
    }
}
