//! How a model is loaded, and whether it can be.
use super::config::LlamaConfig;
use crate::Accelerator;
use crate::error::{Error, Result};
use crate::gguf::{TensorType, rounds};

/// Positions of a cache unless asked otherwise.
const CONTEXT: usize = 4096;
/// Widths of heads that a card has kernels for.
const HEADS: [usize; 3] = [32, 64, 128];
/// Heads of queries that may share one of keys on a card.
const MOST_SHARED: usize = 8;

/// How a model is loaded.
#[derive(Debug, Clone, Default)]
pub struct LlamaOptions {
    /// Type that matrices are kept in: f32, f16, bf16, or quantised as Q8_0, Q4_0 or Q4_1; `None` for that of the file, which
    /// may be quantised otherwise. Everything else is computed in f32.
    pub weights: Option<TensorType>,
    /// Threads, `None` for as many as there are cores. They change the speed, never a bit of the logits.
    pub threads: Option<usize>,
    /// Tokens of the longest text, `None` for the model's positions but at most 4096.
    pub context: Option<usize>,
    /// What the frequencies of positions are divided by, over what the file says; `None` for 1.
    pub rope_factor: Option<f64>,
    /// What keys and values of the tokens read are rounded to: f16, bf16, or groups of 32 as Q8_0, Q4_0 or Q4_1; `None` for
    /// f32. It shows what such a cache does to the answers; the numbers are kept as f32 all the same.
    pub cache: Option<TensorType>,
}

impl LlamaOptions {
    /// Tokens of the longest text.
    ///
    /// # Errors
    /// [`Error::Request`]: none, or more than the model has positions.
    pub(super) fn capacity(&self, c: &LlamaConfig) -> Result<usize> {
        let capacity = self.context.unwrap_or(CONTEXT.min(c.positions));
        if capacity == 0 || capacity > c.positions {
            let expected = format!("1 to the model's {} positions", c.positions);
            return Err(Error::Request { field: "context", found: capacity.to_string(), expected });
        }
        Ok(capacity)
    }

    /// What the cache is rounded to.
    pub(super) fn rounding(&self) -> Option<TensorType> {
        self.cache.filter(|to| *to != TensorType::F32)
    }

    /// Whether a model whose matrices are `stored` as a type can be loaded on a device with these options.
    ///
    /// # Errors
    /// [`Error::Request`] names the option.
    pub(super) fn fit(&self, device: Accelerator, c: &LlamaConfig, stored: TensorType) -> Result<()> {
        self.capacity(c)?;
        match device {
            Accelerator::Cpu => self.fit_the_processor(c),
            Accelerator::Cuda => self.fit_a_card(c, stored),
        }
    }

    fn fit_the_processor(&self, c: &LlamaConfig) -> Result<()> {
        let rows = [c.width, c.heads * c.head_width, c.inner_width].map(|width| (width, "rows"));
        let all = rows.into_iter().map(|of| ("weights", self.weights, of));
        for (field, to, (width, of)) in all.chain([("cache", self.cache, (c.head_width, "heads"))]) {
            if let Some(to) = to.filter(|to| !rounds(*to, width)) {
                let found = format!("{to:?} of {of} of {width}");
                let expected = format!("F32, F16 or BF16, or Q8_0, Q4_0 or Q4_1 of {of} of a multiple of 32");
                return Err(Error::Request { field, found, expected });
            }
        }
        Ok(())
    }

    fn fit_a_card(&self, c: &LlamaConfig, stored: TensorType) -> Result<()> {
        let refuse = |field, found: String, expected: &str| {
            Err(Error::Request { field, found, expected: expected.to_owned() })
        };
        if let Some(to) = self.rounding() {
            return refuse("cache", format!("{to:?}"), "none on a GPU, whose cache has the model's type");
        }
        if self.weights.unwrap_or(stored) == TensorType::F32 {
            let expected = "f16, bf16, q8_0, q4_0 or q4_1, which GPUs are given";
            return refuse("weights", "f32".to_owned(), expected);
        }
        if !HEADS.contains(&c.head_width) || c.heads / c.kv_heads > MOST_SHARED {
            let found = format!("{} heads of {} for {} of keys", c.heads, c.head_width, c.kv_heads);
            let expected = "heads of 32, 64 or 128 on a GPU, at most eight for one of keys";
            return refuse("device", found, expected);
        }
        if let Some(width) = [c.width, c.inner_width].into_iter().find(|width| !width.is_multiple_of(32)) {
            return refuse("device", format!("rows of {width}"), "rows of a multiple of 32 on a GPU");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(width: usize, inner_width: usize, head_width: usize) -> LlamaConfig {
        LlamaConfig {
            vocabulary: 64,
            width,
            inner_width,
            layers: 1,
            heads: 2,
            kv_heads: 1,
            head_width,
            positions: 128,
            epsilon: 1e-5,
            theta: 10_000.0,
            scaling: None,
            tied: true,
            begin: None,
            end: vec![],
        }
    }

    #[test]
    fn what_a_device_cannot_load_is_refused_by_the_option() {
        let plain = LlamaOptions::default();
        let weights = |to| LlamaOptions { weights: Some(to), ..plain.clone() };
        let cache = |to| LlamaOptions { cache: Some(to), ..plain.clone() };
        let context = |tokens| LlamaOptions { context: Some(tokens), ..plain.clone() };
        let (cpu, cuda) = (Accelerator::Cpu, Accelerator::Cuda);
        let odd = config(64, 500, 16);
        let even = config(64, 512, 32);
        let f16_with_cache = LlamaOptions { cache: Some(TensorType::F16), ..weights(TensorType::F16) };
        for (device, config, options, words) in [
            (cpu, &odd, weights(TensorType::Q8_0), "`weights`: found Q8_0 of rows of 500"),
            (cpu, &odd, weights(TensorType::Q6K), "`weights`: found Q6K of rows of 64"),
            (cpu, &odd, cache(TensorType::Q4_0), "`cache`: found Q4_0 of heads of 16"),
            (cpu, &odd, context(129), "`context`: found 129, expected 1 to the model's 128"),
            (cuda, &even, weights(TensorType::F32), "`weights`: found f32"),
            (cuda, &even, plain.clone(), "`weights`: found f32"),
            (cuda, &even, f16_with_cache, "`cache`: found F16"),
            (cuda, &odd, weights(TensorType::F16), "`device`: found 2 heads of 16 for 1 of keys"),
            (cuda, &config(64, 500, 32), weights(TensorType::F16), "`device`: found rows of 500"),
        ] {
            let found = options.fit(device, config, TensorType::F32).unwrap_err().to_string();
            assert!(found.contains(words), "{found}");
        }
        for (device, config, options) in [
            (cpu, &odd, plain.clone()),
            (cpu, &odd, weights(TensorType::F16)),
            (cpu, &odd, cache(TensorType::Bf16)),
            (cpu, &even, weights(TensorType::Q8_0)),
            (cuda, &even, weights(TensorType::Q8_0)),
            (cuda, &even, LlamaOptions { cache: Some(TensorType::F32), ..weights(TensorType::Bf16) }),
        ] {
            options.fit(device, config, TensorType::F32).expect("it fits");
        }
        plain.fit(cuda, &even, TensorType::F16).expect("it fits");
    }
}
