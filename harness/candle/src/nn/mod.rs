//! Layers: thin structs that read their weights and apply them; activations are channels-last.
mod act;
mod attention;
mod conv;
mod linear;
mod norm;

pub use act::{Activation, geglu};
pub use attention::{attention, causal_mask};
pub use conv::{Conv2d, resize_nearest};
pub use linear::Linear;
pub use norm::{GroupNorm, LayerNorm};
