//! The built-in engine writing texts, behind the contract's and the protocol's words.

use std::path::Path;

use edgemaxx_candle::Accelerator;
use edgemaxx_candle::gguf::TensorType;
use edgemaxx_candle::llama::{Choice, GpuLlama, Llama, LlamaConfig, LlamaOptions, Wanted, checkpoint};
use edgemaxx_contract::task::text::{AskedDecoding, Noise, Scores, Weights};
use edgemaxx_engine::Load;
use edgemaxx_engine::task::text::{Ask, Ready, ScoreAsk, Settings, Stream, Writer};

/// The contract's name of a type in the engine's words; `None`: as the file has it.
fn kept(weights: Weights) -> Option<TensorType> {
    Some(match weights {
        Weights::Stored => return None,
        Weights::F32 => TensorType::F32,
        Weights::F16 => TensorType::F16,
        Weights::Bf16 => TensorType::Bf16,
        Weights::Q8_0 => TensorType::Q8_0,
        Weights::Q4_0 => TensorType::Q4_0,
        Weights::Q4_1 => TensorType::Q4_1,
    })
}

/// How a checkpoint is loaded on a device with these settings, but for threads and the longest text.
///
/// # Errors
/// In words, what is not done there.
pub(super) fn options(
    device: Accelerator,
    weights: Weights,
    rope_factor: f64,
    lookup: u32,
    cache: Weights,
) -> Result<LlamaOptions, String> {
    if device == Accelerator::Cuda && lookup > 0 {
        return Err(format!("generation.lookup: expected 0 on a GPU, found {lookup}"));
    }
    Ok(LlamaOptions {
        weights: kept(weights),
        rope_factor: (rope_factor != 1.0).then_some(rope_factor),
        cache: kept(cache),
        ..LlamaOptions::default()
    })
}

/// Loads a checkpoint on the device.
///
/// # Errors
/// In words, why not.
pub(super) fn load(
    device: Accelerator,
    load: &Load,
    settings: &Settings,
) -> Result<(Ready, Box<dyn Writer>), String> {
    if let Some(part) = load.replaced.keys().next() {
        return Err(format!("a checkpoint that writes texts has no {part:?} to replace"));
    }
    let said = |error: edgemaxx_candle::Error| error.to_string();
    let path = checkpoint(Path::new(&load.checkpoint)).map_err(said)?;
    let options = LlamaOptions {
        threads: Some(load.threads as usize),
        context: Some(settings.context as usize),
        ..options(device, settings.weights, settings.rope_factor, settings.lookup, settings.cache)?
    };
    let lookup = settings.lookup as usize;
    let ready = |config: &LlamaConfig, positions: usize| Ready {
        vocabulary: config.vocabulary as u32,
        positions: positions as u32,
        scores: true,
    };
    if device == Accelerator::Cuda {
        let model = GpuLlama::open(&path, &options).map_err(said)?;
        let ready = ready(model.config(), model.capacity());
        let (generate, score) = (GpuLlama::generate, GpuLlama::score);
        return Ok((ready, Box::new(ModelWriter { model, lookup, generate, score })));
    }
    let model = Llama::open(&path, &options).map_err(said)?;
    let ready = ready(model.config(), model.capacity());
    Ok((ready, Box::new(ModelWriter { model, lookup, generate: Llama::generate, score: Llama::score })))
}

/// Is given tokens as soon as they are known, and says whether to go on.
pub(super) type Each<'a> = dyn FnMut(&[u32]) -> bool + 'a;

/// Is given the logits at a position.
pub(super) type EachLogits<'a> = dyn FnMut(usize, &[f32]) + 'a;

/// Answers requests with a model.
pub(super) struct ModelWriter<M> {
    pub(super) model: M,
    pub(super) lookup: usize,
    pub(super) generate: for<'a> fn(&mut M, Wanted<'_>, &'a mut Each<'a>) -> edgemaxx_candle::Result<()>,
    pub(super) score:
        for<'a> fn(&mut M, &[u32], &[u32], &'a mut EachLogits<'a>) -> edgemaxx_candle::Result<()>,
}

impl<M> Writer for ModelWriter<M> {
    fn write(&mut self, ask: &Ask, stream: &mut Stream<'_, '_>) -> Result<(), String> {
        let choice = match ask.decoding {
            AskedDecoding::Greedy => Choice::Greedy,
            AskedDecoding::Sampled { temperature, seed } => {
                Choice::Sampled(temperature as f32, Box::new(Noise::new(seed)))
            }
        };
        let wanted = Wanted {
            prompt: &ask.prompt_ids,
            most: ask.max_new_tokens as usize,
            ends: if ask.ignore_eos { &[] } else { &ask.end_ids },
            choice,
            lookup: self.lookup,
        };
        let mut sent = Ok(());
        let mut each = |ids: &[u32]| {
            sent = stream.send(ids);
            sent.is_ok()
        };
        (self.generate)(&mut self.model, wanted, &mut each).map_err(|error| error.to_string())?;
        sent
    }

    fn score(&mut self, asked: &ScoreAsk) -> Result<Scores, String> {
        let mut lists = Vec::new();
        let mut each = |_: usize, logits: &[f32]| lists.push(Scores::of_logits(logits, asked.top));
        let read = (self.score)(&mut self.model, &asked.prompt_ids, &asked.ids, &mut each);
        read.map(|()| Scores(lists)).map_err(|error| error.to_string())
    }
}
