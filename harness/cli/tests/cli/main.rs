//! The program as its users run it, one module a verb. One binary, so that its tests run side by side.

mod common;
#[path = "../../../chain/tests/local/node.rs"]
#[allow(dead_code, reason = "shared with the chain's own tests")]
mod node;
#[path = "../../../hub/tests/server/mod.rs"]
mod server;

mod action;
mod agreement;
mod bad_input;
mod blocks;
mod cases;
mod chain;
mod ci;
mod circles;
mod compare;
mod completions;
mod contests;
mod copies;
mod diffusers;
mod doctor;
mod echo;
mod engine;
mod example;
mod fleet;
mod fleet_days;
mod fleet_faults;
mod fleet_lies;
mod fleet_yard;
mod history;
mod honesty;
mod image;
mod killed;
mod lanes;
mod layering;
mod licences;
mod memory;
mod oracle;
mod planted;
mod publish;
mod published;
mod python;
mod rehearse;
mod run;
mod schemas;
mod status;
mod terminal;
mod text;
mod text_cheats;
mod text_contest;
mod text_days;
mod text_engines;
mod text_scores;
mod validator;
mod verify;
mod words;
