//! Which files belong to a checkpoint, and how much of them there may be.

use std::path::Path;

use edgemaxx_files::WalkError;
use serde::{Deserialize, Serialize};

/// Limits and permissions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rules {
    /// Most files, those skipped included.
    pub max_files: u64,
    /// Largest single file in bytes.
    pub max_file_bytes: u64,
    /// Largest sum over the files taken, in bytes.
    pub max_total_bytes: u64,
    /// Whether a candidate brings a program of its own, whose files then belong to it.
    pub programs: bool,
}

impl Default for Rules {
    /// Room for SDXL in f32 (about 14 GB), and some.
    fn default() -> Self {
        Self { max_files: 1000, max_file_bytes: 16 << 30, max_total_bytes: 32 << 30, programs: false }
    }
}

/// What a file is, by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Tensors, configuration, vocabulary, text.
    Data,
    /// A program's own files.
    Program,
    /// Runs code when loaded: never touched.
    Pickle,
    /// Anything else, such as pictures and the model card: left alone.
    Other,
}

/// The kind of the file with this path.
pub fn kind(path: &str) -> Kind {
    if path.split('/').any(edgemaxx_files::is_clutter) {
        return Kind::Other;
    }
    let name = path.rsplit('/').next().unwrap_or(path);
    let lower = name.to_ascii_lowercase();
    match lower.rsplit_once('.').map_or("", |(_, extension)| extension) {
        "safetensors" | "gguf" | "json" | "txt" | "toml" | "jsonl" => Kind::Data,
        "bin" | "pt" | "pth" | "ckpt" | "pkl" | "pickle" | "joblib" | "npy" | "npz" | "h5" | "keras" => {
            Kind::Pickle
        }
        "py" | "sh" | "lock" | "yaml" | "yml" | "so" | "cu" | "rs" | "onnx" | "engine" | "plan" => {
            Kind::Program
        }
        _ if matches!(lower.as_str(), "license" | "vocab" | "merges") => Kind::Data,
        _ => Kind::Other,
    }
}

impl Rules {
    /// Whether a file of this kind is taken.
    pub(crate) fn takes(&self, kind: Kind) -> bool {
        match kind {
            Kind::Data => true,
            Kind::Program => self.programs,
            Kind::Pickle | Kind::Other => false,
        }
    }

    /// Those of the files below `root` that belong to a checkpoint, and the others, after the sizes of those taken were found
    /// within the limits. `of` tells a file's path and size.
    pub(crate) fn choose<F>(
        &self,
        root: &Path,
        files: impl IntoIterator<Item = F>,
        of: impl Fn(&F) -> (&str, u64),
    ) -> Result<(Vec<F>, Vec<F>), WalkError> {
        let (taken, others): (Vec<F>, Vec<F>) =
            files.into_iter().partition(|file| self.takes(kind(of(file).0)));
        let mut total = 0u64;
        for (path, size) in taken.iter().map(&of) {
            within(&root.join(path), "size in bytes", size, self.max_file_bytes)?;
            total = total.saturating_add(size);
        }
        within(root, "total size in bytes", total, self.max_total_bytes)?;
        Ok((taken, others))
    }
}

/// Refuses what is more than its limit.
pub(crate) fn within(path: &Path, what: &'static str, found: u64, limit: u64) -> Result<(), WalkError> {
    if found <= limit { Ok(()) } else { Err(WalkError::Limit { path: path.to_owned(), what, found, limit }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_follow_the_name_whatever_its_case_and_pickles_are_never_taken() {
        assert_eq!(kind("unet/diffusion_pytorch_model.safetensors"), Kind::Data);
        assert_eq!(kind("SmolLM2.Q4_1.gguf"), Kind::Data);
        assert_eq!(kind("tokenizer/MERGES.TXT"), Kind::Data);
        for pickle in ["a.bin", "unet/x.PT", "model.ckpt", "a.safetensors.pkl"] {
            assert_eq!(kind(pickle), Kind::Pickle, "{pickle}");
        }
        assert_eq!(kind("engine/main.py"), Kind::Program);
        assert_eq!(kind("image.png"), Kind::Other);
        assert_eq!(kind(".cache/huggingface/download/config.json"), Kind::Other);
        assert_eq!(kind("unet/._config.json"), Kind::Other);
        let all = Rules { programs: true, ..Rules::default() };
        assert!(all.takes(Kind::Program) && !all.takes(Kind::Pickle) && !all.takes(Kind::Other));
        assert!(!Rules::default().takes(Kind::Program));
    }

    #[test]
    fn what_is_taken_is_held_to_the_limits_and_what_is_left_alone_is_not() {
        let files = [("image.png", 100), ("unet/a.safetensors", 3), ("a.json", 2)];
        let choose =
            |rules: &Rules| rules.choose(Path::new("hf:owner/name/"), files, |&(path, size)| (path, size));
        let rules = Rules { max_file_bytes: 3, max_total_bytes: 5, ..Rules::default() };
        let (taken, others) = choose(&rules).unwrap();
        assert_eq!((taken.as_slice(), others.as_slice()), (&files[1..], &files[..1]));
        let refused = |rules: Rules| choose(&rules).unwrap_err().to_string();
        let text = refused(Rules { max_file_bytes: 2, ..rules.clone() });
        assert!(
            text.contains("hf:owner/name/unet/a.safetensors") && text.contains("size in bytes"),
            "{text}"
        );
        let text = refused(Rules { max_total_bytes: 4, ..rules });
        assert!(text.contains("hf:owner/name/:") && text.contains("total size in bytes"), "{text}");
    }
}
