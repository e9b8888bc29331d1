//! Against the real Subtensor runtime, started by each test on a free port and reaped with it.
//! Needs Node and a chain spec; says so where there is none.

mod errors;
mod faults;
mod flow;
mod node;
mod proxy;
mod secrets;
