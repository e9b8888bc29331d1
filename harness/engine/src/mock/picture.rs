//! Pictures without a model: the latents as colours.

use edgemaxx_contract::digest::Digest;

use super::script::Cheat;

/// What a picture is made from.
pub(super) struct Scene<'a> {
    pub(super) prompt: &'a str,
    pub(super) seed: u64,
    pub(super) width: u32,
    pub(super) height: u32,
    /// Channels, height, width.
    pub(super) shape: [u32; 3],
    pub(super) latents: &'a [f32],
}

impl Scene<'_> {
    /// What a mock makes of it that cheats, or not.
    pub(super) fn seen_by(self, cheat: Option<Cheat>) -> Self {
        match cheat {
            Some(Cheat::OneAnswer) => Self { prompt: "", seed: 0, latents: &[], ..self },
            Some(Cheat::Remembers) => Self { latents: &[], ..self },
            _ => self,
        }
    }
}

/// `width × height × 3` bytes: the prompt's colour, the first three channels of the latents over
/// it, and noise of `noise` grey levels at most.
pub(super) fn paint(scene: &Scene<'_>, noise: u8) -> Vec<u8> {
    let colour = Digest::of(scene.prompt);
    let mut state = u64::from_le_bytes(first_eight(&Digest::of_fields([
        scene.prompt.as_bytes(),
        &scene.seed.to_le_bytes(),
    ]))) | 1;
    let mut next = || {
        // xorshift64
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let [channels, rows, columns] = scene.shape.map(|side| side as usize);
    let (width, height) = (scene.width as usize, scene.height as usize);
    let mut rgb = Vec::with_capacity(width * height * 3);
    for y in 0..height {
        for x in 0..width {
            for c in 0..3 {
                let plane = c % channels.max(1);
                let at = (plane * rows + y * rows / height) * columns + x * columns / width;
                let latent = scene.latents.get(at).copied().unwrap_or(0.0);
                let base = 64.0 + f32::from(colour.as_bytes()[c]) / 2.0 + 24.0 * latent;
                let span = i64::from(noise) * 2 + 1;
                let off = (next() >> 33) as i64 % span - i64::from(noise);
                rgb.push((base as i64 + off).clamp(0, 255) as u8);
            }
        }
    }
    rgb
}

fn first_eight(digest: &Digest) -> [u8; 8] {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&digest.as_bytes()[..8]);
    bytes
}
