//! The inputs that fuzzing kept because each reaches code that no other does, and seeds.

mod survive;

use std::fs;
use std::path::Path;

use edgemaxx_protocol::{
    Bye, Dtype, Encoding, Generate, Heartbeat, Hello, Image, LatentShape, Load, Message, Ready, Refusal,
    Sender, Settings, encode,
};

fn folder() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus")
}

/// One valid frame of each kind.
fn seeds() -> Vec<(&'static str, Message)> {
    let settings = Settings {
        steps: 20,
        guidance_scale: 5.0,
        scheduler: Some("EulerDiscreteScheduler".to_owned()),
        dtype: Dtype::Bf16,
        vae_tiling: false,
        threads: 2,
        width: 16,
        height: 16,
    };
    let generate = Generate {
        id: 7,
        prompt: "a red apple".to_owned(),
        negative_prompt: "ein rotes Haus — 赤い家".to_owned(),
        seed: 12,
        steps: 20,
        guidance_scale: 5.5,
        width: 16,
        height: 16,
        shape: LatentShape([1, 4, 2, 2]),
        latents: vec![0.25; 16],
    };
    let image = |encoding, bytes| Image { id: 7, width: 2, height: 2, encoding, engine_ns: Some(5), bytes };
    vec![
        ("hello", Message::Hello(Hello { engine: "an-engine".to_owned(), version: "1.0".to_owned() })),
        ("load", Message::Load(Load { checkpoint: "/c".to_owned(), unet: Some("/u".to_owned()), settings })),
        ("heartbeat", Message::Heartbeat(Heartbeat {})),
        ("ready", Message::Ready(Ready { latent_channels: 4, vae_scale_factor: 8 })),
        ("generate", Message::Generate(generate)),
        ("image-rgb8", Message::Image(image(Encoding::Rgb8, vec![9; 12]))),
        ("image-png", Message::Image(image(Encoding::Png, b"\x89PNG".to_vec()))),
        ("error", Message::Error(Refusal { id: Some(7), message: "no \"such\" checkpoint".to_owned() })),
        ("bye", Message::Bye(Bye {})),
    ]
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
