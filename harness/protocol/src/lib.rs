//! Frames between the harness and an engine: bounded encode and decode, no I/O.
