//! Rotary position embedding: the frequencies of a head's pairs, and the angles of a position, in f32 as transformers has
//! them. `cpu/norm.rs` turns a row by them.
use super::config::{LlamaConfig, RopeScaling};

/// Frequencies of the pairs.
#[derive(Debug, Clone)]
pub(super) struct Rope {
    frequencies: Vec<f32>,
}

impl Rope {
    pub(super) fn new(config: &LlamaConfig) -> Self {
        let width = config.head_width;
        let plain = (0..width / 2).map(|i| {
            let exponent = (2 * i) as f32 / width as f32;
            1.0 / f64::from(config.theta as f32).powf(f64::from(exponent)) as f32
        });
        let frequencies = match config.scaling {
            None => plain.collect(),
            Some(RopeScaling::Linear { factor }) => plain.map(|f| f / factor as f32).collect(),
            Some(RopeScaling::Llama3 { factor, low_freq_factor, high_freq_factor, original_context }) => {
                let context = original_context as f64;
                let (low, high) = ((context / low_freq_factor) as f32, (context / high_freq_factor) as f32);
                plain
                    .map(|f| {
                        let wavelength = 2.0 * std::f32::consts::PI / f;
                        if wavelength > low {
                            return f / factor as f32;
                        }
                        if wavelength < high {
                            return f;
                        }
                        let span = (high_freq_factor - low_freq_factor) as f32;
                        let smooth = (context as f32 / wavelength - low_freq_factor as f32) / span;
                        (1.0 - smooth) * f / factor as f32 + smooth * f
                    })
                    .collect()
            }
        };
        Self { frequencies }
    }

    /// Divides every frequency by its own factor, as GGUF files of scaled models have it.
    pub(super) fn divide(&mut self, factors: &[f32]) {
        for (f, by) in self.frequencies.iter_mut().zip(factors) {
            *f /= by;
        }
    }

    /// Cosines and sines of a position's angles.
    pub(super) fn angles(&self, position: usize, cos: &mut [f32], sin: &mut [f32]) {
        for ((f, cos), sin) in self.frequencies.iter().zip(cos).zip(sin) {
            let angle = f64::from(position as f32 * f);
            (*sin, *cos) = (angle.sin() as f32, angle.cos() as f32);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Known answers by transformers 5.24 (`ROPE_INIT_FUNCTIONS`, torch 2.15): heads of 64, every pair named.
    #[test]
    fn frequencies_are_those_of_transformers() {
        let pairs = [0, 5, 10, 14, 15, 16, 17, 18, 20, 25, 31];
        let llama3 = RopeScaling::Llama3 {
            factor: 32.0,
            low_freq_factor: 1.0,
            high_freq_factor: 4.0,
            original_context: 8192,
        };
        for (theta, scaling, want) in [
            (
                500_000.0,
                llama3,
                [
                    1.0,
                    0.128_687_38,
                    0.016_560_44,
                    0.003_211_446,
                    0.001_290_548,
                    4.295_567e-4,
                    9.708_286e-5,
                    1.946_163_9e-5,
                    8.570_256e-6,
                    1.102_883_6e-6,
                    9.418_306e-8f32,
                ],
            ),
            (
                10_000.0,
                RopeScaling::Linear { factor: 4.0 },
                [
                    0.25,
                    0.059_284_34,
                    0.014_058_532,
                    0.004_445_698_6,
                    0.003_333_803_7,
                    0.0025,
                    0.001_874_735_6,
                    0.001_405_853_3,
                    7.905_695e-4,
                    1.874_735_5e-4,
                    3.333_804e-5,
                ],
            ),
        ] {
            let config = LlamaConfig {
                vocabulary: 1,
                width: 64,
                inner_width: 1,
                layers: 1,
                heads: 1,
                kv_heads: 1,
                head_width: 64,
                positions: 131_072,
                epsilon: 1e-5,
                theta,
                scaling: Some(scaling),
                tied: true,
                begin: None,
                end: vec![],
            };
            let rope = Rope::new(&config);
            for (pair, want) in pairs.into_iter().zip(want) {
                let got = rope.frequencies[pair];
                assert!((got - want).abs() <= 3e-7 * want, "{scaling:?}, pair {pair}: {got}, not {want}");
            }
        }
    }
}
