//! CLIP's text transformer.
use super::config::ClipTextConfig;
use super::encoder::{Encoder, EncoderShape};
use super::tokenizer::ClipTokenizer;
use crate::error::{Error, Result};
use crate::nn::{Activation, LayerNorm, Linear};
use crate::weights::Weights;
use candle_core::{Device, Tensor};
use std::path::Path;

/// CLIP's text transformer, with a projection where the weights have one.
pub struct ClipText {
    tokens: Tensor,
    positions: Tensor,
    encoder: Encoder,
    final_norm: LayerNorm,
    projection: Option<Linear>,
    eos: u32,
    vocab: usize,
    projected: usize,
}

/// What the text transformer says about a batch of sequences.
#[derive(Debug, Clone)]
pub struct TextOutput {
    /// `[batch, tokens, hidden]`: state before the last layer, without the final norm (`hidden_states[-2]`).
    pub penultimate: Tensor,
    /// `[batch, tokens, hidden]`: state after the last layer and the final norm (`last_hidden_state`).
    pub last: Tensor,
    /// `[batch, hidden]`: `last` at the end-of-text token (`pooler_output`).
    pub pooled: Tensor,
    /// `[batch, projection]`: `pooled` projected (`text_embeds`), where there is a projection.
    pub projected: Option<Tensor>,
}

impl ClipText {
    /// Reads a text transformer from weights with or without the `text_model.` prefix. `projection` is the width of
    /// `text_projection` (beside the text model, without bias), `None` where the model has none; `path` is the
    /// configuration for messages.
    pub fn load(
        w: &Weights,
        config: &ClipTextConfig,
        projection: Option<usize>,
        path: &Path,
    ) -> Result<Self> {
        let prefixed = w.pp("text_model");
        let model = if w.contains("embeddings.token_embedding.weight") { w } else { &prefixed };
        let c = config;
        let shape = EncoderShape {
            layers: c.num_hidden_layers,
            hidden: c.hidden_size,
            intermediate: c.intermediate_size,
            heads: c.num_attention_heads,
            eps: c.layer_norm_eps,
            act: Activation::parse(&c.hidden_act, path)?,
        };
        let projected = projection.unwrap_or(0);
        let projection = match projection {
            Some(out) => Some(Linear::load(&w.pp("text_projection"), c.hidden_size, out, false)?),
            None => None,
        };
        Ok(Self {
            tokens: model.get(&[c.vocab_size, c.hidden_size], "embeddings.token_embedding.weight")?,
            positions: model
                .get(&[c.max_position_embeddings, c.hidden_size], "embeddings.position_embedding.weight")?,
            encoder: Encoder::load(&model.pp("encoder"), shape)?,
            final_norm: LayerNorm::load(&model.pp("final_layer_norm"), c.hidden_size, c.layer_norm_eps)?,
            projection,
            eos: c.eos_token_id,
            vocab: c.vocab_size,
            projected,
        })
    }

    /// Width of the states.
    pub fn hidden(&self) -> usize {
        self.tokens.dims()[1]
    }

    /// Width of the projection, 0 without one.
    pub fn projected(&self) -> usize {
        self.projected
    }

    /// Refuses a tokenizer with words that the model does not have.
    ///
    /// # Errors
    /// [`Error::Tokenizer`].
    pub fn reads(&self, tokenizer: &ClipTokenizer) -> Result<()> {
        let (most, vocab, path) = (tokenizer.most(), self.vocab, tokenizer.dir().to_path_buf());
        match (most as usize) < vocab {
            true => Ok(()),
            false => Err(Error::Tokenizer {
                path,
                message: format!("token {most}, but the text encoder has {vocab}"),
            }),
        }
    }

    /// Refuses token ids that the vocabulary does not have.
    fn knows(&self, ids: &[u32]) -> Result<()> {
        match ids.iter().find(|&&id| id as usize >= self.vocab) {
            None => Ok(()),
            Some(id) => Err(Error::Request {
                field: "token ids",
                found: id.to_string(),
                expected: format!("ids below {}", self.vocab),
            }),
        }
    }

    /// Longest sequence the position embedding has room for.
    pub fn max_length(&self) -> usize {
        self.positions.dims()[0]
    }

    /// Encodes sequences of one common length (at most [`Self::max_length`]), padded by the caller.
    pub fn forward(&self, ids: &[Vec<u32>]) -> Result<TextOutput> {
        let length = ids.first().map_or(0, Vec::len);
        if length == 0 || length > self.max_length() || ids.iter().any(|s| s.len() != length) {
            return Err(Error::Request {
                field: "token ids",
                found: format!("sequences of {:?} tokens", ids.iter().map(Vec::len).collect::<Vec<_>>()),
                expected: format!("one common length of 1 to {}", self.max_length()),
            });
        }
        ids.iter().try_for_each(|ids| self.knows(ids))?;
        let device = self.tokens.device();
        let flat = Tensor::from_vec(ids.concat(), ids.len() * length, &Device::Cpu)?.to_device(device)?;
        let x = self.tokens.index_select(&flat, 0)?.reshape((ids.len(), length, ()))?;
        let x = x.broadcast_add(&self.positions.narrow(0, 0, length)?)?;
        let (penultimate, last) = self.encoder.forward(&x, true)?;
        let last = self.final_norm.forward(&last)?;
        let rows: Vec<Tensor> = ids
            .iter()
            .enumerate()
            .map(|(i, s)| last.get(i)?.get(pooled_position(s, self.eos)))
            .collect::<candle_core::Result<_>>()?;
        let pooled = Tensor::stack(&rows, 0)?;
        let projected = match &self.projection {
            Some(p) => Some(p.forward(&pooled)?),
            None => None,
        };
        Ok(TextOutput { penultimate, last, pooled, projected })
    }
}

/// Position whose state is the pooled one: transformers takes the first end-of-text token, except that
/// configurations with `eos_token_id` 2 (written before the id was right) mean the highest id in the sequence.
fn pooled_position(ids: &[u32], eos: u32) -> usize {
    let wanted = if eos == 2 { ids.iter().copied().max().unwrap_or(0) } else { eos };
    ids.iter().position(|&id| id == wanted).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::pooled_position;

    #[test]
    fn pooled_position_follows_transformers() {
        assert_eq!(pooled_position(&[5, 9, 7, 9], 2), 1, "legacy: first position of the highest id");
        assert_eq!(pooled_position(&[5, 9, 7, 7], 7), 2, "first end-of-text token");
        assert_eq!(pooled_position(&[5, 9], 7), 0, "no end-of-text token");
    }
}
