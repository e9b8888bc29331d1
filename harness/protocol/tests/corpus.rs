//! The inputs that fuzzing kept because each reaches code that no other does, and seeds.

mod survive;

use std::fs;
use std::path::Path;

use edgemaxx_protocol::{
    Answer, Bye, Generate, Heartbeat, Hello, Load, Message, Object, Part, Ready, Refusal, Sender, encode,
};
use serde_json::{Value, json};

fn folder() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus")
}

/// One valid frame of each kind.
fn seeds() -> Vec<(&'static str, Message)> {
    let settings = json!({"steps": 20, "scale": 5.0, "dtype": "bf16", "tiled": false});
    let load = Load {
        checkpoint: "/c".to_owned(),
        replaced: [("unet".to_owned(), "/u".to_owned())].into(),
        threads: 2,
        task: "picture".to_owned(),
        settings: object(settings),
    };
    let ask = json!({"prompt": "ein rotes Haus — 赤い家", "seed": 12, "shape": [1, 4, 2, 2]});
    let generate = Generate { id: 7, ask: object(ask), payload: [0, 0, 0x80, 0x3e].repeat(16) };
    let answer = |answer, payload| {
        Message::Answer(Answer { id: 7, engine_ns: Some(5), answer: object(answer), payload })
    };
    let part = Part { id: 7, part: object(json!({"ids": [15, 3, 902]})), payload: Vec::new() };
    vec![
        ("hello", Message::Hello(Hello { engine: "an-engine".to_owned(), version: "1.0".to_owned() })),
        ("load", Message::Load(load)),
        ("heartbeat", Message::Heartbeat(Heartbeat {})),
        ("ready", Message::Ready(Ready { ready: object(json!({"latent_channels": 4})) })),
        ("generate", Message::Generate(generate)),
        ("part", Message::Part(part)),
        ("part-payload", Message::Part(Part { id: 7, payload: vec![1, 2, 3], ..Part::default() })),
        ("answer", answer(json!({"encoding": "rgb8"}), vec![9; 12])),
        ("answer-nested", answer(json!({"a": [{"b": [[]]}], "c": {"d": null}}), Vec::new())),
        ("error", Message::Error(Refusal { id: Some(7), message: "no \"such\" checkpoint".to_owned() })),
        ("bye", Message::Bye(Bye {})),
    ]
}

fn object(value: Value) -> Object {
    value.as_object().cloned().unwrap_or_default()
}

#[test]
fn the_corpus_is_survived() {
    let mut count = 0;
    for entry in fs::read_dir(folder()).expect("tests/corpus") {
        survive::survive(&fs::read(entry.expect("an entry").path()).expect("a file"));
        count += 1;
    }
    assert!(count >= seeds().len(), "{count} files");
}

/// `EDGEMAXX_WRITE_SEEDS=1` writes them anew, for a fuzz run to start from.
#[test]
fn the_corpus_holds_a_valid_frame_of_each_kind() {
    let write = std::env::var_os("EDGEMAXX_WRITE_SEEDS").is_some();
    for (name, message) in seeds() {
        let reader = u8::from(message.kind().sender() == Sender::Engine);
        let mut input = vec![reader | 2, 5];
        input.extend(encode(&message).expect("a valid message"));
        let path = folder().join(format!("seed-{name}"));
        if write {
            fs::write(&path, &input).expect("write");
        }
        assert_eq!(fs::read(&path).expect("a seed"), input, "{name}");
        survive::survive(&input);
    }
}
