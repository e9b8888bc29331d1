//! How large the sizes in a `config.json` may be: far beyond what any published model has, and small enough that a
//! hostile file costs neither memory nor time before its weights are found not to fit.

/// Channels of a picture, of latents, of a level; widths of states and embeddings.
pub(crate) const WIDTH: usize = 1 << 16;
/// Width inside an MLP.
pub(crate) const INNER_WIDTH: usize = 1 << 18;
/// Layers of a block, of a transformer.
pub(crate) const LAYERS: usize = 1 << 10;
/// Levels of a UNet or VAE: each halves the picture.
pub(crate) const LEVELS: usize = 16;
/// Entries of a vocabulary.
pub(crate) const VOCABULARY: usize = 1 << 22;
/// Longest sequence of tokens.
pub(crate) const POSITIONS: usize = 1 << 16;
/// Side of a picture or of latents.
pub(crate) const SIDE: usize = 1 << 13;
/// Times of a training schedule.
pub(crate) const TIMES: usize = 100_000;
/// Positions of a language model.
pub(crate) const CONTEXT: usize = 1 << 24;
