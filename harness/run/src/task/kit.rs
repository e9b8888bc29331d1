//! [`Kit`]: what those who run contests must know of a task, and nothing else.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use edgemaxx_candle::{Accelerator, CheckpointSource};
use edgemaxx_contract::contest::{Contest, EngineSpec};
use edgemaxx_contract::dtype::Dtype;
use edgemaxx_contract::floor::Work;
use edgemaxx_contract::metric::Model;
use edgemaxx_contract::plan::{PipelinePlan, Plan};
use edgemaxx_contract::task::{self, Encoder, RequestSpec, Settings, SettingsPatch, TaskRef};
use edgemaxx_engine::{Answerer, Codec, Load, Object};
use edgemaxx_quality::{Judge, QualityError};

use crate::error::Result;

/// A task, to those who run contests of it.
pub trait Kit: Sync {
    /// What is asked and answered.
    fn task(&self) -> TaskRef;

    /// How engines are asked.
    fn codec(&self) -> &'static dyn Codec;

    /// Whether a folder is laid out as this task's checkpoints are, be it one that can be loaded or not.
    fn is_checkpoint(&self, _folder: &Path) -> bool {
        false
    }

    /// The judge of its answers, with the models in these folders.
    ///
    /// # Errors
    /// A model cannot be loaded.
    fn judge(&self, models: &BTreeMap<Model, PathBuf>) -> Result<Box<dyn Judge>, QualityError>;

    /// Refuses a contest whose own words cannot be done, before anything is measured; what cannot be found out
    /// before, measuring and judging say.
    ///
    /// # Errors
    /// Names the field, what was expected, and what was found.
    fn rehearse(&self, _: &Rehearsal<'_>) -> Result<()> {
        Ok(())
    }

    /// What of the prompts in a file, named and its text, a checkpoint does not read, as far as that is known.
    ///
    /// # Errors
    /// Two of them are the same to it.
    fn prompts(&self, _: &CheckpointSource, _: &RequestSpec, _: (&str, &str)) -> Result<Vec<String>> {
        Ok(Vec::new())
    }

    /// What turns prompts into what engines are asked, where they are not asked in words: the tokenizer of the baseline,
    /// whose checkpoint lies in a folder.
    ///
    /// # Errors
    /// It has none that can be read here.
    fn encoder(&self, _baseline: &Path) -> Result<Option<Box<dyn Encoder>>> {
        Ok(None)
    }

    /// The same as far as a plan tells, for who has no baseline to draw it again.
    ///
    /// # Errors
    /// It is another task's.
    fn recalled(&self, _plan: &Plan) -> Result<Option<Box<dyn Encoder>>> {
        Ok(None)
    }

    /// What a checkpoint is asked, and how it is run, where no contest says it.
    fn alone(&self, _: &CheckpointSource) -> Alone {
        Alone::default()
    }

    /// What the built-in engine does for the task, where it can do it.
    fn native(&self) -> Option<&'static dyn Native> {
        None
    }

    /// What candle-transformers' models do for the task, where they can do it.
    fn candle_transformers(&self) -> Option<&'static dyn Native> {
        None
    }

    /// What an engine that is part of this program does for the task, where it can do it.
    fn built_in(&self, engine: &EngineSpec) -> Option<&'static dyn Native> {
        match engine {
            EngineSpec::Native => self.native(),
            EngineSpec::CandleTransformers => self.candle_transformers(),
            EngineSpec::Command(_) => None,
        }
    }
}

/// A contest before anything of it is measured.
#[derive(Debug, Clone, Copy)]
pub struct Rehearsal<'a> {
    /// The contest.
    pub contest: &'a Contest,
    /// Folder that its paths are relative to.
    pub base: &'a Path,
    /// Its pipelines, the baseline first; none where they are not known.
    pub resolved: &'a [PipelinePlan],
}

/// What is asked of all pipelines alike.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// What requests share.
    pub request: &'a RequestSpec,
    /// Where the built-in engine computes.
    pub device: Accelerator,
    /// What turned prompts into what is asked, where that is known.
    pub encoder: Option<&'a dyn Encoder>,
}

/// What stands for the words of a contest where there is none; each may be replaced by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Alone {
    /// What requests share, but for the file of prompts.
    pub request: task::Object,
    /// The settings of the pipeline.
    pub settings: task::Object,
    /// What an engine must say when it is ready, as far as the checkpoint tells.
    pub ready: Option<Object>,
}

/// A task, to those who have the built-in engine do it.
pub trait Native: Sync {
    /// Opens all of a checkpoint that the engine would, and looks at the settings that it names.
    ///
    /// # Errors
    /// Names the file, what was expected, and what was found.
    fn check(&self, folder: &Path, settings: &SettingsPatch) -> Result<()>;

    /// Opens all of a checkpoint that the engine would to answer what is asked with these settings, but for the weights
    /// themselves. What is odd about it, and keeps it from nothing.
    ///
    /// # Errors
    /// Why it cannot be loaded, in the engine's words, or cannot answer.
    fn open(
        &self,
        checkpoint: &CheckpointSource,
        asked: &Asked<'_>,
        settings: &Settings,
    ) -> Result<Vec<String>>;

    /// The number format that the engine computes in with these settings.
    ///
    /// # Errors
    /// They are another task's.
    fn dtype(&self, settings: &Settings) -> Result<Dtype>;

    /// What any engine must do for an answer of the plan with a pipeline's checkpoint and settings, where its tensors tell.
    ///
    /// # Errors
    /// They cannot be read.
    fn work(&self, checkpoint: &CheckpointSource, plan: &Plan, pipeline: &PipelinePlan) -> Result<Work>;

    /// Loads what the harness asks for: what `ready` says, and the function that answers.
    ///
    /// # Errors
    /// In words, why not.
    fn load(&self, device: Accelerator, load: &Load) -> Result<(Object, Answerer), String>;
}
