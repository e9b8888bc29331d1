//! What a run must know of a task beside its contract: one [`Kit`] for each.

mod kit;
mod list;
pub mod picture;
pub mod text;

pub use kit::{Alone, Kit, Native, Rehearsal};
pub use list::{ALL, also, kit, of_answer, of_checkpoint, of_name};
