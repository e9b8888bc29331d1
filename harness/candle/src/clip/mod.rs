//! CLIP as transformers defines it: text and picture encoders, and the tokenizer.
mod config;
mod encoder;
mod text;
mod tokenizer;
mod vision;

pub use config::{ClipConfig, ClipTextConfig, ClipVisionConfig};
pub use encoder::{Encoder, EncoderShape};
pub use text::{ClipText, TextOutput};
pub use tokenizer::{ClipTokenizer, Cut};
pub use vision::ClipVision;
