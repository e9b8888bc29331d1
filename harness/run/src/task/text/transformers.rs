//! candle-transformers' models writing texts, behind the contract's and the protocol's words.

use std::path::Path;

use edgemaxx_candle::llama::checkpoint;
use edgemaxx_candle::transformers::{Transformers, TransformersConfig, TransformersOptions};
use edgemaxx_candle::{Accelerator, CheckpointSource};
use edgemaxx_contract::contest::EngineSpec;
use edgemaxx_contract::dtype::Dtype;
use edgemaxx_contract::floor::Work;
use edgemaxx_contract::plan::{PipelinePlan, Plan};
use edgemaxx_contract::task::text::{self, Weights};
use edgemaxx_contract::task::{Settings, SettingsPatch};
use edgemaxx_engine::task::text as codec;
use edgemaxx_engine::{Answerer, Load, Object};

use super::engine::ModelWriter;
use super::rehearse::{fits, patched};
use super::work;
use crate::error::{Result, RunError};
use crate::task::kit::{Asked, Native};

/// Texts, by candle-transformers.
pub(super) struct TransformersKit;

/// The configuration of a checkpoint that can be loaded, as far as that is known without reading its weights.
fn read(folder: &Path) -> Result<TransformersConfig> {
    let read = checkpoint(folder).and_then(|path| Transformers::look(&path));
    read.map_err(|error| RunError::input(error.to_string()))
}

/// Refuses settings that candle-transformers has nothing for.
fn refuse(weights: Weights, rope_factor: f64, lookup: u32, cache: Weights) -> Result<(), String> {
    let name = EngineSpec::CANDLE_TRANSFORMERS;
    let bad = |field: &str, expected: &str, found: String| {
        Err(format!("generation.{field}: {name}: expected {expected}, found {found}"))
    };
    if ![Weights::Stored, Weights::F32].contains(&weights) {
        let expected = "stored or f32: it computes in f32; quantised ones come from a GGUF file";
        return bad("weights", expected, weights.to_string());
    }
    if ![Weights::Stored, Weights::F32].contains(&cache) {
        return bad("cache", "f32", cache.to_string());
    }
    if rope_factor != 1.0 {
        return bad("rope_factor", "1", rope_factor.to_string());
    }
    if lookup > 0 {
        return bad("lookup", "0: it says only what follows the last token", lookup.to_string());
    }
    Ok(())
}

/// Refuses a pipeline's settings that candle-transformers has nothing for.
fn can(own: &text::Settings) -> Result<()> {
    refuse(own.weights, own.rope_factor, own.lookup, own.cache).map_err(RunError::input)
}

impl Native for TransformersKit {
    fn check(&self, folder: &Path, settings: &SettingsPatch) -> Result<()> {
        can(&patched(settings)?)?;
        read(folder).map(drop)
    }

    fn open(
        &self,
        checkpoint: &CheckpointSource,
        asked: &Asked<'_>,
        settings: &Settings,
    ) -> Result<Vec<String>> {
        can(&settings.view()?)?;
        let config = read(&checkpoint.root)?;
        fits(asked, config.positions, config.vocabulary)
    }

    fn dtype(&self, _: &Settings) -> Result<Dtype> {
        Ok(Dtype::F32)
    }

    fn work(&self, checkpoint: &CheckpointSource, plan: &Plan, pipeline: &PipelinePlan) -> Result<Work> {
        work::work(checkpoint, plan, pipeline)
    }

    fn load(&self, device: Accelerator, load: &Load) -> Result<(Object, Answerer), String> {
        codec::loaded(load, |wanted, settings| loaded(device, wanted, settings))
    }
}

fn loaded(
    device: Accelerator,
    load: &Load,
    settings: &codec::Settings,
) -> Result<(codec::Ready, Box<dyn codec::Writer>), String> {
    let name = EngineSpec::CANDLE_TRANSFORMERS;
    if device != Accelerator::Cpu {
        return Err(format!("{name} computes on the CPU only here"));
    }
    if let Some(part) = load.replaced.keys().next() {
        return Err(format!("a checkpoint that writes texts has no {part:?} to replace"));
    }
    refuse(settings.weights, settings.rope_factor, settings.lookup, settings.cache)?;
    let said = |error: edgemaxx_candle::Error| error.to_string();
    let path = checkpoint(Path::new(&load.checkpoint)).map_err(said)?;
    let options = TransformersOptions {
        threads: Some(load.threads as usize),
        context: Some(settings.context as usize),
    };
    let model = Transformers::open(&path, &options).map_err(said)?;
    let (vocabulary, positions) = (model.config().vocabulary as u32, model.capacity() as u32);
    let (generate, score) = (Transformers::generate, Transformers::score);
    let ready = codec::Ready { vocabulary, positions, scores: true };
    Ok((ready, Box::new(ModelWriter { model, lookup: 0, generate, score })))
}
