//! Layers: thin structs that read their weights and apply them; activations are channels-last.
mod act;
mod attention;
mod linear;
mod norm;

pub use act::Activation;
pub use attention::{attention, causal_mask};
pub use linear::Linear;
pub use norm::LayerNorm;
