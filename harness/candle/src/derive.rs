//! Derived checkpoints: a base with its weights stored differently, disturbed, or with another UNet. The same input
//! gives the same bytes.
use crate::error::{Error, Result};
use crate::json::read_json;
use crate::pipeline::CheckpointSource;
use crate::unet::Replacement;
use crate::weights::{Weights, component_files};
use crate::write_tensors::{self, Entry};
use candle_core::{DType, Device};
use edgemaxx_contract::noise::torch_randn;
use half::{bf16, f16};
use safetensors::Dtype;
use serde_json::Value;
use std::path::{Path, PathBuf};

/// How weights are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Storage {
    /// Tensors of at least two dimensions and 2,048 elements as int8 per output channel (`NAME` as I8 and `NAME.scale`
    /// as F32 `[dim 0]`; scale = max |w| / 127, q = w / scale rounded half to even), others as f16.
    Int8,
    /// IEEE half precision.
    F16,
    /// bfloat16.
    Bf16,
}

/// Disturbance of UNet and VAE: w + σ·std(w)·N(0, 1) for every tensor of at least two dimensions.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Noise {
    /// Standard deviation relative to that of the tensor.
    pub sigma: f64,
    /// The i-th such tensor of a component, by name, is disturbed by `torch_randn(seed + i)`.
    pub seed: u64,
}

/// What to change. The default changes nothing (apart from the UNet, where the source replaces it).
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Recipe {
    /// New storage of UNet, VAE and text encoders.
    pub storage: Option<Storage>,
    /// Disturbance of UNet and VAE.
    pub noise: Option<Noise>,
}

/// The file that says what a checkpoint is.
const INDEX: &str = "model_index.json";
/// Components with weights, and the stem of their files' names.
const MODELS: [(&str, &str); 4] = [
    ("text_encoder", "model"),
    ("text_encoder_2", "model"),
    ("unet", "diffusion_pytorch_model"),
    ("vae", "diffusion_pytorch_model"),
];
/// Components without.
const OTHERS: [&str; 3] = ["scheduler", "tokenizer", "tokenizer_2"];
/// Smallest tensor that is worth a scale per channel.
const INT8_ELEMENTS: usize = 2048;

/// A component with weights, opened.
struct Component {
    name: &'static str,
    stem: &'static str,
    from: PathBuf,
    files: Vec<PathBuf>,
    weights: Weights,
    /// Whether the folder's own files are not the weights.
    elsewhere: bool,
}

/// The components of a checkpoint that others can be derived from.
fn components(source: &CheckpointSource) -> Result<Vec<Component>> {
    let root = &source.root;
    read_json::<Value>(&root.join(INDEX))?;
    for folder in OTHERS.map(|name| root.join(name)) {
        std::fs::read_dir(&folder).map_err(Error::io(&folder))?;
    }
    let component = |(name, stem)| -> Result<Component> {
        let unet = (name == "unet").then(|| Replacement::of(root, source.unet.as_deref()));
        let from = unet.as_ref().map_or_else(|| root.join(name), |unet| unet.folder().to_path_buf());
        let files = component_files(&from, stem)?;
        let weights = match &unet {
            Some(unet) => unet.open(DType::F32, &Device::Cpu)?,
            None => Weights::open_files(files.clone(), DType::F32, &Device::Cpu)?,
        };
        let elsewhere = unet.is_some_and(|unet| !unet.is_folder());
        Ok(Component { name, stem, from, files, weights, elsewhere })
    };
    MODELS.into_iter().map(component).collect()
}

/// Whether a checkpoint has what others are derived from, as far as that is known without reading a weight.
///
/// # Errors
/// As [`derive()`].
pub fn look(source: &CheckpointSource) -> Result<()> {
    components(source).map(drop)
}

/// Writes the checkpoint that `recipe` makes of `source` into the folder `out`, which must not exist or be empty. Weights
/// that do not change are hard links where the file system allows it.
pub fn derive(source: &CheckpointSource, recipe: &Recipe, out: &Path) -> Result<()> {
    let components = components(source)?;
    make_empty(out)?;
    let root = &source.root;
    place(&root.join(INDEX), &out.join(INDEX))?;
    for name in OTHERS {
        copy_folder(&root.join(name), &out.join(name), |_| true)?;
    }
    for Component { name, stem, from, files, weights, elsewhere } in components {
        let to = out.join(name);
        let noise = recipe.noise.filter(|_| name == "unet" || name == "vae");
        if recipe.storage.is_none() && noise.is_none() && !elsewhere {
            let index = |p: &Path| p.to_string_lossy().ends_with(".index.json");
            copy_folder(&from, &to, |p| files.iter().any(|f| f == p) || is_json(p) || index(p))?;
            continue;
        }
        copy_folder(&from, &to, |p| is_json(p) && !p.to_string_lossy().ends_with(".index.json"))?;
        rewrite(&weights, recipe.storage, noise, &to.join(format!("{stem}.safetensors")))?;
    }
    Ok(())
}

fn make_empty(out: &Path) -> Result<()> {
    std::fs::create_dir_all(out).map_err(Error::io(out))?;
    if std::fs::read_dir(out).map_err(Error::io(out))?.next().is_some() {
        let source = std::io::Error::new(
            std::io::ErrorKind::AlreadyExists,
            "the folder for the derived checkpoint is not empty",
        );
        return Err(Error::Io { path: out.to_path_buf(), source });
    }
    Ok(())
}

fn is_json(path: &Path) -> bool {
    path.extension().is_some_and(|e| e == "json")
}

/// Copies the files of a folder that `wanted` names; folders within are left out.
fn copy_folder(from: &Path, to: &Path, wanted: impl Fn(&Path) -> bool) -> Result<()> {
    std::fs::create_dir_all(to).map_err(Error::io(to))?;
    for entry in std::fs::read_dir(from).map_err(Error::io(from))? {
        let path = entry.map_err(Error::io(from))?.path();
        if path.is_file() && wanted(&path) {
            let name = path.file_name().unwrap_or_default();
            place(&path, &to.join(name))?;
        }
    }
    Ok(())
}

/// Hard-links weights, or copies them where that is impossible; copies everything else, which people edit in place.
fn place(from: &Path, to: &Path) -> Result<()> {
    let real = from.canonicalize().map_err(Error::io(from))?;
    let weights = to.extension().is_some_and(|e| e == "safetensors");
    if weights && std::fs::hard_link(&real, to).is_ok() {
        return Ok(());
    }
    std::fs::copy(&real, to).map(|_| ()).map_err(Error::io(to))
}

/// Writes all tensors of `weights` to one file.
fn rewrite(weights: &Weights, storage: Option<Storage>, noise: Option<Noise>, path: &Path) -> Result<()> {
    let is_scale =
        |n: &str| n.strip_suffix(".scale").is_some_and(|base| stored_as(weights, base) == Some(Dtype::I8));
    let names: Vec<&str> = weights.names().filter(|n| !is_scale(n)).collect();
    let matrix = |n: &str| weights.info(n).is_some_and(|(_, shape)| shape.len() >= 2);
    let disturbed: Vec<&str> = names.iter().copied().filter(|n| matrix(n)).collect();
    let values = |name: &str| -> Result<Vec<f32>> {
        let shape = weights.info(name).map(|(_, s)| s.to_vec()).unwrap_or_default();
        let mut w = weights.values(&shape, name)?;
        if let (Some(noise), Ok(i)) = (noise, disturbed.binary_search(&name)) {
            disturb(&mut w, noise.sigma, noise.seed.wrapping_add(i as u64));
        }
        Ok(w)
    };
    let mut entries = Vec::new();
    for name in names {
        let Some((dtype, shape)) = weights.info(name) else { continue };
        let entry = |name: String, dtype, shape: &[usize]| Entry { name, dtype, shape: shape.to_vec() };
        let float =
            [Dtype::F64, Dtype::F32, Dtype::F16, Dtype::BF16, Dtype::I8, Dtype::F8_E4M3, Dtype::F8_E5M2]
                .contains(&dtype);
        match storage {
            _ if !float => entries.push(entry(name.to_string(), dtype, shape)),
            Some(Storage::Int8) if shape.len() >= 2 && shape.iter().product::<usize>() >= INT8_ELEMENTS => {
                entries.push(entry(name.to_string(), Dtype::I8, shape));
                entries.push(entry(format!("{name}.scale"), Dtype::F32, &shape[..1]));
            }
            Some(Storage::Int8 | Storage::F16) => entries.push(entry(name.to_string(), Dtype::F16, shape)),
            Some(Storage::Bf16) => entries.push(entry(name.to_string(), Dtype::BF16, shape)),
            // changed values no longer fit the scales or the few bits that they came from
            None if [Dtype::I8, Dtype::F8_E4M3, Dtype::F8_E5M2].contains(&dtype) => {
                entries.push(entry(name.to_string(), Dtype::F16, shape))
            }
            None => entries.push(entry(name.to_string(), dtype, shape)),
        }
    }
    let note = (storage == Some(Storage::Int8)).then_some(("edgemaxx.quantization", "int8-per-channel"));
    write_tensors::write(path, entries, note, |e| {
        Ok(match e.dtype {
            Dtype::I8 => quantize(&values(&e.name)?, e.shape[0]).0.iter().map(|q| *q as u8).collect(),
            Dtype::F32 if storage == Some(Storage::Int8) => {
                let name = e.name.strip_suffix(".scale").unwrap_or(&e.name);
                le(&quantize(&values(name)?, e.shape[0]).1, |x| x.to_le_bytes())
            }
            Dtype::F64 => le(&values(&e.name)?, |x| f64::from(x).to_le_bytes()),
            Dtype::F32 => le(&values(&e.name)?, f32::to_le_bytes),
            Dtype::F16 => le(&values(&e.name)?, |x| f16::from_f32(x).to_le_bytes()),
            Dtype::BF16 => le(&values(&e.name)?, |x| bf16::from_f32(x).to_le_bytes()),
            _ => weights.bytes_of(&e.name).unwrap_or_default().to_vec(),
        })
    })
}

fn stored_as(weights: &Weights, name: &str) -> Option<Dtype> {
    weights.info(name).map(|(dtype, _)| dtype)
}

fn le<const N: usize>(values: &[f32], f: impl Fn(f32) -> [u8; N]) -> Vec<u8> {
    values.iter().flat_map(|&x| f(x)).collect()
}

/// Symmetric int8 per index of dimension 0: values and scales. A channel of zeros has scale 0.
fn quantize(w: &[f32], channels: usize) -> (Vec<i8>, Vec<f32>) {
    let row = (w.len() / channels.max(1)).max(1);
    let scales: Vec<f32> =
        w.chunks(row).map(|r| r.iter().fold(0f32, |m, x| m.max(x.abs())) / 127.0).collect();
    let q = |(i, x): (usize, &f32)| {
        let scale = scales[i / row];
        let divisor = if scale > 0.0 { scale } else { 1.0 };
        (x / divisor).round_ties_even().clamp(-127.0, 127.0) as i8
    };
    (w.iter().enumerate().map(q).collect(), scales)
}

/// Adds noise of σ times the values' own (sample) standard deviation.
fn disturb(w: &mut [f32], sigma: f64, seed: u64) {
    let n = w.len() as f64;
    if w.len() < 2 {
        return;
    }
    let mean = w.iter().map(|&x| f64::from(x)).sum::<f64>() / n;
    let variance = w.iter().map(|&x| (f64::from(x) - mean).powi(2)).sum::<f64>() / (n - 1.0);
    let scale = sigma * variance.sqrt();
    let draws = torch_randn(seed, w.len());
    for (x, z) in w.iter_mut().zip(draws) {
        *x = (f64::from(*x) + scale * f64::from(z)) as f32;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::weights::Weights;

    fn source() -> CheckpointSource {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/models/emoji-sdxl");
        CheckpointSource { root, unet: None }
    }

    fn unet(root: &Path) -> Weights {
        component(root, "unet")
    }

    fn component(root: &Path, name: &str) -> Weights {
        Weights::open_dir(&root.join(name), "diffusion_pytorch_model", DType::F32, &Device::Cpu).expect(name)
    }

    fn relative(a: &Weights, b: &Weights, name: &str) -> f64 {
        let shape = b.info(name).expect(name).1.to_vec();
        let (a, b) = (a.values(&shape, name).expect(name), b.values(&shape, name).expect(name));
        let sum = |f: &dyn Fn(usize) -> f64| (0..b.len()).map(|i| f(i).powi(2)).sum::<f64>();
        (sum(&|i| f64::from(a[i] - b[i])) / sum(&|i| f64::from(b[i]))).sqrt()
    }

    const MATRIX: &str = "mid_block.attentions.0.transformer_blocks.0.ff.net.2.weight";
    const BIAS: &str = "mid_block.attentions.0.transformer_blocks.0.ff.net.2.bias";

    #[test]
    fn int8_halves_the_files_and_keeps_the_values() {
        let dir = tempfile::tempdir().expect("tempdir");
        let (a, b) = (dir.path().join("a"), dir.path().join("b"));
        let recipe = Recipe { storage: Some(Storage::Int8), noise: None };
        derive(&source(), &recipe, &a).expect("derive");
        derive(&source(), &recipe, &b).expect("derive");
        let file = "unet/diffusion_pytorch_model.safetensors";
        let read = |root: &Path| std::fs::read(root.join(file)).expect("file");
        assert_eq!(read(&a), read(&b), "same input, same bytes");
        assert!(read(&a).len() * 19 < read(&source().root).len() * 10, "about half of f16");
        let error = relative(&unet(&a), &unet(&source().root), MATRIX);
        assert!((1e-4..2e-2).contains(&error), "{error}");
        assert_eq!(relative(&unet(&a), &unet(&source().root), BIAS), 0.0);
        assert!(derive(&source(), &recipe, &a).is_err(), "refuses a folder that is not empty");
    }

    #[test]
    fn what_nothing_can_be_derived_from_is_known_by_looking() {
        look(&source()).expect("a checkpoint");
        let dir = tempfile::tempdir().expect("tempdir");
        let (own, out) = (dir.path().join("own"), dir.path().join("out"));
        std::fs::create_dir(&own).expect("folder");
        let own = CheckpointSource { root: own, unet: None };
        let said = look(&own).expect_err("no checkpoint").to_string();
        assert!(said.contains("model_index.json"), "{said}");
        let recipe = Recipe { storage: Some(Storage::Int8), noise: None };
        assert_eq!(derive(&own, &recipe, &out).expect_err("no checkpoint").to_string(), said);
        assert!(!out.exists(), "nothing is begun");
    }

    #[test]
    fn noise_is_as_large_as_asked_and_spares_the_text_encoders() {
        let dir = tempfile::tempdir().expect("tempdir");
        let out = dir.path().join("noisy");
        derive(&source(), &Recipe { storage: None, noise: Some(Noise { sigma: 0.1, seed: 7 }) }, &out)
            .expect("derive");
        let error = relative(&unet(&out), &unet(&source().root), MATRIX);
        assert!((0.097..0.103).contains(&error), "{error}");
        assert_eq!(relative(&unet(&out), &unet(&source().root), BIAS), 0.0);
        let error =
            relative(&component(&out, "vae"), &component(&source().root, "vae"), "decoder.conv_in.weight");
        assert!((0.095..0.105).contains(&error), "{error}");
        let text = "text_encoder/model.safetensors";
        assert_eq!(std::fs::read(out.join(text)).ok(), std::fs::read(source().root.join(text)).ok());
    }
}
