//! Measures the engine on a GPU, part by part, beside what another program computed from the same files:
//! `scripts/bench-gpu` runs it beside diffusers. Prints one JSON object a line.
#![allow(clippy::print_stdout, reason = "a measuring program")]
#![allow(clippy::unwrap_used, reason = "a measuring program")]

use edgemaxx_candle::unet::{Condition, UNet, UNetConfig};
use edgemaxx_candle::vae::{Vae, VaeConfig};
use edgemaxx_candle::weights::Weights;
use edgemaxx_candle::{
    Accelerator, CheckpointSource, DType, Device, GenerateRequest, LoadOptions, Pipeline, Recorded, Tensor,
};
use std::path::{Path, PathBuf};
use std::time::Instant;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

const USAGE: &str =
    "usage: gpu step|vae|picture|serve|profile|profile-vae CHECKPOINT f16|bf16|f32 IO.safetensors [RUNS]
  step     the UNet on `x`, `ctx`, `te`, `ids`, `t` of IO, compared with its `y`
  vae      the decoder on `z` of IO, compared with its `image`
  picture  a whole picture of 20 steps; IO is the PPM to write
  serve    RUNS steps for every line that it reads, answered with the milliseconds they took
  profile  the UNet, or profile-vae the decoder, once and unmeasured, for a profiler around it";

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [what, root, dtype, io, rest @ ..] = args.as_slice() else { return Err(USAGE.into()) };
    let dtype = match dtype.as_str() {
        "f16" => DType::F16,
        "bf16" => DType::BF16,
        "f32" => DType::F32,
        _ => return Err(USAGE.into()),
    };
    let runs = rest.first().map_or(Ok(20), |n| n.parse())?;
    let device = Accelerator::Cuda.open()?;
    match what.as_str() {
        "step" => step(Path::new(root), dtype, Path::new(io), Some(runs), &device),
        "serve" => serve(Path::new(root), dtype, Path::new(io), runs, &device),
        "vae" => vae(Path::new(root), dtype, Path::new(io), Some(runs), &device),
        "profile-vae" => vae(Path::new(root), dtype, Path::new(io), None, &device),
        "profile" => step(Path::new(root), dtype, Path::new(io), None, &device),
        "picture" => picture(root.into(), dtype, Path::new(io), runs, device),
        _ => Err(USAGE.into()),
    }
}

fn weights(root: &Path, part: &str, dtype: DType, device: &Device) -> Result<Weights> {
    Ok(Weights::open_dir(&root.join(part), "diffusion_pytorch_model", dtype, device)?)
}

/// Milliseconds of `runs` runs after three of warming up, sorted.
fn times(runs: usize, device: &Device, mut work: impl FnMut() -> Result<()>) -> Result<Vec<f64>> {
    let mut all = vec![];
    for i in 0..runs + 3 {
        device.synchronize()?;
        let began = Instant::now();
        work()?;
        device.synchronize()?;
        if i >= 3 {
            all.push(began.elapsed().as_secs_f64() * 1e3);
        }
    }
    all.sort_by(f64::total_cmp);
    Ok(all)
}

fn say(what: &str, dtype: DType, ms: &[f64], more: &str) {
    let (median, least) = (ms[ms.len() / 2], ms[0]);
    println!(
        r#"{{"what":"{what}","dtype":"{dtype:?}","median_ms":{median:.3},"min_ms":{least:.3},"max_ms":{:.3},"runs":{}{more}}}"#,
        ms[ms.len() - 1],
        ms.len()
    );
}

/// FNV-1a of a tensor's numbers.
fn hash(t: &Tensor) -> Result<u64> {
    let numbers = t.to_dtype(DType::F32)?.flatten_all()?.to_vec1::<f32>()?;
    let bytes = numbers.iter().flat_map(|v| v.to_bits().to_le_bytes());
    Ok(bytes.fold(0xcbf2_9ce4_8422_2325, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3)))
}

/// ‖a − b‖ / ‖b‖.
fn error(a: &Tensor, b: &Tensor) -> Result<f64> {
    let (a, b) = (a.to_dtype(DType::F32)?, b.to_dtype(DType::F32)?);
    let sum = |t: &Tensor| -> Result<f64> { Ok(f64::from(t.sqr()?.sum_all()?.to_scalar::<f32>()?)) };
    Ok((sum(&(&a - &b)?)? / sum(&b)?).sqrt())
}

fn io(path: &Path, name: &str, device: &Device) -> Result<Tensor> {
    let files = Weights::open_files(vec![path.to_path_buf()], DType::F32, device)?;
    let (_, shape) = files.info(name).ok_or_else(|| format!("{name} is not in {}", path.display()))?;
    Ok(files.plain().get(shape, name)?)
}

/// A UNet, and what a step of it takes.
struct Step {
    unet: UNet,
    x: Tensor,
    t: f32,
    context: Tensor,
    text: Tensor,
    sizes: [f32; 6],
}

impl Step {
    fn load(root: &Path, dtype: DType, path: &Path, device: &Device) -> Result<Self> {
        let config = UNetConfig::read(&root.join("unet/config.json"))?;
        let unet = UNet::load(&weights(root, "unet", dtype, device)?, config)?;
        let tensor =
            |name: &str| Ok::<_, Box<dyn std::error::Error>>(io(path, name, device)?.to_dtype(dtype)?);
        let numbers =
            |name: &str| -> Result<Vec<f32>> { Ok(io(path, name, device)?.flatten_all()?.to_vec1::<f32>()?) };
        let x = tensor("x")?.permute((0, 2, 3, 1))?.contiguous()?;
        let sizes = numbers("ids")?.try_into().map_err(|_| "six sizes")?;
        Ok(Self { unet, x, t: numbers("t")?[0], context: tensor("ctx")?, text: tensor("te")?, sizes })
    }

    fn condition(&self) -> Result<Condition> {
        Ok(self.unet.condition(&self.context, &self.text, &self.sizes, 1.0)?)
    }

    fn record(&self) -> Result<Option<Recorded>> {
        let (b, h, w, channels) = self.x.dims4()?;
        Ok(Recorded::of(&self.unet, self.condition()?, &[b, h, w, channels], self.x.dtype())?)
    }
}

fn step(root: &Path, dtype: DType, path: &Path, runs: Option<usize>, device: &Device) -> Result<()> {
    let began = Instant::now();
    let step = Step::load(root, dtype, path, device)?;
    device.synchronize()?;
    let load = began.elapsed().as_secs_f64() * 1e3;
    let y = io(path, "y", device)?.permute((0, 2, 3, 1))?.contiguous()?;
    let c = step.condition()?;
    let (unet, x, t) = (&step.unet, &step.x, step.t);
    let mut out = unet.forward(x, t, &c)?;
    let Some(runs) = runs else { return Ok(device.synchronize()?) };
    let (first, wrong) = (hash(&out)?, error(&out, &y)?);
    let ms = times(runs, device, || {
        out = unet.forward(x, t, &c)?;
        Ok(())
    })?;
    let same = hash(&out)? == first;
    say(
        "step, launched",
        dtype,
        &ms,
        &format!(r#","error":{wrong:e},"hash":"{first:016x}","same":{same},"load_ms":{load:.0}"#),
    );
    let Some(recorded) = step.record()? else { return Ok(()) };
    let mut again = 0;
    let ms = times(runs, device, || {
        recorded.run(unet, x, t)?;
        Ok(())
    })?;
    for _ in 0..3 {
        again = hash(recorded.run(unet, x, t)?)?;
    }
    let wrong = error(recorded.run(unet, x, t)?, &y)?;
    say(
        "step, replayed",
        dtype,
        &ms,
        &format!(r#","error":{wrong:e},"hash":"{again:016x}","same":{}"#, again == first),
    );
    Ok(())
}

fn serve(root: &Path, dtype: DType, path: &Path, runs: usize, device: &Device) -> Result<()> {
    let step = Step::load(root, dtype, path, device)?;
    let recorded = step.record()?.ok_or("this device records nothing")?;
    for line in std::io::stdin().lines() {
        line?;
        device.synchronize()?;
        let began = Instant::now();
        for _ in 0..runs {
            recorded.run(&step.unet, &step.x, step.t)?;
        }
        device.synchronize()?;
        println!("{:.4}", began.elapsed().as_secs_f64() * 1e3);
    }
    Ok(())
}

fn vae(root: &Path, dtype: DType, path: &Path, runs: Option<usize>, device: &Device) -> Result<()> {
    let config = VaeConfig::read(&root.join("vae/config.json"))?;
    let mut w = weights(root, "vae", dtype, device)?;
    let tf32 = std::env::var_os("TF32").is_some();
    if tf32 {
        w = w.allowing_tf32();
    }
    let vae = Vae::load(&w, config)?;
    let z = io(path, "z", device)?.permute((0, 2, 3, 1))?.contiguous()?.to_dtype(dtype)?;
    let image = io(path, "image", device)?.permute((0, 2, 3, 1))?.contiguous()?;
    let mut out = vae.decode(&z)?;
    let Some(runs) = runs else { return Ok(device.synchronize()?) };
    let (first, wrong) = (hash(&out)?, error(&out, &image)?);
    let ms = times(runs, device, || {
        out = vae.decode(&z)?;
        Ok(())
    })?;
    let same = hash(&out)? == first;
    let what = if tf32 { "vae, TF32" } else { "vae" };
    say(what, dtype, &ms, &format!(r#","error":{wrong:e},"hash":"{first:016x}","same":{same}"#));
    Ok(())
}

fn picture(root: PathBuf, dtype: DType, out: &Path, runs: usize, device: Device) -> Result<()> {
    let began = Instant::now();
    let source = CheckpointSource { root, unet: None };
    let vae_tiling = std::env::var_os("VAE_TILING").is_some();
    let options =
        LoadOptions { dtype, device: device.clone(), threads: Some(4), vae_tiling, scheduler: None };
    let pipeline = Pipeline::load(&source, &options)?;
    device.synchronize()?;
    let load = began.elapsed().as_secs_f64() * 1e3;
    let side = std::env::var("SIDE").map_or(Ok(1024), |s| s.parse())?;
    let request = GenerateRequest {
        prompt: "red apple".to_owned(),
        negative_prompt: Some("blue".to_owned()),
        latents: edgemaxx_contract::noise::torch_randn(
            1,
            pipeline.latent_shape(side, side)?.iter().product(),
        ),
        seed: 1,
        steps: 20,
        guidance_scale: 5.0,
        width: side,
        height: side,
    };
    let began = Instant::now();
    let first = pipeline.generate(&request, None)?;
    let first_ms = began.elapsed().as_secs_f64() * 1e3;
    let mut same = true;
    let ms = times(runs, &device, || {
        same &= pipeline.generate(&request, None)? == first;
        Ok(())
    })?;
    let (free, all) = device.as_cuda_device()?.cuda_stream().context().mem_get_info()?;
    let used = (all - free) >> 20;
    let hash = first
        .rgb
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |h, b| (h ^ u64::from(*b)).wrapping_mul(0x0100_0000_01b3));
    say(
        "picture",
        dtype,
        &ms,
        &format!(
            r#","hash":"{hash:016x}","same":{same},"load_ms":{load:.0},"first_ms":{first_ms:.0},"card_used_mib":{used}"#
        ),
    );
    let mut ppm = format!("P6 {} {} 255\n", first.width, first.height).into_bytes();
    ppm.extend(&first.rgb);
    Ok(std::fs::write(out, ppm)?)
}
