//! What is asked and answered: a [`Task`] owns the form of requests, settings and answers; its metrics are those of its name in the table ([`crate::metric`]). Everything else speaks of requests and answers only.
//!
//! What a task owns travels as JSON objects that only its own check makes ([`RequestSpec`], [`Settings`],
//! [`SettingsPatch`], [`Ask`]); who knows the task has a typed view of them ([`picture`], [`text`]).

mod definition;
mod grammar;
mod list;
mod object;
pub mod picture;
mod prompts;
pub mod text;

pub use definition::{Drawn, Encoder, Noun, Row, Task, TaskRef};
pub use grammar::{COMBINATIONS, Grammar};
pub use list::{ALL, DEFAULT, also, by_name};
pub use object::{Ask, Object, RequestSpec, Settings, SettingsPatch};
pub use prompts::{PromptsError, passages, prompt_lines};
