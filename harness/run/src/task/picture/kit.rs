//! [`PICTURE`]: the kit of pictures.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use edgemaxx_candle::{Accelerator, CheckpointSource};
use edgemaxx_contract::dtype::Dtype;
use edgemaxx_contract::floor::Work;
use edgemaxx_contract::metric::Model;
use edgemaxx_contract::plan::{PipelinePlan, Plan};
use edgemaxx_contract::task::{RequestSpec, Settings, SettingsPatch, TaskRef, picture};
use edgemaxx_engine::{Answerer, Codec, Load, Object, task};
use edgemaxx_quality::picture::PictureJudge;
use edgemaxx_quality::{Judge, QualityError};

use super::rehearse::rehearse;
use super::{checkpoint, engine, prompts, work};
use crate::error::Result;
use crate::task::kit::{Alone, Asked, Kit, Native, Rehearsal};

/// Pictures.
pub struct PictureKit;

/// Pictures.
pub static PICTURE: PictureKit = PictureKit;

impl Kit for PictureKit {
    fn task(&self) -> TaskRef {
        TaskRef::new(&picture::PICTURE)
    }

    fn codec(&self) -> &'static dyn Codec {
        &task::picture::PICTURE
    }

    fn is_checkpoint(&self, folder: &Path) -> bool {
        folder.join(checkpoint::INDEX).is_file()
    }

    fn judge(&self, models: &BTreeMap<Model, PathBuf>) -> Result<Box<dyn Judge>, QualityError> {
        Ok(Box::new(PictureJudge::load(models)?))
    }

    fn rehearse(&self, rehearsal: &Rehearsal<'_>) -> Result<()> {
        rehearse(rehearsal)
    }

    fn prompts(
        &self,
        checkpoint: &CheckpointSource,
        request: &RequestSpec,
        prompts: (&str, &str),
    ) -> Result<Vec<String>> {
        prompts::read(checkpoint, request, prompts)
    }

    fn alone(&self, checkpoint: &CheckpointSource) -> Alone {
        checkpoint::alone(checkpoint)
    }

    fn native(&self) -> Option<&'static dyn Native> {
        Some(&PICTURE)
    }
}

impl Native for PictureKit {
    fn check(&self, folder: &Path, settings: &SettingsPatch) -> Result<()> {
        checkpoint::check(folder, settings)
    }

    fn open(
        &self,
        checkpoint: &CheckpointSource,
        asked: &Asked<'_>,
        settings: &Settings,
    ) -> Result<Vec<String>> {
        checkpoint::open(checkpoint, &asked.request.view()?, &settings.view()?)
    }

    fn dtype(&self, settings: &Settings) -> Result<Dtype> {
        Ok(settings.view::<picture::Settings>()?.dtype)
    }

    fn work(&self, checkpoint: &CheckpointSource, plan: &Plan, pipeline: &PipelinePlan) -> Result<Work> {
        work::work(checkpoint, &plan.request.view()?, &pipeline.settings.view()?, pipeline.checkpoint.derive)
    }

    fn load(&self, device: Accelerator, load: &Load) -> Result<(Object, Answerer), String> {
        task::picture::loaded(load, |wanted, settings| engine::load(device, wanted, settings))
    }
}
