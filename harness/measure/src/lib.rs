//! Executes a plan, owns the clock, appends samples.
