//! What the two sides say to each other.

use serde::{Deserialize, Serialize};

use crate::error::ProtocolError;
use crate::frame::{Kind, MAX_ERROR_CHARS, MAX_NAME_CHARS};

/// A frame's content.
#[derive(Debug, Clone, PartialEq)]
pub enum Message {
    /// Engine: what I am.
    Hello(Hello),
    /// Harness: load this checkpoint.
    Load(Load),
    /// Engine: still loading.
    Heartbeat(Heartbeat),
    /// Engine: loaded.
    Ready(Ready),
    /// Harness: make this picture.
    Generate(Generate),
    /// Engine: the picture.
    Image(Image),
    /// Engine: I cannot.
    Error(Refusal),
    /// Harness: that was all.
    Bye(Bye),
}

impl Message {
    /// The kind of frame it travels in.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Hello(_) => Kind::Hello,
            Self::Load(_) => Kind::Load,
            Self::Heartbeat(_) => Kind::Heartbeat,
            Self::Ready(_) => Kind::Ready,
            Self::Generate(_) => Kind::Generate,
            Self::Image(_) => Kind::Image,
            Self::Error(_) => Kind::Error,
            Self::Bye(_) => Kind::Bye,
        }
    }
}

/// What an engine is; shown, never scored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// At most [`MAX_NAME_CHARS`] visible characters.
    pub engine: String,
    /// At most [`MAX_NAME_CHARS`] visible characters.
    pub version: String,
}

/// What to load and how to generate with it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Load {
    /// Absolute path of a folder in the diffusers layout.
    pub checkpoint: String,
    /// Absolute path of a folder whose `unet/` replaces the checkpoint's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unet: Option<String>,
    /// The same for every request.
    pub settings: Settings,
}

/// Settings of a pipeline.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// Denoising steps.
    pub steps: u32,
    /// Classifier-free guidance; 1 or less: none.
    pub guidance_scale: f64,
    /// Scheduler class as diffusers names it; absent: the checkpoint's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scheduler: Option<String>,
    /// Number format to compute in.
    pub dtype: Dtype,
    /// Whether the VAE decodes in tiles; absent: not.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub vae_tiling: bool,
    /// Threads to compute with.
    pub threads: u32,
    /// Picture width in pixels.
    pub width: u32,
    /// Picture height in pixels.
    pub height: u32,
}

/// Number format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Dtype {
    /// 32-bit.
    F32,
    /// 16-bit IEEE.
    F16,
    /// bfloat16.
    Bf16,
}

/// Loading goes on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heartbeat {}

/// The checkpoint is loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ready {
    /// Channels of the latents, 1 to 64; 4 for SDXL.
    pub latent_channels: u32,
    /// Pixels per latent along either side, 1 to 64; 8 for SDXL.
    pub vae_scale_factor: u32,
}

/// A request for one picture.
#[derive(Debug, Clone, PartialEq)]
pub struct Generate {
    /// Echoed by the answer; never twice the same on one connection.
    pub id: u64,
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
    /// Picture width in pixels.
    pub width: u32,
    /// Picture height in pixels.
    pub height: u32,
    /// Shape of [`Self::latents`].
    pub shape: LatentShape,
    /// Standard normal noise, row-major, *before* multiplication by the scheduler's initial sigma.
    pub latents: Vec<f32>,
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

/// The header of [`Generate`].
#[derive(Serialize, Deserialize)]
pub(crate) struct GenerateHeader<'a> {
    pub(crate) id: u64,
    pub(crate) prompt: std::borrow::Cow<'a, str>,
    pub(crate) negative_prompt: std::borrow::Cow<'a, str>,
    pub(crate) seed: u64,
    pub(crate) steps: u32,
    pub(crate) guidance_scale: f64,
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) latents: LatentShape,
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

/// A picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// Of the request answered.
    pub id: u64,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// How to read [`Self::bytes`].
    pub encoding: Encoding,
    /// What the engine says it took, nanoseconds; shown, never scored.
    pub engine_ns: Option<u64>,
    /// The picture.
    pub bytes: Vec<u8>,
}

/// The header of [`Image`].
#[derive(Serialize, Deserialize)]
pub(crate) struct ImageHeader {
    pub(crate) id: u64,
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) encoding: Encoding,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) engine_ns: Option<u64>,
}

/// Something cannot be done: loading, or the request `id`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// Of the request; absent while loading.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<u64>,
    /// Why, in words; at most [`MAX_ERROR_CHARS`] characters are kept.
    pub message: String,
}

/// No further request comes; exit with status 0.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bye {}

fn value(
    kind: Kind,
    field: &'static str,
    expected: impl Into<String>,
    found: impl ToString,
) -> ProtocolError {
    ProtocolError::Value { kind, field, expected: expected.into(), found: found.to_string() }
}

/// `name`, if it is 1 to [`MAX_NAME_CHARS`] printable characters.
fn check_name(field: &'static str, name: &str) -> Result<(), ProtocolError> {
    let length = name.chars().count();
    if (1..=MAX_NAME_CHARS).contains(&length) && !name.chars().any(char::is_control) {
        return Ok(());
    }
    let expected = format!("1 to {MAX_NAME_CHARS} printable characters");
    Err(value(Kind::Hello, field, expected, format!("{length} characters")))
}

/// Checks what the header's types cannot; applied by both encoder and decoder.
pub(crate) fn check(message: &Message) -> Result<(), ProtocolError> {
    match message {
        Message::Hello(hello) => {
            check_name("engine", &hello.engine)?;
            check_name("version", &hello.version)
        }
        Message::Ready(ready) => {
            for (field, found) in
                [("latent_channels", ready.latent_channels), ("vae_scale_factor", ready.vae_scale_factor)]
            {
                if !(1..=64).contains(&found) {
                    return Err(value(Kind::Ready, field, "1 to 64", found));
                }
            }
            Ok(())
        }
        Message::Generate(request) if request.shape.len() != Some(request.latents.len()) => Err(value(
            Kind::Generate,
            "payload",
            format!("latents of shape {:?}", request.shape.0),
            format!("{} values", request.latents.len()),
        )),
        Message::Image(image) => check_image(image),
        _ => Ok(()),
    }
}

/// Checks that raw pixels are as many as the header says.
pub(crate) fn check_image(image: &Image) -> Result<(), ProtocolError> {
    let expected = u64::from(image.width) * u64::from(image.height) * 3;
    if image.encoding != Encoding::Rgb8 || image.bytes.len() as u64 == expected {
        return Ok(());
    }
    Err(value(
        Kind::Image,
        "payload",
        format!("{}×{}×3 = {expected} bytes", image.width, image.height),
        format!("{} bytes", image.bytes.len()),
    ))
}

impl Refusal {
    /// A refusal whose message is shortened to what the protocol allows.
    pub fn new(id: Option<u64>, message: &str) -> Self {
        Self { id, message: message.chars().take(MAX_ERROR_CHARS).collect() }
    }
}
