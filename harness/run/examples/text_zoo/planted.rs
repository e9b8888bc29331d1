//! Engines of which it is known what they do.

use std::error::Error;
use std::path::{Path, PathBuf};

use edgemaxx_candle::gguf::TensorType;
use edgemaxx_candle::llama::{Choice, Llama, LlamaOptions, Wanted, checkpoint};
use edgemaxx_contract::task::text::{Ask, AskedDecoding, Noise};

type Answer = Result<Option<Vec<u32>>, Box<dyn Error>>;

/// Given the number of a prompt, what is asked, the baseline's answer, and its answer to another prompt; `None`: it
/// would do what another one here does.
pub(crate) type Engine = fn(&mut Engines, usize, &Ask, &[u32], &[u32]) -> Answer;

/// Every model that is needed, loaded once.
pub(crate) struct Engines {
    plain: Llama,
    f16: Llama,
    q8_0: Llama,
    q4_0: Llama,
    q4_1: Llama,
    rope: Llama,
    cache_q8_0: Llama,
    cache_q4_0: Llama,
}

impl Engines {
    pub(crate) fn load(path: &Path) -> Result<Self, Box<dyn Error>> {
        let path: PathBuf = checkpoint(path)?;
        let open = |weights: TensorType, rope_factor: Option<f64>, cache: Option<TensorType>| {
            let options = LlamaOptions {
                weights: Some(weights),
                rope_factor,
                cache,
                threads: Some(1),
                ..LlamaOptions::default()
            };
            Llama::open(&path, &options)
        };
        Ok(Self {
            plain: open(TensorType::F32, None, None)?,
            f16: open(TensorType::F16, None, None)?,
            q8_0: open(TensorType::Q8_0, None, None)?,
            q4_0: open(TensorType::Q4_0, None, None)?,
            q4_1: open(TensorType::Q4_1, None, None)?,
            rope: open(TensorType::F32, Some(2.0), None)?,
            cache_q8_0: open(TensorType::F32, None, Some(TensorType::Q8_0))?,
            cache_q4_0: open(TensorType::F32, None, Some(TensorType::Q4_0))?,
        })
    }

    /// The baseline's answer.
    pub(crate) fn plain(&mut self, ask: &Ask) -> Result<Vec<u32>, Box<dyn Error>> {
        made(&mut self.plain, ask, 1.0)
    }
}

/// An answer, with logits multiplied by `sharper`.
fn made(model: &mut Llama, ask: &Ask, sharper: f64) -> Result<Vec<u32>, Box<dyn Error>> {
    let choice = match ask.decoding {
        AskedDecoding::Greedy => Choice::Greedy,
        AskedDecoding::Sampled { temperature, seed } => {
            Choice::Sampled((temperature / sharper) as f32, Box::new(Noise::new(seed)))
        }
    };
    let most = ask.max_new_tokens as usize;
    let mut ids = Vec::new();
    model.generate(Wanted { prompt: &ask.prompt_ids, most, ends: &[], choice, lookup: 0 }, &mut |new| {
        ids.extend_from_slice(new);
        true
    })?;
    Ok(ids)
}

/// What followed the last two tokens the last time, or a repetition of the last: guesses that nobody verifies.
fn guessed(text: &[u32]) -> u32 {
    let key = &text[text.len().saturating_sub(2)..];
    let at = text[..text.len() - 1].windows(key.len()).rposition(|window| window == key);
    at.map_or(text[text.len() - 1], |at| text[at + key.len()])
}

/// Engines by what they do.
pub(crate) const ENGINES: &[(&str, Engine)] = &[
    ("clone", |e, _, ask, _, _| e.plain(ask).map(Some)),
    ("f16", |e, _, ask, _, _| made(&mut e.f16, ask, 1.0).map(Some)),
    ("q8_0", |e, _, ask, _, _| made(&mut e.q8_0, ask, 1.0).map(Some)),
    ("q4_1", |e, _, ask, _, _| made(&mut e.q4_1, ask, 1.0).map(Some)),
    ("q4_0", |e, _, ask, _, _| made(&mut e.q4_0, ask, 1.0).map(Some)),
    ("keys and values in eight bits", |e, _, ask, _, _| made(&mut e.cache_q8_0, ask, 1.0).map(Some)),
    ("keys and values in four bits", |e, _, ask, _, _| made(&mut e.cache_q4_0, ask, 1.0).map(Some)),
    ("wrong rope", |e, _, ask, _, _| made(&mut e.rope, ask, 1.0).map(Some)),
    ("wrong rope on every fourth prompt", |e, number, ask, baseline, _| {
        if number.is_multiple_of(4) {
            made(&mut e.rope, ask, 1.0).map(Some)
        } else {
            Ok(Some(baseline.to_vec()))
        }
    }),
    ("four bits on every second prompt", |e, number, ask, _, _| {
        let model = if number.is_multiple_of(2) { &mut e.q4_0 } else { &mut e.q8_0 };
        made(model, ask, 1.0).map(Some)
    }),
    ("four bits on short prompts", |e, _, ask, baseline, _| {
        if ask.prompt_ids.len() < 40 {
            made(&mut e.q4_0, ask, 1.0).map(Some)
        } else {
            Ok(Some(baseline.to_vec()))
        }
    }),
    ("logits × 1.5", |e, _, ask, _, _| match ask.decoding {
        AskedDecoding::Greedy => Ok(None),
        AskedDecoding::Sampled { .. } => made(&mut e.plain, ask, 1.5).map(Some),
    }),
    ("noise left out", |e, _, ask, _, _| match ask.decoding {
        AskedDecoding::Greedy => Ok(None),
        AskedDecoding::Sampled { .. } => {
            made(&mut e.plain, &Ask { decoding: AskedDecoding::Greedy, ..ask.clone() }, 1.0).map(Some)
        }
    }),
    ("the answer to another prompt", |_, _, ask, _, other| {
        let other = other.iter().copied().cycle().take(ask.max_new_tokens as usize);
        Ok(Some(other.collect()))
    }),
    ("half an answer, padded with ends", |_, _, ask, baseline, _| {
        let end = ask.end_ids.first().copied().unwrap_or(0);
        let half = baseline.len() / 2;
        Ok(Some(
            baseline[..half].iter().copied().chain(std::iter::repeat_n(end, baseline.len() - half)).collect(),
        ))
    }),
    ("half an answer, in a loop", |_, _, _, baseline, _| {
        let half = baseline.len() / 2;
        Ok(Some(baseline[..half].iter().copied().cycle().take(baseline.len()).collect()))
    }),
    ("a first token guessed", |_, _, ask, baseline, _| {
        let first = guessed(&ask.prompt_ids);
        Ok(Some(std::iter::once(first).chain(baseline[1..].iter().copied()).collect()))
    }),
    ("every fourth token guessed", |_, _, ask, baseline, _| {
        let mut text = ask.prompt_ids.clone();
        for (at, id) in baseline.iter().enumerate() {
            text.push(if at % 4 == 3 { guessed(&text) } else { *id });
        }
        Ok(Some(text[ask.prompt_ids.len()..].to_vec()))
    }),
    ("half of the prompt unread", |e, _, ask, _, _| {
        let half = ask.prompt_ids[ask.prompt_ids.len() / 2..].to_vec();
        made(&mut e.plain, &Ask { prompt_ids: half, ..ask.clone() }, 1.0).map(Some)
    }),
];
