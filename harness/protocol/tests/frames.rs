//! Round trips, bounds, and bytes from strangers.

use edgemaxx_protocol::{
    Bye, Decoder, Dtype, Encoding, Generate, Heartbeat, Hello, Image, Kind, LatentShape, Limits, Load,
    Message, PREFIX_BYTES, ProtocolError, Ready, Refusal, Sender, Settings, VERSION, encode, preamble,
};
use proptest::collection::vec;
use proptest::prelude::*;

const SIDE: u32 = 16;

fn decoder(from: Sender) -> Decoder {
    let mut decoder = Decoder::new(match from {
        Sender::Engine => Limits::harness(SIDE, SIDE),
        Sender::Harness => Limits { latent_bytes: 1 << 16, ..Limits::engine() },
    });
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

fn message() -> impl Strategy<Value = Message> {
    let settings = (1u32..100, 0.0f64..20.0, proptest::option::of(text(20)), 0u8..3, 1u32..64).prop_map(
        |(steps, guidance_scale, scheduler, dtype, threads)| Settings {
            steps,
            guidance_scale,
            scheduler,
            dtype: [Dtype::F32, Dtype::F16, Dtype::Bf16][dtype as usize],
            vae_tiling: steps % 2 == 0,
            threads,
            width: SIDE,
            height: SIDE,
        },
    );
    prop_oneof![
        (name(), name()).prop_map(|(engine, version)| Message::Hello(Hello { engine, version })),
        (text(200), proptest::option::of(text(200)), settings)
            .prop_map(|(checkpoint, unet, settings)| Message::Load(Load { checkpoint, unet, settings })),
        Just(Message::Heartbeat(Heartbeat {})),
        (1u32..=64, 1u32..=64).prop_map(|(latent_channels, vae_scale_factor)| Message::Ready(Ready {
            latent_channels,
            vae_scale_factor
        })),
        (any::<u64>(), text(300), text(50), any::<u64>(), 1u32..100, 0.0f64..20.0, 0u32..5, 0u32..5)
            .prop_map(|(id, prompt, negative_prompt, seed, steps, guidance_scale, height, width)| {
                let shape = LatentShape([1, 4, height, width]);
                let latents = (0..4 * height * width).map(|i| i as f32 * 0.37 - 1.0).collect();
                Message::Generate(Generate {
                    id,
                    prompt,
                    negative_prompt,
                    seed,
                    steps,
                    guidance_scale,
                    width: width * 8,
                    height: height * 8,
                    shape,
                    latents,
                })
            }),
        (any::<u64>(), 0u32..=SIDE, 0u32..=SIDE, any::<Option<u64>>()).prop_map(
            |(id, width, height, engine_ns)| {
                let bytes = (0..width * height * 3).map(|i| i as u8).collect();
                Message::Image(Image { id, width, height, encoding: Encoding::Rgb8, engine_ns, bytes })
            }
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
        let limits = if from_engine { Limits::harness(SIDE, SIDE) } else { Limits::engine() };
        let mut decoder = Decoder::new(limits);
        let mut bytes = if with_preamble { preamble().to_vec() } else { Vec::new() };
        bytes.extend(length.to_le_bytes());
        bytes.push(kind);
        bytes.extend(header.to_le_bytes());
        bytes.extend(&rest);
        let bound = (32 << 10) + limits.image_bytes.max(limits.latent_bytes);
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
}

fn refused(from: Sender, bytes: &[u8]) -> ProtocolError {
    decoder(from).push(&mut &bytes[..]).expect_err("refused")
}

#[test]
fn lengths_are_checked_before_anything_is_allocated() {
    let mut huge = u32::MAX.to_le_bytes().to_vec();
    huge.push(Kind::Image as u8);
    huge.extend(64u32.to_le_bytes());
    let mut decoder = decoder(Sender::Engine);
    let error = decoder.push(&mut &huge[..]).expect_err("4 GiB");
    assert!(matches!(error, ProtocolError::TooLong { kind: Kind::Image, part: "payload", .. }), "{error}");
    assert!(decoder.allocated() < 1024);

    let long_header = frame(Kind::Hello as u8, &[b' '; 4096], &[]);
    assert!(matches!(refused(Sender::Engine, &long_header), ProtocolError::TooLong { part: "header", .. }));
    let payload = frame(Kind::Ready as u8, b"{}", &[0]);
    assert!(matches!(
        refused(Sender::Engine, &payload),
        ProtocolError::TooLong { part: "payload", max: 0, .. }
    ));
    let mut contradiction = frame(Kind::Ready as u8, b"{}", &[]);
    contradiction[5] = 200;
    assert!(matches!(refused(Sender::Engine, &contradiction), ProtocolError::Lengths { header: 200, .. }));
}

#[test]
fn versions_are_compared_by_their_major_number() {
    let mut other = preamble();
    other[8] = 9;
    let error = Decoder::new(Limits::engine()).push(&mut &other[..]).expect_err("version 9");
    assert!(matches!(error, ProtocolError::Version { found, expected: VERSION } if found.major == 9));
    assert!(error.to_string().contains("9.0"), "{error}");
    let mut newer = preamble();
    newer[10] = 7;
    assert_eq!(Decoder::new(Limits::engine()).push(&mut &newer[..]), Ok(None), "1.7 is understood");
    let error = Decoder::new(Limits::engine()).push(&mut &b"HTTP/1.1 200"[..]).expect_err("no magic");
    assert!(matches!(error, ProtocolError::Magic { found } if &found == b"HTTP/1.1"));
}

#[test]
fn unknown_header_fields_are_ignored_and_missing_ones_named() {
    let more = frame(Kind::Ready as u8, br#"{"latent_channels":4,"vae_scale_factor":8,"new":[1]}"#, &[]);
    assert!(decoder(Sender::Engine).push(&mut &more[..]).expect("read").is_some());
    let less = frame(Kind::Ready as u8, br#"{"latent_channels":4}"#, &[]);
    assert!(refused(Sender::Engine, &less).to_string().contains("vae_scale_factor"));
}

#[test]
fn what_makes_no_sense_is_refused() {
    let zero = frame(Kind::Ready as u8, br#"{"latent_channels":0,"vae_scale_factor":8}"#, &[]);
    assert!(matches!(refused(Sender::Engine, &zero), ProtocolError::Value { field: "latent_channels", .. }));
    let unnamed = frame(Kind::Hello as u8, br#"{"engine":"","version":"1"}"#, &[]);
    assert!(matches!(refused(Sender::Engine, &unnamed), ProtocolError::Value { field: "engine", .. }));
    let small = frame(Kind::Image as u8, br#"{"id":1,"width":4,"height":4,"encoding":"rgb8"}"#, &[0; 47]);
    assert!(refused(Sender::Engine, &small).to_string().contains("4×4×3 = 48 bytes"));
    let wrong_way = frame(Kind::Bye as u8, b"{}", &[]);
    assert!(matches!(refused(Sender::Engine, &wrong_way), ProtocolError::Direction { kind: Kind::Bye, .. }));
    assert_eq!(refused(Sender::Engine, &frame(77, b"{}", &[])), ProtocolError::Kind(77));
    let odd = br#"{"id":1,"prompt":"","negative_prompt":"","seed":1,"steps":1,"guidance_scale":1.0,
        "width":8,"height":8,"latents":[1,1,1,1]}"#;
    assert!(matches!(
        refused(Sender::Harness, &frame(Kind::Generate as u8, odd, &[0; 5])),
        ProtocolError::Value { field: "payload", .. }
    ));
    // a shape whose product overflows
    let vast = br#"{"id":1,"prompt":"","negative_prompt":"","seed":1,"steps":1,"guidance_scale":1.0,
        "width":8,"height":8,"latents":[4294967295,4294967295,4294967295,4294967295]}"#;
    assert!(matches!(
        refused(Sender::Harness, &frame(Kind::Generate as u8, vast, &[0; 4])),
        ProtocolError::Value { field: "payload", .. }
    ));
}

#[test]
fn memory_held_ready_changes_nothing_but_stays_within_the_limits() {
    let image = |side: u32| {
        let bytes = (0..side * side * 3).map(|i| i as u8).collect();
        Message::Image(Image {
            id: 1,
            width: side,
            height: side,
            encoding: Encoding::Rgb8,
            engine_ns: None,
            bytes,
        })
    };
    let limits = Limits::harness(64, 64);
    let mut decoder = Decoder::new(limits);
    assert_eq!(decoder.push(&mut &preamble()[..]), Ok(None));
    decoder.prepare(usize::MAX);
    assert!(decoder.allocated() <= limits.image_bytes + 4096);
    for side in [64, 40, 8, 64] {
        decoder.prepare(64 * 64 * 3);
        let message = image(side);
        let bytes = encode(&message).expect("allowed");
        assert_eq!(decoder.push(&mut &bytes[..]).expect("valid"), Some(message));
    }
}
