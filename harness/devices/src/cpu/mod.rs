//! The processor, and the machine around it: facts, processes, memory, disk, telemetry, preflight.

mod checks;
mod disk;
mod facts;
mod proc;
mod processes;
mod telemetry;
mod tree;
mod usage;
mod vendor;

pub use disk::free_bytes;
pub use facts::{cpus, memory_bytes, threads};
pub(crate) use proc::{field, stat};
pub use processes::{TreeMemory, cpu_ns, machine_ns, memory, own_ns, runs, tree};
pub use telemetry::HostSource;
pub use tree::TreeSource;
pub use usage::{TreeUsage, pss_bytes, tree_usage};
pub use vendor::Cpu;
pub(crate) use vendor::examine;
