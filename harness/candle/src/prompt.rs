//! Prompts to conditioning tensors: both of SDXL's text encoders side by side.
use crate::clip::{ClipText, ClipTextConfig, ClipTokenizer, Cut};
use crate::error::{Error, Result};
use crate::weights::Weights;
use candle_core::{D, Tensor};
use std::path::Path;

/// Text states `[1, tokens, context]` and pooled text `[1, projection]`.
#[derive(Debug, Clone)]
pub struct PromptEmbeds {
    /// Penultimate states of both encoders, side by side.
    pub states: Tensor,
    /// Projected end-of-text state of the second encoder.
    pub pooled: Tensor,
}

/// Both tokenizers and text encoders.
pub struct PromptEncoder {
    tokenizers: [ClipTokenizer; 2],
    encoders: [ClipText; 2],
    path: std::path::PathBuf,
}

impl PromptEncoder {
    /// Reads `tokenizer`, `tokenizer_2`, `text_encoder` and `text_encoder_2` below `root`; `open` opens the weights in
    /// an encoder's folder.
    pub fn load(root: &Path, open: impl Fn(&Path) -> Result<Weights>) -> Result<Self> {
        let encoder = |name: &str, projected: bool| -> Result<ClipText> {
            let dir = root.join(name);
            let path = dir.join("config.json");
            let config = ClipTextConfig::read(&path)?;
            let weights = open(&dir)?;
            ClipText::load(&weights, &config, projected.then_some(config.projection_dim), &path)
        };
        let tokenizers =
            [ClipTokenizer::load(&root.join("tokenizer"))?, ClipTokenizer::load(&root.join("tokenizer_2"))?];
        let encoders = [encoder("text_encoder", false)?, encoder("text_encoder_2", true)?];
        for (t, e) in tokenizers.iter().zip(&encoders) {
            e.reads(t)?;
            if t.length() != tokenizers[0].length() || t.length() > e.max_length() {
                return Err(Error::Tokenizer {
                    path: root.to_path_buf(),
                    message: format!(
                        "model_max_length: found {}, expected the same in both tokenizers and at most {} \
                         (max_position_embeddings)",
                        t.length(),
                        e.max_length()
                    ),
                });
            }
        }
        Ok(Self { tokenizers, encoders, path: root.join("text_encoder_2") })
    }

    /// Widths of the states of both encoders together, and of the pooled text.
    pub(crate) fn widths(&self) -> (usize, usize) {
        let [first, second] = &self.encoders;
        (first.hidden() + second.hidden(), second.projected())
    }

    /// What of a prompt is not read.
    ///
    /// # Errors
    /// A tokenizer cannot read it.
    pub fn cut(&self, prompt: &str) -> Result<Option<Cut>> {
        let cuts =
            self.tokenizers.iter().map(|tokenizer| tokenizer.cut(prompt)).collect::<Result<Vec<_>>>()?;
        Ok(cuts.into_iter().flatten().max_by_key(|cut| cut.tokens))
    }

    /// Both encoders' token ids of a prompt.
    ///
    /// # Errors
    /// A tokenizer cannot read it.
    pub fn tokens(&self, prompt: &str) -> Result<[Vec<u32>; 2]> {
        Ok([self.tokenizers[0].encode(prompt)?, self.tokenizers[1].encode(prompt)?])
    }

    /// Encodes one prompt.
    pub fn encode(&self, prompt: &str) -> Result<PromptEmbeds> {
        let [first, second] = self.tokens(prompt)?;
        let first = self.encoders[0].forward(&[first])?;
        let second = self.encoders[1].forward(&[second])?;
        let states = Tensor::cat(&[first.penultimate, second.penultimate], D::Minus1)?;
        let pooled = second.projected.ok_or_else(|| Error::MissingTensor {
            path: self.path.clone(),
            tensor: "text_projection.weight".to_string(),
            expected: vec![],
        })?;
        Ok(PromptEmbeds { states, pooled })
    }
}

impl PromptEmbeds {
    /// All zeros, SDXL's stand-in for no negative prompt.
    pub fn zeros_like(&self) -> Result<Self> {
        Ok(Self { states: self.states.zeros_like()?, pooled: self.pooled.zeros_like()? })
    }
}
