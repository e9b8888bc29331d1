//! What the two sides say to each other of pictures.

use edgemaxx_contract::dtype::Dtype;
use edgemaxx_protocol::Object;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::task::{object, parse};

/// Settings of a pipeline, in `load`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// Denoising steps.
    pub steps: u32,
    /// Classifier-free guidance; 1 or less: none.
    pub guidance_scale: f64,
    /// Scheduler class as diffusers names it; absent: the checkpoint's own.
    #[serde(default)]
    pub scheduler: Option<String>,
    /// Number format to compute in.
    pub dtype: Dtype,
    /// Whether the VAE decodes in tiles; absent: not.
    #[serde(default)]
    pub vae_tiling: bool,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
}

impl Settings {
    /// As the protocol carries it.
    pub fn object(&self) -> Object {
        let mut fields = object([
            ("steps", self.steps.into()),
            ("guidance_scale", self.guidance_scale.into()),
            ("dtype", self.dtype.to_string().into()),
            ("width", self.width.into()),
            ("height", self.height.into()),
        ]);
        if let Some(scheduler) = &self.scheduler {
            fields.insert("scheduler".to_owned(), scheduler.as_str().into());
        }
        if self.vae_tiling {
            fields.insert("vae_tiling".to_owned(), Value::Bool(true));
        }
        fields
    }

    /// From what the protocol carried.
    ///
    /// # Errors
    /// In words, what is wrong with it.
    pub fn parse(object: &Object) -> Result<Self, String> {
        parse("load's settings", object)
    }
}

/// What a loaded engine says of its checkpoint, in `ready`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ready {
    /// Channels of the latents, 1 to 64; 4 for SDXL.
    pub latent_channels: u32,
    /// Pixels per latent along either side, 1 to 64; 8 for SDXL.
    pub vae_scale_factor: u32,
}

impl Ready {
    /// As the protocol carries it.
    pub fn object(&self) -> Object {
        object([
            ("latent_channels", self.latent_channels.into()),
            ("vae_scale_factor", self.vae_scale_factor.into()),
        ])
    }

    /// From what the protocol carried.
    ///
    /// # Errors
    /// In words, what is wrong with it.
    pub fn parse(object: &Object) -> Result<Self, String> {
        let ready: Self = parse("ready", object)?;
        for (field, found) in
            [("latent_channels", ready.latent_channels), ("vae_scale_factor", ready.vae_scale_factor)]
        {
            if !(1..=64).contains(&found) {
                return Err(format!("ready: {field}: expected 1 to 64, found {found}"));
            }
        }
        Ok(ready)
    }
}

/// Batch, channels, height, width; the batch is 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LatentShape(pub [u32; 4]);

impl LatentShape {
    /// The shape for a picture of `width` × `height` from an engine that said `ready`; `None` when
    /// the factor does not divide the size.
    pub fn of(ready: Ready, width: u32, height: u32) -> Option<Self> {
        let factor = ready.vae_scale_factor;
        if factor == 0 || !width.is_multiple_of(factor) || !height.is_multiple_of(factor) {
            return None;
        }
        Some(Self([1, ready.latent_channels, height / factor, width / factor]))
    }

    /// How many values; `None` when they are too many to count.
    pub fn len(self) -> Option<usize> {
        self.0.iter().try_fold(1usize, |product, side| product.checked_mul(*side as usize))
    }

    /// Whether it holds no values.
    pub fn is_empty(self) -> bool {
        self.len() == Some(0)
    }
}

/// A request for one picture, in `generate`; its payload are the latents.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ask {
    /// What the picture should show.
    pub prompt: String,
    /// What it should not show; may be empty.
    pub negative_prompt: String,
    /// Seed of the latents, for engines that draw more noise.
    pub seed: u64,
    /// Denoising steps.
    pub steps: u32,
    /// Classifier-free guidance; 1 or less: none.
    pub guidance_scale: f64,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Shape of the latents: f32 little-endian, row-major, standard normal noise *before*
    /// multiplication by the scheduler's initial sigma.
    pub latents: LatentShape,
}

impl Ask {
    /// As the protocol carries it.
    pub fn object(&self) -> Object {
        object([
            ("prompt", self.prompt.as_str().into()),
            ("negative_prompt", self.negative_prompt.as_str().into()),
            ("seed", self.seed.into()),
            ("steps", self.steps.into()),
            ("guidance_scale", self.guidance_scale.into()),
            ("width", self.width.into()),
            ("height", self.height.into()),
            ("latents", self.latents.0.as_slice().into()),
        ])
    }

    /// From what the protocol carried, with its latents.
    ///
    /// # Errors
    /// In words, what is wrong with it.
    pub fn parse(object: &Object, payload: &[u8]) -> Result<(Self, Vec<f32>), String> {
        let ask: Self = parse("generate's ask", object)?;
        let (values, rest) = payload.as_chunks::<4>();
        if !rest.is_empty() || ask.latents.len() != Some(values.len()) {
            let shape = ask.latents.0;
            return Err(format!("generate: latents of shape {shape:?} in {} bytes", payload.len()));
        }
        Ok((ask, values.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()))
    }
}

/// How a picture's bytes are to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Encoding {
    /// Rows from the top, three bytes per pixel.
    Rgb8,
    /// A PNG file of 8 bits per channel.
    Png,
}

/// What an answer says of its payload, a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// How to read the payload.
    pub encoding: Encoding,
}

impl Head {
    /// As the protocol carries it.
    pub fn object(&self) -> Object {
        let encoding = match self.encoding {
            Encoding::Rgb8 => "rgb8",
            Encoding::Png => "png",
        };
        object([("width", self.width.into()), ("height", self.height.into()), ("encoding", encoding.into())])
    }

    /// From what the protocol carried.
    ///
    /// # Errors
    /// In words, what is wrong with it.
    pub fn parse(object: &Object) -> Result<Self, String> {
        parse("answer", object)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_what_is_read() {
        let settings = Settings {
            steps: 20,
            guidance_scale: 5.5,
            scheduler: Some("EulerDiscreteScheduler".to_owned()),
            dtype: Dtype::Bf16,
            vae_tiling: true,
            width: 16,
            height: 24,
        };
        let plain = Settings { scheduler: None, vae_tiling: false, ..settings.clone() };
        assert_eq!(plain.object().len(), 5, "what is not asked for is not said");
        for settings in [settings, plain] {
            assert_eq!(Settings::parse(&settings.object()), Ok(settings));
        }
        let ready = Ready { latent_channels: 4, vae_scale_factor: 8 };
        assert_eq!(Ready::parse(&ready.object()), Ok(ready));
        for encoding in [Encoding::Rgb8, Encoding::Png] {
            let head = Head { width: 3, height: 2, encoding };
            assert_eq!(Head::parse(&head.object()), Ok(head));
        }
        let ask = Ask {
            prompt: "赤い家".to_owned(),
            negative_prompt: String::new(),
            seed: u64::MAX,
            steps: 1,
            guidance_scale: 0.1,
            width: 16,
            height: 8,
            latents: LatentShape([1, 1, 1, 2]),
        };
        let bytes = [0.25f32, -3.0].map(f32::to_le_bytes).concat();
        assert_eq!(Ask::parse(&ask.object(), &bytes), Ok((ask, vec![0.25, -3.0])));
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        let ready = |channels, factor| Ready { latent_channels: channels, vae_scale_factor: factor }.object();
        assert!(Ready::parse(&ready(0, 8)).expect_err("0").contains("latent_channels: expected 1 to 64"));
        assert!(Ready::parse(&ready(4, 65)).expect_err("65").contains("vae_scale_factor"));
        assert!(Ready::parse(&Object::new()).expect_err("nothing").contains("latent_channels"));
        let mut ask = Ask {
            prompt: String::new(),
            negative_prompt: String::new(),
            seed: 0,
            steps: 1,
            guidance_scale: 1.0,
            width: 8,
            height: 8,
            latents: LatentShape([1, 1, 1, 1]),
        };
        assert!(Ask::parse(&ask.object(), &[0; 5]).expect_err("5 bytes").contains("5 bytes"));
        // a shape whose product overflows
        ask.latents = LatentShape([u32::MAX; 4]);
        assert!(Ask::parse(&ask.object(), &[0; 4]).is_err());
    }

    #[test]
    fn a_factor_must_divide_the_size() {
        let ready = Ready { latent_channels: 4, vae_scale_factor: 8 };
        assert_eq!(LatentShape::of(ready, 16, 24), Some(LatentShape([1, 4, 3, 2])));
        assert_eq!(LatentShape::of(ready, 20, 24), None);
    }
}
