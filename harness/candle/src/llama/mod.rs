//! The built-in engine for models of LLaMA's layout (Llama 2 and 3, SmolLM2 and others of that shape): numerically what
//! transformers computes in f32, from a folder in its layout or from a GGUF file, whose weights stay quantised.
//!
//! A token's logits have the same bits whether it was read in one pass with others or by itself, with any number of
//! threads, and with any instruction set.
mod attention;
mod cache;
mod config;
mod forward;
mod generate;
mod gpu;
mod metadata;
mod model;
mod options;
mod rope;
mod sample;
mod tokenizer;
mod vocabulary;
mod weights;

pub use config::{LlamaConfig, RopeScaling};
pub(crate) use config::{special_tokens, token};
pub use generate::{Choice, Wanted};
pub use gpu::GpuLlama;
pub use model::Llama;
pub(crate) use model::check_ids;
pub use options::LlamaOptions;
pub use sample::{greedy, log_probabilities, sampled};
pub use tokenizer::LlamaTokenizer;
pub use vocabulary::{Vocabulary, checkpoint, is_laid_out, look};
pub(crate) use weights::{LLAMA_CPP, Shapes, Sizes, fits};
