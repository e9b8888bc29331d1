//! Apple GPUs: contests can name them; nothing here measures them yet.

mod vendor;

pub use vendor::Apple;
