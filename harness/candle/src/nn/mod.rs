//! Layers: thin structs that read their weights and apply them; activations are channels-last.
mod act;
mod attention;
mod conv;
mod linear;
mod norm;

pub use act::Activation;
pub use attention::Heads;
pub use conv::Conv2d;
pub use linear::{Geglu, Linear};
pub use norm::{GroupNorm, LayerNorm};
