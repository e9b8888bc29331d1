//! [`PICTURE`]: a plan's requests for pictures as frames, and answers as PNG files.

use edgemaxx_contract::contest::{Generation, RequestSpec};
use edgemaxx_contract::digest::Digest;
use edgemaxx_contract::latents::torch_randn;
use edgemaxx_contract::plan::PlannedRequest;
use edgemaxx_protocol::{AnswerLimits, Object};

use super::decode::rgb;
use super::objects::{Ask, Head, LatentShape, Ready, Settings};
use super::png::png_bytes;
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

/// The latents' shape for an engine that said `ready`.
fn shape(request: &RequestSpec, ready: &Object) -> Result<LatentShape, String> {
    let ready = Ready::parse(ready)?;
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

    fn settings(&self, request: &RequestSpec, settings: &Generation) -> Object {
        Settings {
            steps: settings.steps,
            guidance_scale: settings.guidance_scale,
            scheduler: settings.scheduler.clone(),
            dtype: settings.dtype,
            vae_tiling: settings.vae_tiling,
            width: request.width,
            height: request.height,
        }
        .object()
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
        let Question { request, settings, planned } = question;
        let ask = Ask {
            prompt: planned.prompt.clone(),
            negative_prompt: request.negative_prompt.clone(),
            seed: planned.seed,
            steps: settings.steps,
            guidance_scale: settings.guidance_scale,
            width: request.width,
            height: request.height,
            latents: shape(request, ready)?,
        };
        Ok(ask.object())
    }

    /// One frame: raw RGB8, or a PNG that is no longer than raw RGBA8 and 64 KiB.
    fn limits(&self, request: &RequestSpec) -> AnswerLimits {
        let pixels = (request.width as usize).saturating_mul(request.height as usize);
        let answer_bytes = pixels.saturating_mul(4).saturating_add(64 << 10);
        AnswerLimits { answer_bytes, ..AnswerLimits::default() }
    }

    /// A PNG; its digest is that of the RGB bytes, however they came.
    fn artefact(&self, question: Question<'_>, answer: &Answer) -> Result<Artefact, String> {
        let (width, height) = (question.request.width, question.request.height);
        let rgb = rgb(Head::parse(&answer.header)?, &answer.payload, width, height)?;
        let bytes = png_bytes(&rgb, width, height).map_err(|error| format!("no PNG can be made: {error}"))?;
        Ok(Artefact { digest: Digest::of(&rgb), extension: "png", bytes })
    }

    /// Grey, from latents as SDXL's.
    fn nothing(&self, settings: &Object) -> Result<(Object, Reply), String> {
        let Settings { width, height, .. } = Settings::parse(settings)?;
        let rgb = vec![127; (width as usize).saturating_mul(height as usize).saturating_mul(3)];
        let ready = Ready { latent_channels: 4, vae_scale_factor: 8 };
        Ok((ready.object(), Picture { width, height, rgb }.into()))
    }

    fn probes(&self, request: &RequestSpec) -> Vec<Probe> {
        probes::probes(request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::object;

    fn request(width: u32) -> RequestSpec {
        RequestSpec { prompts: "p.txt".to_owned(), negative_prompt: "blurry".to_owned(), width, height: 8 }
    }

    #[test]
    fn noise_has_the_shape_that_ready_gives() {
        let planned = PlannedRequest { id: 0, prompt: "a dog".to_owned(), seed: 7 };
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
        let settings = Generation {
            steps: 2,
            guidance_scale: 1.0,
            scheduler: None,
            dtype: edgemaxx_contract::contest::Dtype::F32,
            vae_tiling: false,
        };
        let planned = PlannedRequest { id: 0, prompt: String::new(), seed: 7 };
        let request = request(16);
        let question = Question { request: &request, settings: &settings, planned: &planned };
        let (ready, reply) = PICTURE.nothing(&PICTURE.settings(&request, &settings)).expect("settings");
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
