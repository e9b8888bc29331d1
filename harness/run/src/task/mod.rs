//! What a run must know of a task beside its contract: one [`Kit`] for each.

mod kit;
mod kits;
pub mod picture;
pub mod text;

pub use kit::{Alone, Asked, Kit, Native, Rehearsal};
pub use kits::{ALL, also, kit, of_answer, of_checkpoint, of_name};
