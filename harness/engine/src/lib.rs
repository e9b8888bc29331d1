//! Engines as child processes: spawn, sandbox, socket, time-outs; and the mock engine.
