//! The validator without a network, a GPU or a clock of its own. One binary, so that its tests run side by side.

mod common;

mod days;
mod fair;
mod flooded;
mod griefed;
mod killed;
mod machine;
mod month;
mod sealed;
mod several;
