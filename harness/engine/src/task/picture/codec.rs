//! [`PICTURE`]: a plan's requests for pictures as frames, and answers as PNG files.

use edgemaxx_contract::digest::Digest;
use edgemaxx_contract::input::InputError;
use edgemaxx_contract::noise::torch_randn;
use edgemaxx_contract::plan::PlannedRequest;
use edgemaxx_contract::task::{self, RequestSpec, picture};
use edgemaxx_protocol::{AnswerLimits, Object};

use super::decode::decoded;
use super::objects::{Ask, Head, LatentShape, Ready, Settings};
use super::probes;
use super::serve::Picture;
use crate::engine::Answer;
use crate::serve::Reply;
use crate::task::{Artefact, Codec, Probe, Question};

/// The codec of the task `picture`.
pub const PICTURE: PictureCodec = PictureCodec;

/// Noise and prompts out, pictures in.
#[derive(Debug, Clone, Copy)]
pub struct PictureCodec;

/// What all requests share.
fn shared(request: &RequestSpec) -> Result<picture::Request, String> {
    request.view().map_err(|error: InputError| error.to_string())
}

/// The latents' shape for an engine that said `ready`.
fn shape(request: &RequestSpec, ready: &Object) -> Result<LatentShape, String> {
    let (ready, request) = (Ready::parse(ready)?, shared(request)?);
    LatentShape::of(ready, request.width, request.height).ok_or_else(|| {
        format!(
            "ready: its VAE factor of {} does not divide {}×{}; change the contest's size",
            ready.vae_scale_factor, request.width, request.height
        )
    })
}

impl Codec for PictureCodec {
    fn task(&self) -> &'static str {
        "picture"
    }

    fn settings(&self, request: &RequestSpec, settings: &task::Settings) -> Result<Object, String> {
        let request = shared(request)?;
        let settings: picture::Settings = settings.view().map_err(|error| error.to_string())?;
        Ok(Settings {
            steps: settings.steps,
            guidance_scale: settings.guidance_scale,
            scheduler: settings.scheduler,
            dtype: settings.dtype,
            vae_tiling: settings.vae_tiling,
            width: request.width,
            height: request.height,
        }
        .object())
    }

    /// Channels and factor, which give the shape of the noise that both sides get.
    fn ready(&self, request: &RequestSpec, ready: &Object) -> Result<Object, String> {
        shape(request, ready)?;
        Ok(Ready::parse(ready)?.object())
    }

    /// The latents: standard normal noise from the request's seed.
    fn payload(
        &self,
        request: &RequestSpec,
        planned: &PlannedRequest,
        ready: &Object,
    ) -> Result<Vec<u8>, String> {
        let shape = shape(request, ready)?;
        let values = shape.len().ok_or_else(|| format!("latents of shape {:?} are too many", shape.0))?;
        Ok(torch_randn(planned.seed, values).into_iter().flat_map(f32::to_le_bytes).collect())
    }

    fn header(&self, question: Question<'_>, ready: &Object) -> Result<Object, String> {
        let latents = shape(question.request, ready)?;
        let words = |error: InputError| error.to_string();
        let request = shared(question.request)?;
        let settings: picture::Settings = question.settings.view().map_err(words)?;
        let asked: picture::Ask = question.planned.ask.view().map_err(words)?;
        let ask = Ask {
            prompt: asked.prompt,
            negative_prompt: request.negative_prompt,
            seed: question.planned.seed,
            steps: settings.steps,
            guidance_scale: settings.guidance_scale,
            width: request.width,
            height: request.height,
            latents,
        };
        Ok(ask.object())
    }

    /// One frame: raw RGB8, or a PNG that is no longer than raw RGBA8 and 64 KiB.
    fn limits(&self, request: &RequestSpec) -> AnswerLimits {
        let Ok(request) = shared(request) else { return AnswerLimits::default() };
        let pixels = (request.width as usize).saturating_mul(request.height as usize);
        let answer_bytes = pixels.saturating_mul(4).saturating_add(64 << 10);
        AnswerLimits { answer_bytes, ..AnswerLimits::default() }
    }

    /// A PNG; its digest is that of the RGB bytes, however they came.
    fn artefact(&self, question: Question<'_>, answer: &Answer) -> Result<Artefact, String> {
        let picture::Request { width, height, .. } = shared(question.request)?;
        let picture = decoded(Head::parse(&answer.header)?, &answer.payload, width, height)?;
        let bytes = picture.to_png().map_err(|error| format!("no PNG can be made: {error}"))?;
        Ok(Artefact { digest: Digest::of(picture.rgb()), units: 1, parts: Vec::new(), bytes })
    }

    /// Grey, from latents as SDXL's.
    fn nothing(&self, settings: &Object) -> Result<(Object, Reply), String> {
        let Settings { width, height, .. } = Settings::parse(settings)?;
        let rgb = vec![127; (width as usize).saturating_mul(height as usize).saturating_mul(3)];
        let ready = Ready { latent_channels: 4, vae_scale_factor: 8 };
        Ok((ready.object(), Picture { width, height, rgb }.into()))
    }

    fn probes(&self, request: &RequestSpec) -> Result<Vec<Probe>, String> {
        probes::probes(&shared(request)?).map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::object;

    fn request(width: u32) -> RequestSpec {
        let (prompts, negative_prompt) = ("p.txt".to_owned(), "blurry".to_owned());
        picture::Request { prompts, negative_prompt, width, height: 8 }.checked().expect("a request")
    }

    #[test]
    fn noise_has_the_shape_that_ready_gives() {
        let ask = picture::Ask { prompt: "a dog".to_owned() };
        let planned = PlannedRequest { id: 0, seed: 7, ask: ask.checked().expect("an ask") };
        let ready = Ready { latent_channels: 3, vae_scale_factor: 4 }.object();
        let payload = PICTURE.payload(&request(16), &planned, &ready).expect("noise");
        let expected: Vec<u8> = torch_randn(7, 3 * 2 * 4).into_iter().flat_map(f32::to_le_bytes).collect();
        assert_eq!(payload, expected);
        assert!(
            PICTURE.payload(&request(18), &planned, &ready).expect_err("18").contains("does not divide 18×8")
        );
    }

    #[test]
    fn an_engine_that_does_nothing_is_understood() {
        let settings = picture::Settings::default().checked().expect("settings");
        let ask = picture::Ask { prompt: String::new() }.checked().expect("an ask");
        let planned = PlannedRequest { id: 0, seed: 7, ask };
        let request = request(16);
        let question = Question { request: &request, settings: &settings, planned: &planned };
        let (ready, reply) =
            PICTURE.nothing(&PICTURE.settings(&request, &settings).expect("settings")).expect("nothing");
        assert!(PICTURE.ready(&request, &ready).is_ok());
        let answer = Answer { header: reply.header, payload: reply.payload, ..Answer::default() };
        let artefact = PICTURE.artefact(question, &answer).expect("a picture");
        assert_eq!(artefact.digest, Digest::of([127; 16 * 8 * 3]));
        assert!(artefact.bytes.starts_with(b"\x89PNG"));
    }

    #[test]
    fn only_what_asking_depends_on_must_agree() {
        let mut more = Ready { latent_channels: 4, vae_scale_factor: 8 }.object();
        let plain = PICTURE.ready(&request(8), &more).expect("good");
        more.insert("note".to_owned(), "hello".into());
        assert_eq!(PICTURE.ready(&request(8), &more), Ok(plain));
        assert!(PICTURE.ready(&request(8), &object([])).is_err());
    }
}
