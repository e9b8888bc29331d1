//! The whole way from prompt to picture, as diffusers' `StableDiffusionXLPipeline` goes it.
use crate::accelerator::explain;
use crate::cuda::Cuda;
use crate::denoise::{Branches, Denoiser, Recorded};
use crate::error::{Error, Result};
use crate::model_index::ModelIndex;
use crate::prompt::{PromptEmbeds, PromptEncoder};
use crate::schedule::{Noise, SCHEDULERS, Schedule, ScheduleConfig};
use crate::threads;
use crate::trace::Trace;
use crate::unet::{Replacement, UNet, UNetConfig};
use crate::vae::{Vae, VaeConfig};
use crate::weights::Weights;
use candle_core::{DType, Device, Tensor};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

/// Where a checkpoint lies.
#[derive(Debug, Clone)]
pub struct CheckpointSource {
    /// Folder in the diffusers layout (`model_index.json`, `unet/`, `vae/`, …).
    pub root: PathBuf,
    /// Where lies what is used in the place of its UNet, as [`crate::unet_folder`] finds it.
    pub unet: Option<PathBuf>,
}

impl CheckpointSource {
    /// The folder with the `config.json` of its UNet, or of the one in its place; a LoRA, and a single file, have none of their
    /// own.
    pub fn unet_config(&self) -> PathBuf {
        Replacement::of(&self.root, self.unet.as_deref()).folder().to_path_buf()
    }
}

/// How a checkpoint is run.
#[derive(Debug, Clone)]
pub struct LoadOptions {
    /// Compute type: f32, f16 or bf16. The VAE stays in f32 where the checkpoint says that half overflows.
    pub dtype: DType,
    /// Where it runs.
    pub device: Device,
    /// Threads on the CPU, `None` for as many as there are cores. They change the speed, never a bit of the picture.
    pub threads: Option<usize>,
    /// Scheduler class instead of the checkpoint's own; the rest of its configuration stays.
    pub scheduler: Option<String>,
    /// Whether the VAE decodes in tiles ([`Vae::decode_tiled`]): less memory, more time, another picture near the seams.
    pub vae_tiling: bool,
}

impl Default for LoadOptions {
    fn default() -> Self {
        Self { dtype: DType::F32, device: Device::Cpu, threads: None, scheduler: None, vae_tiling: false }
    }
}

/// One picture to make.
#[derive(Debug, Clone)]
pub struct GenerateRequest {
    /// What to show.
    pub prompt: String,
    /// What to avoid; `None` differs from an empty one where the checkpoint says `force_zeros_for_empty_prompt`.
    pub negative_prompt: Option<String>,
    /// Initial noise with variance 1, `[1, channels, h, w]` row-major, see [`Pipeline::latent_shape`].
    pub latents: Vec<f32>,
    /// What the latents were drawn from, and what the scheduler draws from after them, where it adds noise on the way.
    pub seed: u64,
    /// Steps of the scheduler.
    pub steps: usize,
    /// Weight of classifier-free guidance; 1 or less means none. A model that takes it as an input (`time_cond_proj_dim`)
    /// is asked once a step, with it and without the negative prompt.
    pub guidance_scale: f64,
    /// Pixels, a multiple of the VAE's factor.
    pub width: usize,
    /// Pixels, a multiple of the VAE's factor.
    pub height: usize,
}

/// A finished picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    /// Pixels per row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// Rows from the top, three bytes per pixel.
    pub rgb: Vec<u8>,
}

/// A loaded checkpoint.
pub struct Pipeline {
    prompts: PromptEncoder,
    unet: UNet,
    vae: Vae,
    schedule: ScheduleConfig,
    zeros_for_empty: bool,
    dtype: DType,
    vae_dtype: DType,
    vae_tiling: bool,
    device: Device,
    threads: rayon::ThreadPool,
    cuda: Option<Cuda>,
    recorded: Mutex<Option<Recorded>>,
    remarks: Vec<String>,
}

/// How tensors are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reading {
    /// For the fastest operations there are.
    Fused,
    /// For candle's own operations.
    Plain,
    /// Not at all: see [`crate::Unread`].
    Not,
}

impl Pipeline {
    /// Loads a checkpoint.
    ///
    /// # Errors
    /// Every way in which the folder may be unfit, naming the file and the field or tensor.
    pub fn load(source: &CheckpointSource, options: &LoadOptions) -> Result<Self> {
        Self::load_with(source, options, Reading::Fused).map_err(explain)
    }

    /// Loads a checkpoint for candle's own operations even where fused ones exist: slow, to compare with.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn load_plain(source: &CheckpointSource, options: &LoadOptions) -> Result<Self> {
        Self::load_with(source, options, Reading::Plain)
    }

    /// Opens a checkpoint as [`Self::load`] does, and reads no weight: it makes no picture.
    pub(crate) fn load_unread(source: &CheckpointSource, options: &LoadOptions) -> Result<Self> {
        let options = LoadOptions { device: Device::Cpu, threads: Some(1), ..options.clone() };
        Self::load_with(source, &options, Reading::Not)
    }

    fn load_with(source: &CheckpointSource, options: &LoadOptions, reading: Reading) -> Result<Self> {
        let LoadOptions { dtype, device, threads, scheduler, vae_tiling } = options.clone();
        let root = &source.root;
        let index = ModelIndex::read(root, scheduler.as_deref())?;
        if ![DType::F32, DType::F16, DType::BF16].contains(&dtype) {
            let found = format!("{dtype:?}");
            return Err(Error::Request { field: "dtype", found, expected: "f32, f16 or bf16".to_string() });
        }
        let threads = threads::pool(threads)?;
        let scheduler_config = root.join("scheduler").join("scheduler_config.json");
        let (class, remarks) = match (scheduler.as_deref(), index.scheduler()) {
            (Some(asked), _) => (Some(asked), Vec::new()),
            (None, named) => (named, differing(named, &scheduler_config)?),
        };
        let schedule = ScheduleConfig::read(&scheduler_config, class)?;
        let unet_source = Replacement::of(root, source.unet.as_deref());
        let unet_dir = unet_source.folder();
        let unet_config = UNetConfig::read(&unet_dir.join("config.json"))?;
        let vae_dir = root.join("vae");
        let vae_config = VaeConfig::read(&vae_dir.join("config.json"))?;
        if unet_config.in_channels != vae_config.latent_channels
            || unet_config.out_channels != unet_config.in_channels
        {
            let found = format!("{} in, {} out", unet_config.in_channels, unet_config.out_channels);
            let expected = format!("{}, the VAE's latent_channels", vae_config.latent_channels);
            return Err(Error::config(&unet_dir.join("config.json"), "in_channels", found, expected));
        }
        let vae_dtype = if vae_config.force_upcast && dtype == DType::F16 { DType::F32 } else { dtype };
        let as_asked = |weights: Weights| match reading {
            Reading::Fused => weights,
            Reading::Plain => weights.plain(),
            Reading::Not => weights.unread(),
        };
        let component = |dir: &Path, stem: &str, dtype| -> Result<Weights> {
            Ok(as_asked(Weights::open_dir(dir, stem, dtype, &device)?))
        };
        let cuda = Cuda::of(&device)?.filter(|_| reading == Reading::Fused);
        let model = "diffusion_pytorch_model";
        // f32 only because half overflows: the precision asked for is that of half, which TF32 has
        let vae_weights = |w: Weights| if vae_dtype == dtype { w } else { w.allowing_tf32() };
        let (prompts, unet, vae) = threads.install(|| -> Result<_> {
            Ok((
                PromptEncoder::load(root, |dir| component(dir, "model", dtype))?,
                UNet::load(&as_asked(unet_source.open(dtype, &device)?), unet_config)?,
                Vae::load(&vae_weights(component(&vae_dir, model, vae_dtype)?), vae_config)?,
            ))
        })?;
        text_fits(&prompts, unet.config(), &unet_dir.join("config.json"))?;
        if let Some(cuda) = &cuda {
            cuda.trim()?;
        }
        let zeros_for_empty = index.zeros_for_empty()?;
        let recorded = Mutex::new(None);
        Ok(Self {
            prompts,
            unet,
            vae,
            schedule,
            zeros_for_empty,
            dtype,
            vae_dtype,
            vae_tiling,
            device,
            threads,
            cuda,
            recorded,
            remarks,
        })
    }

    /// What is odd about the checkpoint and does not keep it from drawing.
    pub fn remarks(&self) -> &[String] {
        &self.remarks
    }

    /// Both tokenizers and text encoders.
    pub fn prompts(&self) -> &PromptEncoder {
        &self.prompts
    }

    /// The schedule.
    pub(crate) fn schedule(&self) -> &ScheduleConfig {
        &self.schedule
    }

    /// Shape of the initial noise for a picture: `[1, channels, height / factor, width / factor]`.
    pub fn latent_shape(&self, width: usize, height: usize) -> Result<[usize; 4]> {
        let factor = self.vae.config().factor();
        for (field, size) in [("width", width), ("height", height)] {
            if size == 0 || size % factor != 0 {
                let expected = format!("a positive multiple of {factor}");
                return Err(Error::Request { field, found: size.to_string(), expected });
            }
        }
        Ok([1, self.unet.config().in_channels, height / factor, width / factor])
    }

    /// The side in pixels that the model was trained at, where its configuration says.
    pub fn default_size(&self) -> Option<usize> {
        self.unet.config().sample_size.map(|s| s * self.vae.config().factor())
    }

    /// Makes a picture, and notes intermediate tensors in `trace`.
    pub fn generate(&self, request: &GenerateRequest, trace: Option<&mut Trace>) -> Result<Picture> {
        self.threads.install(|| self.run(request, trace)).map_err(explain)
    }

    fn run(&self, r: &GenerateRequest, mut trace: Option<&mut Trace>) -> Result<Picture> {
        let shape = self.latent_shape(r.width, r.height)?;
        let wanted: usize = shape.iter().product();
        if r.latents.len() != wanted {
            let expected = format!("{wanted} numbers (shape {shape:?})");
            return Err(Error::Request {
                field: "latents",
                found: format!("{} numbers", r.latents.len()),
                expected,
            });
        }
        if !r.guidance_scale.is_finite() {
            let found = r.guidance_scale.to_string();
            return Err(Error::Request {
                field: "guidance_scale",
                found,
                expected: "a finite number".to_string(),
            });
        }
        let mut note = |name: &str, t: &dyn Fn() -> Result<Tensor>| match &mut trace {
            Some(trace) => trace.put(name, &t()?),
            None => Ok(()),
        };
        let mut schedule = Schedule::new(&self.schedule, r.steps)?;
        let mut noise = Noise::new(r.seed);
        let prompt = self.prompts.encode(&r.prompt)?;
        note("prompt_embeds", &|| Ok(prompt.states.clone()))?;
        note("pooled_prompt_embeds", &|| Ok(prompt.pooled.clone()))?;
        let (h, w) = (r.height as f32, r.width as f32);
        let sizes = [h, w, 0.0, 0.0, h, w];
        let mut branches =
            Branches { states: vec![], pooled: vec![], sizes, guidance_scale: r.guidance_scale };
        // A model that takes the scale as an input was distilled to answer as if it were guided.
        if r.guidance_scale > 1.0 && self.unet.config().guidance_embed.is_none() {
            let negative = self.negative(&prompt, r.negative_prompt.as_deref())?;
            note("negative_prompt_embeds", &|| Ok(negative.states.clone()))?;
            note("negative_pooled_prompt_embeds", &|| Ok(negative.pooled.clone()))?;
            branches.push(negative);
        }
        branches.push(prompt);

        let latents = Tensor::from_slice(&r.latents, &shape, &Device::Cpu)?.to_device(&self.device)?;
        note("initial_latents", &|| Ok(latents.clone()))?;
        let mut x = (to_last(&latents)? * f64::from(schedule.initial_scale()))?;
        let [n, c, rows, columns] = shape;
        let cuda = self.cuda.as_ref();
        let denoiser =
            Denoiser::new(&self.unet, cuda, &branches, &[n, rows, columns, c], self.dtype, &self.recorded)?;
        for (i, t) in schedule.times().to_vec().into_iter().enumerate() {
            let input = schedule.scale_input(&x, i)?;
            let outputs = denoiser.run(&input, t)?;
            if i == 0 {
                note("unet_first_input", &|| {
                    to_first(&Tensor::cat(&vec![&input.to_dtype(self.dtype)?; outputs.len()], 0)?)
                })?;
                note("unet_first_output", &|| to_first(&Tensor::cat(&outputs, 0)?))?;
            }
            let output = guide(&outputs, r.guidance_scale)?;
            x = schedule.step(&output, i, &x, &mut noise)?;
        }
        note("final_latents", &|| to_first(&x))?;
        let x = self.vae.unscale(&x)?.to_dtype(self.vae_dtype)?;
        let image = if self.vae_tiling { self.decode_in_little(&x)? } else { self.vae.decode(&x)? };
        let image = image.to_dtype(DType::F32)?.get(0)?;
        let image = ((image * 0.5)? + 0.5)?;
        note("image_hwc", &|| Ok(image.clamp(0f32, 1f32)?))?;
        let values = image.flatten_all()?.to_vec1::<f32>()?;
        let undefined = values.iter().filter(|v| !v.is_finite()).count();
        if undefined > 0 {
            let half = self.dtype != DType::F32;
            return Err(Error::NotFinite { half, undefined, values: values.len() });
        }
        let rgb = values.iter().map(|v| (v.clamp(0.0, 1.0) * 255.0).round_ties_even() as u8).collect();
        Ok(Picture { width: r.width, height: r.height, rgb })
    }

    /// Decodes in tiles, and on a GPU keeps neither the step's memory meanwhile nor the decoder's afterwards.
    fn decode_in_little(&self, latents: &Tensor) -> Result<Tensor> {
        let decode = || self.vae.decode_tiled(latents);
        let Some(cuda) = &self.cuda else { return decode() };
        cuda.trim()?;
        let image = cuda.aside(decode)?;
        cuda.trim()?;
        Ok(image)
    }

    fn negative(&self, prompt: &PromptEmbeds, text: Option<&str>) -> Result<PromptEmbeds> {
        match text {
            None if self.zeros_for_empty => prompt.zeros_like(),
            text => self.prompts.encode(text.unwrap_or("")),
        }
    }
}

/// What is to be said where a scheduler's own configuration names another class than `model_index.json`, whose word
/// counts in diffusers; one that this engine does not know is refused, as that configuration was written for it.
fn differing(named: Option<&str>, config: &Path) -> Result<Vec<String>> {
    let (Some(named), Some(own)) = (named, ScheduleConfig::class(config)?) else { return Ok(Vec::new()) };
    if !SCHEDULERS.contains(&own.as_str()) {
        let expected = format!("{named}, as in model_index.json, or `{}`", SCHEDULERS.join("` or `"));
        return Err(Error::config(config, "_class_name", format!("`{own}`"), expected));
    }
    let differs = own != named;
    Ok(differs
        .then(|| {
            format!(
                "model_index.json names the scheduler {named}, scheduler_config.json {own}; {named} is used, as by diffusers"
            )
        })
        .into_iter()
        .collect())
}

/// Refuses text encoders whose states are not what the UNet was made for.
fn text_fits(prompts: &PromptEncoder, unet: &UNetConfig, path: &Path) -> Result<()> {
    let (states, pooled) = prompts.widths();
    if let Some(level) = unet.levels.iter().find(|level| level.context != states) {
        let expected = format!("{states}, the hidden_size of text_encoder and text_encoder_2 together");
        return Err(Error::config(path, "cross_attention_dim", level.context, expected));
    }
    let added = pooled + 6 * unet.size_embed;
    if unet.added != added {
        let expected =
            format!("{added}, text_encoder_2's projection_dim and six times addition_time_embed_dim");
        return Err(Error::config(path, "projection_class_embeddings_input_dim", unet.added, expected));
    }
    Ok(())
}

/// `[batch, channels, h, w]` → `[batch, h, w, channels]`.
fn to_last(x: &Tensor) -> Result<Tensor> {
    Ok(x.permute((0, 2, 3, 1))?.contiguous()?)
}

/// `[batch, h, w, channels]` → `[batch, channels, h, w]`.
fn to_first(x: &Tensor) -> Result<Tensor> {
    Ok(x.permute((0, 3, 1, 2))?.contiguous()?)
}

/// Classifier-free guidance: unconditional + scale·(conditional − unconditional).
fn guide(outputs: &[Tensor], scale: f64) -> Result<Tensor> {
    match outputs {
        [without, with] => Ok((without + ((with - without)? * scale)?)?),
        _ => Ok(outputs[0].clone()),
    }
}
