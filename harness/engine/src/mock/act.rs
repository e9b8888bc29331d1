//! What a mock says of each task: pictures, and of any other task what it was asked.

use edgemaxx_contract::digest::Digest;
use edgemaxx_protocol::Object;

use super::picture::{Scene, paint};
use super::script::{Cheat, MockScript};
use crate::serve::Reply;
use crate::task::picture::{Ask, Encoding, Head, Picture, Ready};

/// What it says when it is ready.
pub(super) fn ready(task: &str, script: &MockScript) -> Object {
    if task != "picture" {
        return Object::new();
    }
    let (latent_channels, vae_scale_factor) = (script.latent_channels, script.vae_scale_factor);
    Ready { latent_channels, vae_scale_factor }.object()
}

/// What it answers.
///
/// # Errors
/// In words, what is wrong with the request.
pub(super) fn answer(task: &str, ask: &Object, payload: &[u8], script: &MockScript) -> Result<Reply, String> {
    if task != "picture" {
        return Ok(match script.cheat {
            Some(Cheat::OneAnswer) => Reply::default(),
            _ => Reply { header: ask.clone(), payload: payload.to_vec() },
        });
    }
    let (ask, latents) = Ask::parse(ask, payload)?;
    let (width, height) = (ask.width, ask.height);
    let [_, channels, rows, columns] = ask.latents.0;
    let scene = Scene {
        prompt: &ask.prompt,
        seed: ask.seed,
        width,
        height,
        shape: [channels, rows, columns],
        latents: &latents,
    }
    .seen_by(script.cheat);
    Ok(Picture { width, height, rgb: paint(&scene, script.noise) }.into())
}

/// An answer that no request allows.
pub(super) fn unusable(task: &str) -> Reply {
    if task != "picture" {
        return Reply::default();
    }
    let head = Head { width: 3, height: 5, encoding: Encoding::Rgb8 };
    Reply { header: head.object(), payload: vec![0; 3 * 5 * 3] }
}

/// What a request is remembered by.
pub(super) fn key(ask: &Object, payload: &[u8]) -> Digest {
    let ask = serde_json::Value::Object(ask.clone()).to_string();
    Digest::of_fields([ask.as_bytes(), payload])
}

/// A payload in `parts` parts, all but a remainder, and that.
pub(super) fn divide(mut payload: Vec<u8>, parts: u32) -> (Vec<Vec<u8>>, Vec<u8>) {
    let parts = parts as usize;
    if parts == 0 {
        return (Vec::new(), payload);
    }
    let each = payload.len() / parts;
    let rest = payload.split_off(each * parts);
    let parts = (0..parts).map(|part| payload[part * each..(part + 1) * each].to_vec()).collect();
    (parts, rest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::object;

    #[test]
    fn parts_and_the_end_are_the_whole_payload() {
        for (bytes, parts) in [(10, 0), (10, 3), (2, 5), (0, 2), (9, 3)] {
            let payload: Vec<u8> = (0..bytes).collect();
            let (divided, end) = divide(payload.clone(), parts);
            assert_eq!(divided.len(), parts as usize);
            assert_eq!([divided.concat(), end].concat(), payload, "{bytes} in {parts}");
        }
    }

    #[test]
    fn a_task_that_a_mock_does_not_know_is_echoed() {
        let ask = object([("anything", 7.into())]);
        let mut script = MockScript::default();
        let reply = answer("echo", &ask, b"bytes", &script).expect("an answer");
        assert_eq!(reply, Reply { header: ask.clone(), payload: b"bytes".to_vec() });
        script.cheat = Some(Cheat::OneAnswer);
        assert_ne!(answer("echo", &ask, b"bytes", &script).expect("an answer"), reply);
        assert!(answer("picture", &ask, b"bytes", &script).expect_err("no picture").contains("prompt"));
        assert_ne!(key(&ask, b"bytes"), key(&ask, b"other"));
        assert_ne!(key(&ask, b"bytes"), key(&object([("anything", 8.into())]), b"bytes"));
    }
}
