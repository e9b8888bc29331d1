//! `edgemaxx generate`: one picture from the built-in engine.

use std::path::{Path, PathBuf};
use std::time::Instant;

use edgemaxx_candle::schedule::SCHEDULERS;
use edgemaxx_candle::{Accelerator, CheckpointSource, GenerateRequest, LoadOptions, Pipeline, Trace};
use edgemaxx_contract::dtype::Dtype;
use edgemaxx_contract::noise::torch_randn;
use edgemaxx_contract::task::Object;
use edgemaxx_contract::task::picture::{self, MAX_PIXELS};
use edgemaxx_files::write_whole;
use edgemaxx_picture::Picture;
use edgemaxx_run::candidate_file::own_settings;
use edgemaxx_run::sources::{checkpoint_files, no_folder, unet_folder};
use edgemaxx_run::task::Kit as _;
use edgemaxx_run::task::picture::{PICTURE, load_options};
use serde::Serialize;

use crate::error::{Exit, Failure, InFile as _};
use crate::terminal::{answer, answer_json, note};

/// Generates one picture with the built-in engine: what a validator's run would see.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  edgemaxx generate --checkpoint fixtures/models/emoji-sdxl --prompt 'red apple' --seed 1 --out apple.png
  edgemaxx generate --checkpoint fixtures/models/emoji-sdxl --unet fixtures/models/emoji-sdxl-student/unet \\
      --prompt 'blue heart' --seed 4 --steps 5 --guidance-scale 1 --out heart.png")]
pub(crate) struct Args {
    /// Folder in the diffusers layout, safetensors only.
    #[arg(long, value_name = "DIR")]
    checkpoint: PathBuf,
    /// Folder whose UNet replaces the checkpoint's.
    #[arg(long, value_name = "DIR")]
    unet: Option<PathBuf>,
    /// What the picture should show.
    #[arg(long)]
    prompt: String,
    /// What it should not show.
    #[arg(long)]
    negative_prompt: Option<String>,
    /// Seed of the initial latents, drawn as PyTorch's CPU generator draws them.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Denoising steps [default: as the checkpoint's edgemaxx.toml says, else 20].
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1000))]
    steps: Option<u32>,
    /// Classifier-free guidance; 1 or less: none [default: as the checkpoint's edgemaxx.toml says, else 5].
    #[arg(long)]
    guidance_scale: Option<f64>,
    /// Width in pixels [default: the checkpoint's own].
    #[arg(long, value_parser = clap::value_parser!(u32).range(8..=8192))]
    width: Option<u32>,
    /// Height in pixels [default: the checkpoint's own].
    #[arg(long, value_parser = clap::value_parser!(u32).range(8..=8192))]
    height: Option<u32>,
    /// Number format to compute in [default: as the checkpoint's edgemaxx.toml says, else f32].
    #[arg(long, value_parser = dtype)]
    dtype: Option<Dtype>,
    /// Device to compute on: cpu or cuda.
    #[arg(long, default_value = "cpu")]
    device: Accelerator,
    /// Scheduler class instead of the checkpoint's own.
    #[arg(long, value_name = "CLASS")]
    scheduler: Option<String>,
    /// Decode in tiles of 64 × 64 latents: less memory, another picture near the seams.
    #[arg(long)]
    vae_tiling: bool,
    /// Threads to compute with [default: all cores]; never changes the picture.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1024))]
    threads: Option<u32>,
    /// PNG to write; a JPEG where it is called .jpg or .jpeg.
    #[arg(long, value_name = "FILE.png")]
    out: PathBuf,
    /// Also write the tensors on the way, as safetensors.
    #[arg(long, value_name = "FILE.safetensors")]
    tensors_out: Option<PathBuf>,
    /// Print what was done as JSON.
    #[arg(long)]
    json: bool,
}

/// Longest side of a picture, pixels.
const SIDE: usize = 8192;

/// `--dtype`.
pub(super) fn dtype(text: &str) -> Result<Dtype, String> {
    match text {
        "f32" => Ok(Dtype::F32),
        "f16" => Ok(Dtype::F16),
        "bf16" => Ok(Dtype::Bf16),
        _ => Err("expected f32, f16 or bf16".to_owned()),
    }
}

/// The engine's error as a failure: of the environment where the device is to blame, of the input where it asks for
/// what the model cannot do.
pub(super) fn engine_failure(error: &edgemaxx_candle::Error, otherwise: Exit) -> anyhow::Error {
    let exit = match error {
        edgemaxx_candle::Error::Device(_) => Exit::Environment,
        edgemaxx_candle::Error::Request { .. } => Exit::Input,
        _ => otherwise,
    };
    Failure::error(exit, error.to_string())
}

/// Whether a file could be written there, before minutes are spent on what belongs into it.
fn writable(file: &Path) -> anyhow::Result<()> {
    if file.is_dir() {
        return Err(Failure::input(format!("{}: expected a file, found a folder", file.display())));
    }
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    tempfile::tempfile_in(folder).map(drop).in_file(folder)
}

/// What a file's name says that it holds.
enum Form {
    Png,
    Jpeg,
}

impl Form {
    /// Loses little.
    const JPEG_QUALITY: u8 = 95;

    fn of(out: &Path) -> anyhow::Result<Self> {
        let extension = out.extension().map(|extension| extension.to_string_lossy().to_lowercase());
        match extension.as_deref() {
            None | Some("png") => Ok(Self::Png),
            Some("jpg" | "jpeg") => Ok(Self::Jpeg),
            Some(other) => Err(Failure::input(format!(
                "--out {}: expected a name that ends in .png, .jpg or .jpeg, found .{other}",
                out.display()
            ))),
        }
    }

    fn bytes(&self, picture: &Picture) -> anyhow::Result<Vec<u8>> {
        Ok(match self {
            Self::Png => picture.to_png()?,
            Self::Jpeg => picture.to_jpeg(Self::JPEG_QUALITY)?,
        })
    }
}

#[derive(Serialize)]
struct Answer {
    out: PathBuf,
    width: u32,
    height: u32,
    load_ms: f64,
    generate_ms: f64,
}

impl Args {
    pub(crate) fn execute(self) -> anyhow::Result<()> {
        if self.guidance_scale.is_some_and(|scale| !scale.is_finite()) {
            return Err(Failure::input("--guidance-scale: expected a finite number"));
        }
        if self.tensors_out.as_ref() == Some(&self.out) {
            return Err(Failure::input("--tensors-out: expected another file than --out"));
        }
        let form = Form::of(&self.out)?;
        for file in self.tensors_out.iter().chain([&self.out]) {
            writable(file)?;
        }
        if !self.checkpoint.is_dir() {
            return Err(Failure::input(format!("--checkpoint: {}", no_folder(&self.checkpoint))));
        }
        let unet = self.unet.as_deref().map(unet_folder).transpose()?;
        for folder in std::iter::once(&self.checkpoint).chain(&unet) {
            checkpoint_files(folder)?;
        }
        if let Some(class) = self.scheduler.as_deref().filter(|class| !SCHEDULERS.contains(class)) {
            return Err(Failure::input(format!(
                "--scheduler {class}: expected {}, the built-in engine's",
                SCHEDULERS.join(" or ")
            )));
        }
        let began = Instant::now();
        let asked = picture::SettingsPatch {
            steps: self.steps,
            guidance_scale: self.guidance_scale,
            scheduler: self.scheduler,
            dtype: self.dtype,
            vae_tiling: self.vae_tiling.then_some(true),
        };
        let (task, usual) = (PICTURE.task(), Object::of(&picture::Settings::default())?);
        let settings = own_settings(&self.checkpoint, task, &usual, &Object::of(&asked)?)?;
        let settings: picture::Settings = settings.view()?;
        let source = CheckpointSource { root: self.checkpoint, unet };
        let device = self.device.open().map_err(|error| engine_failure(&error, Exit::Environment))?;
        let options = LoadOptions {
            vae_tiling: settings.vae_tiling,
            ..load_options(settings.dtype, settings.scheduler, self.threads, device)
        };
        let pipeline =
            Pipeline::load(&source, &options).map_err(|error| engine_failure(&error, Exit::Input))?;
        let load_ms = began.elapsed().as_secs_f64() * 1e3;

        for remark in pipeline.remarks() {
            note(&format!("warning: {remark}"));
        }
        let negative = self.negative_prompt.as_deref().unwrap_or_default();
        for (flag, text) in [("--prompt", self.prompt.as_str()), ("--negative-prompt", negative)] {
            let cut = pipeline.prompts().cut(text);
            if let Some(cut) = cut.map_err(|error| engine_failure(&error, Exit::Input))? {
                note(&format!("warning: {flag} {cut}; the rest of it is cut"));
            }
        }
        let default = pipeline.default_size();
        let side = |given: Option<u32>, flag: &str| {
            given.map(|side| side as usize).or(default.filter(|side| *side <= SIDE)).ok_or_else(|| {
                Failure::input(format!(
                    "{flag}: the checkpoint names no size of up to {SIDE} pixels; name one"
                ))
            })
        };
        let (width, height) = (side(self.width, "--width")?, side(self.height, "--height")?);
        if (width * height) as u64 > MAX_PIXELS {
            return Err(Failure::input(format!("{width}×{height}: expected at most {MAX_PIXELS} pixels")));
        }
        let shape =
            pipeline.latent_shape(width, height).map_err(|error| Failure::input(error.to_string()))?;
        let request = GenerateRequest {
            prompt: self.prompt,
            negative_prompt: self.negative_prompt,
            latents: torch_randn(self.seed, shape.iter().product()),
            seed: self.seed,
            steps: settings.steps as usize,
            guidance_scale: settings.guidance_scale,
            width,
            height,
        };
        let mut trace = self.tensors_out.is_some().then(Trace::new);
        let began = Instant::now();
        let picture = pipeline
            .generate(&request, trace.as_mut())
            .map_err(|error| engine_failure(&error, Exit::Engine))?;
        let generate_ms = began.elapsed().as_secs_f64() * 1e3;

        let (width, height) = (picture.width as u32, picture.height as u32);
        let picture = Picture::from_rgb(width, height, picture.rgb)
            .map_err(|error| Failure::error(Exit::Engine, error.to_string()))?;
        write_whole(&self.out, &form.bytes(&picture)?).in_file(&self.out)?;
        if let (Some(trace), Some(path)) = (&trace, &self.tensors_out) {
            trace.save(path)?;
        }
        if self.json {
            return answer_json(&Answer { out: self.out, width, height, load_ms, generate_ms });
        }
        answer(&format!(
            "{}: {width}×{height}, loaded in {load_ms:.0} ms, generated in {generate_ms:.0} ms",
            self.out.display()
        ))
    }
}
