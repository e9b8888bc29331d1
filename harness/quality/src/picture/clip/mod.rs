//! CLIP scores of pictures and prompts.

mod embedder;
mod model;
mod preprocess;

pub use embedder::ClipEmbedder;
pub use model::Clip;
pub use preprocess::Preprocess;
