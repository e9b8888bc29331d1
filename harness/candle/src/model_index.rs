//! `model_index.json`: which class of diffusers or transformers each part of a checkpoint is.
use crate::error::{Error, Result};
use crate::json::read_json;
use crate::schedule::SCHEDULERS;
use serde_json::{Map, Value};
use std::path::{Path, PathBuf};

/// The parts, and the classes whose arithmetic is this engine's.
const PARTS: &[(&str, &[&str])] = &[
    ("unet", &["UNet2DConditionModel"]),
    ("vae", &["AutoencoderKL"]),
    ("text_encoder", &["CLIPTextModel", "CLIPTextModelWithProjection"]),
    ("text_encoder_2", &["CLIPTextModelWithProjection"]),
    ("tokenizer", &["CLIPTokenizer", "CLIPTokenizerFast"]),
    ("tokenizer_2", &["CLIPTokenizer", "CLIPTokenizerFast"]),
    ("scheduler", &SCHEDULERS),
];

/// A checkpoint's `model_index.json`.
pub(crate) struct ModelIndex {
    path: PathBuf,
    keys: Map<String, Value>,
}

impl ModelIndex {
    /// Reads and checks the index of the checkpoint at `root`; `asked` stands for the scheduler's class.
    pub(crate) fn read(root: &Path, asked: Option<&str>) -> Result<Self> {
        let path = root.join("model_index.json");
        let index = Self { keys: read_json(&path)?, path };
        let pipeline = index.keys.get("_class_name").and_then(Value::as_str).unwrap_or_default();
        if pipeline != "StableDiffusionXLPipeline" {
            let found = format!("`{pipeline}`");
            return Err(Error::config(&index.path, "_class_name", found, "`StableDiffusionXLPipeline`"));
        }
        for (part, known) in PARTS {
            // What is not named is the usual class.
            let Some(entry) = index.keys.get(*part) else { continue };
            let class = entry.get(1).and_then(Value::as_str);
            let replaced = *part == "scheduler" && asked.is_some();
            if !replaced && !class.is_some_and(|class| known.contains(&class)) {
                let found = class.map_or_else(|| entry.to_string(), |class| format!("`{class}`"));
                return Err(Error::config(&index.path, part, found, format!("`{}`", known.join("` or `"))));
            }
        }
        Ok(index)
    }

    /// The scheduler's class, which is what diffusers takes, whatever `scheduler_config.json` says of itself.
    pub(crate) fn scheduler(&self) -> Option<&str> {
        self.keys.get("scheduler")?.get(1)?.as_str()
    }

    /// Whether no negative prompt is zeros instead of the states of an empty one.
    pub(crate) fn zeros_for_empty(&self) -> Result<bool> {
        let key = "force_zeros_for_empty_prompt";
        match self.keys.get(key) {
            None => Ok(true),
            Some(Value::Bool(zeros)) => Ok(*zeros),
            Some(other) => Err(Error::config(&self.path, key, other, "true or false")),
        }
    }
}
