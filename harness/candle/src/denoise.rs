//! The UNet's answers over the steps of one picture: branch by branch on the CPU, all branches as one recorded batch on a
//! GPU.
use crate::cuda::{Cuda, Replay};
use crate::error::Result;
use crate::prompt::PromptEmbeds;
use crate::unet::{Condition, UNet};
use candle_core::{DType, Tensor};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The conditioning of a picture's branches: without the prompt and with it, or with it alone.
pub(crate) struct Branches {
    /// `[1, tokens, context]` each.
    pub(crate) states: Vec<Tensor>,
    /// `[1, pooled]` each.
    pub(crate) pooled: Vec<Tensor>,
    /// Original height, width, crop top, left, target height, width.
    pub(crate) sizes: [f32; 6],
    /// Weight of the guidance, for a model that takes it.
    pub(crate) guidance_scale: f64,
}

impl Branches {
    /// Adds a branch.
    pub(crate) fn push(&mut self, prompt: PromptEmbeds) {
        self.states.push(prompt.states);
        self.pooled.push(prompt.pooled);
    }
}

/// A step recorded on a GPU for replay, with the tensors it reads.
pub struct Recorded {
    replay: Replay,
    input: Tensor,
    wave: Tensor,
    condition: Condition,
}

/// Predicts noise for one picture.
pub(crate) enum Denoiser<'a> {
    /// Branch by branch.
    Each { unet: &'a UNet, branches: Vec<Condition>, dtype: DType },
    /// As one batch.
    Together { unet: &'a UNet, recorded: MutexGuard<'a, Option<Recorded>> },
}

impl<'a> Denoiser<'a> {
    /// Prepares the picture's conditioning. `latents` is the shape of one branch's input; `slot` keeps what was recorded
    /// for the next picture of the same shape.
    pub(crate) fn new(
        unet: &'a UNet,
        cuda: Option<&Cuda>,
        branches: &Branches,
        latents: &[usize; 4],
        dtype: DType,
        slot: &'a Mutex<Option<Recorded>>,
    ) -> Result<Self> {
        let Some(cuda) = cuda else {
            let each = branches.states.iter().zip(&branches.pooled);
            let branches = each
                .map(|(s, p)| unet.condition(s, p, &branches.sizes, branches.guidance_scale))
                .collect::<Result<_>>()?;
            return Ok(Self::Each { unet, branches, dtype });
        };
        let (states, pooled) = (Tensor::cat(&branches.states, 0)?, Tensor::cat(&branches.pooled, 0)?);
        let condition = unet.condition(&states, &pooled, &branches.sizes, branches.guidance_scale)?;
        let mut recorded = slot.lock().unwrap_or_else(PoisonError::into_inner);
        let [_, h, w, c] = *latents;
        let shape = [branches.states.len(), h, w, c];
        match &*recorded {
            Some(known) if known.input.dims() == shape => known.condition.overwrite(&condition)?,
            _ => {
                // frees the old recording's memory first
                *recorded = None;
                *recorded = Some(Recorded::new(unet, cuda, condition, &shape, dtype)?);
            }
        }
        Ok(Self::Together { unet, recorded })
    }

    /// The UNet's output at time `t` for each branch, `[1, h, w, c]` in f32.
    pub(crate) fn run(&self, input: &Tensor, t: f32) -> Result<Vec<Tensor>> {
        match self {
            Self::Each { unet, branches, dtype } => {
                let input = input.to_dtype(*dtype)?;
                let one = |c: &Condition| -> Result<Tensor> {
                    Ok(unet.forward(&input, t, c)?.to_dtype(DType::F32)?)
                };
                match branches.as_slice() {
                    // independent, so side by side
                    [a, b] if input.device().is_cpu() => {
                        let (a, b) = rayon::join(|| one(a), || one(b));
                        Ok(vec![a?, b?])
                    }
                    all => all.iter().map(one).collect(),
                }
            }
            Self::Together { unet, recorded } => {
                let Some(recorded) = &**recorded else { return Ok(vec![]) };
                let output = recorded.run(unet, input, t)?.to_dtype(DType::F32)?;
                (0..output.dim(0)?).map(|i| Ok(output.narrow(0, i, 1)?)).collect()
            }
        }
    }
}

impl Recorded {
    fn new(unet: &UNet, cuda: &Cuda, condition: Condition, shape: &[usize; 4], dtype: DType) -> Result<Self> {
        let device = condition.device();
        let input = Tensor::zeros(shape.to_vec(), dtype, device)?;
        let wave = unet.wave(&vec![0.0; shape[0]], &condition, device, dtype)?;
        let replay = cuda.record(&mut || unet.forward_wave(&input, &wave, &condition))?;
        Ok(Self { replay, input, wave, condition })
    }

    /// Records the UNet's step for a batch of inputs `[batch, h, w, channels]`, `None` where there is no GPU.
    ///
    /// # Errors
    /// The computation fails.
    pub fn of(unet: &UNet, condition: Condition, shape: &[usize; 4], dtype: DType) -> Result<Option<Self>> {
        let Some(cuda) = Cuda::of(condition.device())? else { return Ok(None) };
        Self::new(unet, &cuda, condition, shape, dtype).map(Some)
    }

    /// The UNet's output at time `t` for `input`, which is one image for the whole batch, or the batch. The next call
    /// overwrites it.
    ///
    /// # Errors
    /// The computation fails.
    pub fn run(&self, unet: &UNet, input: &Tensor, t: f32) -> Result<&Tensor> {
        let input = input.to_dtype(self.input.dtype())?.contiguous()?;
        let (batch, given) = (self.input.dim(0)?, input.dim(0)?);
        for i in (0..batch).step_by(given.max(1)) {
            self.input.slice_set(&input, 0, i)?;
        }
        let wave = unet.wave(&vec![t; batch], &self.condition, self.wave.device(), self.wave.dtype())?;
        self.wave.slice_set(&wave, 0, 0)?;
        Ok(self.replay.run()?)
    }
}
