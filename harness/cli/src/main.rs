//! The `edgemaxx` command.
fn main() {}
