//! [`PICTURE`]: a prompt in, a picture out.

use serde::{Deserialize, Serialize};

use super::definition::{Noun, Row, Task, TaskRef};
use super::object::{self, Object};
use super::prompts::{PromptsError, prompt_lines};
use crate::dtype::Dtype;
use crate::input::{Input, InputError};

/// A prompt in, a picture out.
pub struct Picture;

/// A prompt in, a picture out.
pub static PICTURE: Picture = Picture;

/// The largest picture that is judged, pixels: two of 4096².
pub const MAX_PIXELS: u64 = 1 << 25;

/// What every request of a contest shares.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// Prompt file, relative to the contest file.
    pub prompts: String,
    /// What the picture should not show; may be empty.
    #[serde(default)]
    pub negative_prompt: String,
    /// Picture width in pixels.
    pub width: u32,
    /// Picture height in pixels.
    pub height: u32,
}

/// Settings a pipeline generates with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Denoising steps.
    pub steps: u32,
    /// Classifier-free guidance; 1 or less: none.
    pub guidance_scale: f64,
    /// Scheduler class; `None`: the checkpoint's own.
    #[serde(default)]
    pub scheduler: Option<String>,
    /// Number format.
    #[serde(default)]
    pub dtype: Dtype,
    /// Whether the VAE decodes in tiles, as diffusers' `enable_vae_tiling`: less memory, another picture near the seams.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub vae_tiling: bool,
}

/// Settings that differ from the baseline's.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SettingsPatch {
    /// See [`Settings::steps`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub steps: Option<u32>,
    /// See [`Settings::guidance_scale`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub guidance_scale: Option<f64>,
    /// See [`Settings::scheduler`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scheduler: Option<String>,
    /// See [`Settings::dtype`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dtype: Option<Dtype>,
    /// See [`Settings::vae_tiling`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vae_tiling: Option<bool>,
}

/// What one request asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ask {
    /// What the picture should show.
    pub prompt: String,
}

impl Request {
    /// As contests and plans hold it.
    ///
    /// # Errors
    /// [`InputError`]: a value out of range.
    pub fn checked(&self) -> Result<object::RequestSpec, InputError> {
        TaskRef::new(&PICTURE).request(&Input::json("request", &Object::of(self)?.to_value()))
    }
}

impl Settings {
    /// As contests and plans hold them.
    ///
    /// # Errors
    /// [`InputError`]: a value out of range.
    pub fn checked(&self) -> Result<object::Settings, InputError> {
        TaskRef::new(&PICTURE).settings(&Input::json("settings", &Object::of(self)?.to_value()))
    }
}

impl Default for Settings {
    /// What a pipeline generates with where nobody says otherwise.
    fn default() -> Self {
        Self { steps: 20, guidance_scale: 5.0, scheduler: None, dtype: Dtype::F32, vae_tiling: false }
    }
}

impl SettingsPatch {
    /// As contests hold it.
    ///
    /// # Errors
    /// [`InputError`]: a value out of range.
    pub fn checked(&self) -> Result<object::SettingsPatch, InputError> {
        TaskRef::new(&PICTURE).patch(&Input::json("settings", &Object::of(self)?.to_value()))
    }
}

impl Ask {
    /// As plans hold it.
    pub fn checked(&self) -> Result<object::Ask, InputError> {
        TaskRef::new(&PICTURE).ask(&Input::json("ask", &Object::of(self)?.to_value()))
    }
}

fn check(input: &Input<'_>, steps: Option<u32>, guidance_scale: Option<f64>) -> Result<(), InputError> {
    if let Some(steps) = steps {
        input.within("steps", steps, 1, 1000)?;
    }
    if let Some(scale) = guidance_scale {
        input.within("guidance_scale", scale, 0.0, 100.0)?;
    }
    Ok(())
}

impl Task for Picture {
    fn name(&self) -> &'static str {
        "picture"
    }

    fn answer(&self) -> Noun {
        Noun { one: "picture", several: "pictures" }
    }

    fn extension(&self) -> &'static str {
        "png"
    }

    fn read_request(&self, input: &Input<'_>) -> Result<Object, InputError> {
        let request: Request = input.read()?;
        input.within("width", request.width, 8, 8192)?;
        input.within("height", request.height, 8, 8192)?;
        let pixels = u64::from(request.width) * u64::from(request.height);
        if pixels > MAX_PIXELS {
            let expected = format!("at most {MAX_PIXELS} pixels, the most that can be judged");
            let key = format!("width times {}", input.key("height"));
            return Err(input.bad(&key, &expected, pixels));
        }
        Object::of(&request)
    }

    fn read_settings(&self, input: &Input<'_>) -> Result<Object, InputError> {
        let settings: Settings = input.read()?;
        check(input, Some(settings.steps), Some(settings.guidance_scale))?;
        Object::of(&settings)
    }

    fn read_patch(&self, input: &Input<'_>) -> Result<Object, InputError> {
        let patch: SettingsPatch = input.read()?;
        check(input, patch.steps, patch.guidance_scale)?;
        Object::of(&patch)
    }

    fn read_ask(&self, input: &Input<'_>) -> Result<Object, InputError> {
        Object::of(&input.read::<Ask>()?)
    }

    fn asks(&self, _: &object::RequestSpec, file: &str, text: &str) -> Result<Vec<Object>, PromptsError> {
        let prompts = prompt_lines(file, text)?;
        Ok(prompts.into_iter().map(|prompt| Object::from_iter([("prompt", prompt.into())])).collect())
    }

    fn request_rows(&self, request: &object::RequestSpec) -> Vec<Row> {
        let Ok(request) = request.view::<Request>() else { return Vec::new() };
        let negative = if request.negative_prompt.is_empty() { "none" } else { &request.negative_prompt };
        vec![
            Row::new("picture size", format!("{}×{}", request.width, request.height)),
            Row::new("negative prompt", negative),
        ]
    }

    fn settings_rows(&self, settings: &object::Settings) -> Vec<Row> {
        let Ok(settings) = settings.view::<Settings>() else { return Vec::new() };
        let mut rows = vec![
            Row::new("steps", settings.steps.to_string()),
            Row::new("guidance", settings.guidance_scale.to_string()),
            Row::new("scheduler", settings.scheduler.unwrap_or_else(|| "the checkpoint's".to_owned())),
            Row::new("number format", settings.dtype.to_string()),
        ];
        if settings.vae_tiling {
            rows.push(Row::new("VAE", "decodes in tiles"));
        }
        rows
    }

    fn ask_words(&self, ask: &object::Ask) -> String {
        ask.object().get("prompt").and_then(|prompt| prompt.as_str()).unwrap_or_default().to_owned()
    }
}
