//! CLIP scores of pictures and prompts.

mod model;
mod preprocess;
mod scorer;

pub use model::Clip;
pub use preprocess::Preprocess;
pub use scorer::ClipScorer;
