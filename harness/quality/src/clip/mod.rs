//! CLIP scores of pictures and prompts.

mod math;
mod model;
mod preprocess;
mod scorer;
mod vision;

pub use model::Clip;
pub use preprocess::Preprocess;
pub use scorer::ClipScorer;
