//! Bytes from strangers, chosen by coverage: `cargo +nightly fuzz run decode`.
#![no_main]

#[path = "../../tests/survive/mod.rs"]
mod survive;

libfuzzer_sys::fuzz_target!(|input: &[u8]| survive::survive(input));
