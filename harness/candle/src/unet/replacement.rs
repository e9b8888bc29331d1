//! What a checkpoint's UNet is: its own folder, another in its place, a single file of a whole pipeline, or a LoRA.

use std::path::{Path, PathBuf};

use candle_core::{DType, Device};

use super::config::UNetConfig;
use super::{ldm, lora};
use crate::error::{Error, Result};
use crate::weights::{Weights, component_files};

/// Stem of the names of a UNet's files.
pub(crate) const STEM: &str = "diffusion_pytorch_model";

/// Where a UNet's configuration and weights are.
pub(crate) struct Replacement {
    /// The folder with `config.json`.
    folder: PathBuf,
    /// The file that stands for, or changes, the weights in that folder.
    file: Option<PathBuf>,
}

impl Replacement {
    /// That of a checkpoint at `root`, with `unet` in its UNet's place, as [`unet_folder`] finds it.
    pub(crate) fn of(root: &Path, unet: Option<&Path>) -> Self {
        let own = root.join("unet");
        let Some(unet) = unet else { return Self { folder: own, file: None } };
        match only_file(unet).filter(|_| !has_config(unet)) {
            Some(file) => Self { folder: own, file: Some(file) },
            None => Self { folder: unet.to_path_buf(), file: None },
        }
    }

    /// The folder with `config.json`.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Whether all of the UNet lies in [`Self::folder`].
    pub(crate) fn is_folder(&self) -> bool {
        self.file.is_none()
    }

    /// Opens the weights.
    ///
    /// # Errors
    /// They are missing, damaged, or of another UNet than `config.json` describes.
    pub(crate) fn open(&self, dtype: DType, device: &Device) -> Result<Weights> {
        let own = || Weights::open_files(component_files(&self.folder, STEM)?, dtype, device);
        let Some(file) = &self.file else { return own() };
        let config = UNetConfig::read(&self.folder.join("config.json"))?;
        let layers: Vec<usize> = config.levels.iter().map(|level| level.layers).collect();
        let single = Weights::open_files(vec![file.clone()], dtype, device)?;
        if lora::is_lora(single.names()) {
            let base = own()?;
            let change = lora::Lora::open(file, &base, &layers)?;
            return Ok(base.changed(change));
        }
        let names = own()?;
        let theirs: std::collections::BTreeMap<String, String> = names
            .names()
            .flat_map(|name| {
                let theirs = ldm::name_of(name, &layers).map(|theirs| format!("{}{theirs}", ldm::PREFIX));
                // a level that goes up without attention has its convolution one place earlier
                let without = theirs.as_ref().map(|theirs| theirs.replace(".2.conv.", ".1.conv."));
                [theirs, without].into_iter().flatten().map(|theirs| (theirs, name.to_string()))
            })
            .collect();
        if !single.names().any(|name| theirs.contains_key(name)) {
            return Err(Error::Damaged {
                path: file.clone(),
                message: format!(
                    "expected a LoRA, or a single file of a whole pipeline (`{}…`), found neither: it begins with `{}`",
                    ldm::PREFIX,
                    single.names().next().unwrap_or_default()
                ),
            });
        }
        Ok(single.renamed(|name| theirs.get(name).cloned()))
    }
}

/// Where lies what is used in the place of a UNet: in the folder that is named, or in its `unet/`, which is the place of a whole
/// checkpoint's. It is a UNet in diffusers' layout, or one safetensors file without a configuration.
///
/// # Errors
/// [`Error::Config`]: it lies in both.
pub fn unet_folder(named: &Path) -> Result<PathBuf> {
    let inner = named.join("unet");
    let holds = |folder: &Path| has_config(folder) || only_file(folder).is_some();
    let whole = named.join("model_index.json").is_file();
    match (holds(named) && !whole, holds(&inner)) {
        (true, true) => {
            let expected =
                format!("one; name {} for the inner one, or move the outer one away", inner.display());
            Err(Error::config(named, "the folder", "a UNet in it and another in its unet/", expected))
        }
        (false, true) => Ok(inner),
        (_, false) => Ok(named.to_path_buf()),
    }
}

fn has_config(folder: &Path) -> bool {
    folder.join("config.json").is_file()
}

/// The one safetensors file of a folder.
fn only_file(folder: &Path) -> Option<PathBuf> {
    let entries = std::fs::read_dir(folder).ok()?.flatten().map(|entry| entry.path());
    let mut files =
        entries.filter(|path| path.is_file() && path.extension().is_some_and(|e| e == "safetensors"));
    let first = files.next()?;
    files.next().is_none().then_some(first)
}
