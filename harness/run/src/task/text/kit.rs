//! [`TEXT`]: the kit of texts.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use edgemaxx_candle::llama::{LlamaConfig, is_laid_out, look};
use edgemaxx_candle::{Accelerator, CheckpointSource};
use edgemaxx_contract::dtype::Dtype;
use edgemaxx_contract::floor::Work;
use edgemaxx_contract::metric::Model;
use edgemaxx_contract::plan::{PipelinePlan, Plan};
use edgemaxx_contract::task::{self, Encoder, Settings, SettingsPatch, TaskRef, text};
use edgemaxx_engine::task::text as codec;
use edgemaxx_engine::{Answerer, Codec, Load, Object};
use edgemaxx_quality::text::TextJudge;
use edgemaxx_quality::{Judge, QualityError};
use serde_json::json;

use super::encoder::{Recalled, Tokenizer};
use super::rehearse::{fits, patched, rehearse};
use super::transformers::TransformersKit;
use super::{engine, work};
use crate::error::{Result, RunError};
use crate::task::kit::{Alone, Asked, Kit, Native, Rehearsal};

/// Texts.
pub struct TextKit;

/// Texts.
pub static TEXT: TextKit = TextKit;

/// Tokens that a checkpoint is asked to read, and to make, where no contest says it.
const USUAL: (u32, u32) = (64, 16);

impl Kit for TextKit {
    fn task(&self) -> TaskRef {
        TaskRef::new(&text::TEXT)
    }

    fn codec(&self) -> &'static dyn Codec {
        &codec::TEXT
    }

    fn is_checkpoint(&self, folder: &Path) -> bool {
        is_laid_out(folder)
    }

    fn judge(&self, models: &BTreeMap<Model, PathBuf>) -> Result<Box<dyn Judge>, QualityError> {
        Ok(Box::new(TextJudge::load(models)?))
    }

    fn rehearse(&self, rehearsal: &Rehearsal<'_>) -> Result<()> {
        rehearse(rehearsal)
    }

    fn encoder(&self, baseline: &Path) -> Result<Option<Box<dyn Encoder>>> {
        Ok(Some(Box::new(Tokenizer::open(baseline)?)))
    }

    fn recalled(&self, plan: &Plan) -> Result<Option<Box<dyn Encoder>>> {
        Ok(Some(Box::new(Recalled::of(plan)?)))
    }

    fn alone(&self, _: &CheckpointSource) -> Alone {
        let (prompt, new) = USUAL;
        let request =
            [("prompt_tokens", json!(prompt)), ("max_new_tokens", json!(new)), ("ignore_eos", json!(true))];
        Alone {
            request: task::Object::from_iter(request),
            settings: task::Object::of(&text::Settings::default()).unwrap_or_default(),
            ready: None,
        }
    }

    fn native(&self) -> Option<&'static dyn Native> {
        Some(&TEXT)
    }

    fn candle_transformers(&self) -> Option<&'static dyn Native> {
        Some(&TransformersKit)
    }
}

/// The configuration of a checkpoint that can be loaded on a device with these settings.
fn looked(folder: &Path, device: Accelerator, settings: &text::Settings) -> Result<LlamaConfig> {
    let text::Settings { weights, rope_factor, lookup, cache } = *settings;
    let options = engine::options(device, weights, rope_factor, lookup, cache).map_err(RunError::input)?;
    look(folder, device, &options).map_err(|error| RunError::input(error.to_string()))
}

impl Native for TextKit {
    fn check(&self, folder: &Path, settings: &SettingsPatch) -> Result<()> {
        let own = patched(settings)?;
        // Nobody says on which device it will be measured.
        let looks =
            [Accelerator::Cpu, Accelerator::Cuda].map(|device| looked(folder, device, &own).map(drop));
        let [on_the_processor, on_a_card] = looks;
        on_the_processor.or_else(|why| on_a_card.map_err(|_| why))
    }

    fn open(
        &self,
        checkpoint: &CheckpointSource,
        asked: &Asked<'_>,
        settings: &Settings,
    ) -> Result<Vec<String>> {
        let config = looked(&checkpoint.root, asked.device, &settings.view()?)?;
        fits(asked, config.positions, config.vocabulary)
    }

    /// Whatever weights are kept as, they are multiplied in single precision.
    fn dtype(&self, _: &Settings) -> Result<Dtype> {
        Ok(Dtype::F32)
    }

    fn work(&self, checkpoint: &CheckpointSource, plan: &Plan, pipeline: &PipelinePlan) -> Result<Work> {
        work::work(checkpoint, plan, pipeline)
    }

    fn load(&self, device: Accelerator, load: &Load) -> Result<(Object, Answerer), String> {
        codec::loaded(load, |wanted, settings| engine::load(device, wanted, settings))
    }
}
