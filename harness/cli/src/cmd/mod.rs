//! The verbs, one per file.

pub(crate) mod analyze;
#[cfg(feature = "chain")]
pub(crate) mod chain;
mod ci;
mod compare;
mod completions;
pub(crate) mod copies;
mod doctor;
mod engine;
mod engine_check;
mod engine_cost;
mod engine_install;
#[cfg(feature = "fleet")]
pub(crate) mod fleet;
mod forecast;
mod generate;
mod history;
mod left_out;
mod man;
pub(crate) mod measure;
mod miner;
pub(crate) mod on_fleet;
pub(crate) mod plan;
pub(crate) mod publish;
pub(crate) mod quality;
pub(crate) mod rank;
pub(crate) mod report;
mod reproduce;
mod run;
mod seal;
mod stats;
#[cfg(feature = "validator")]
mod validator;
mod verify;
#[cfg(feature = "chain")]
mod weights;

use clap::{Parser, Subcommand};
use edgemaxx_run::build::VERSION;

#[cfg(not(feature = "fleet"))]
use self::left_out::fleet;
#[cfg(not(feature = "validator"))]
use self::left_out::validator;
#[cfg(not(feature = "chain"))]
use self::left_out::{chain, weights};

/// Reproducible benchmarks of generative models, with the statistics to believe them.
///
/// EdgeMaxx measures candidates against a baseline in pairs, across process relaunches, judges
/// their answers, and says with stated confidence who is faster at equal quality.
#[derive(Debug, Parser)]
#[command(name = "edgemaxx", version, long_version = VERSION, after_long_help = HELP)]
pub(crate) struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

const HELP: &str = "\
Examples:
  edgemaxx run fixtures/contests/emoji-cpu.toml          the whole way, to report.html
  edgemaxx run fixtures/contests/emoji-cpu.toml --quick  a first look within a minute
  edgemaxx report runs/emoji-cpu-2026-11-22              any stage again, on a run folder
  edgemaxx verify days/2026-11-22                        is a published run what it says?
  edgemaxx compare runs/main runs/change                 has anything become slower?
  edgemaxx ci contest.toml --against main                is this change slower?
  edgemaxx history runs --out site                       all runs as a site

Exit codes:
  0 good · 1 the answer is no · 2 usage or bad input · 3 environment unfit, its disk full, or no time left ·
  4 engine or candidate failed · 5 chain or hub failed · 6 could not be checked · 130 interrupted, resumable";

#[derive(Debug, Subcommand)]
enum Verb {
    /// Do it all: plan, measure, quality, analyze, rank, report.
    Run(run::Args),
    /// Draw the plan: which requests, in which order, in which sessions.
    Plan(plan::Args),
    /// Execute the plan: launch engines, time them, record every attempt.
    Measure(measure::Args),
    /// Judge the answers of a run, or compare two answers' files.
    Quality(quality::Args),
    /// Turn samples into estimates with intervals.
    Analyze(analyze::Args),
    /// Turn estimates into scores, tiers and weights.
    Rank(rank::Args),
    /// Write report.html, CSV, Markdown, JUnit and summary.json.
    Report(report::Args),
    /// Run a subnet's contest every day, or see how it is doing.
    Validator(validator::Args),
    /// Seal a run: digests of all files, chained to the day before, signed.
    Seal(seal::Args),
    /// Copy a sealed run to a folder that can be served, or to the hub.
    Publish(publish::Args),
    /// Have other hosts measure the lanes of a run, or see how they are.
    Fleet(fleet::Args),
    /// Check a sealed run, down to recomputing every byte that follows from its log.
    Verify(verify::Args),
    /// Measure a published candidate on this machine by the same plan.
    Reproduce(reproduce::Args),
    /// Find checkpoints that repeat an earlier one's weights.
    Copies(copies::Args),
    /// Is this machine fit to measure, and how is it mended?
    Doctor(doctor::Args),
    /// Compare two runs, or candidates with their baseline: regressed or not.
    Compare(compare::Args),
    /// Measure a change against the version before it, in one run, for CI.
    Ci(ci::Args),
    /// Build a site from many runs: days, trends, lasting changes.
    History(history::Args),
    /// Generate one picture with the built-in engine.
    Generate(generate::Args),
    /// Run or check an engine process.
    Engine(engine::Args),
    /// Simulate how often the statistics are wrong.
    Stats(stats::Args),
    /// For miners: optimise, tune, publish and commit a checkpoint.
    Miner(miner::Args),
    /// Set weights from a run, or show those on chain.
    Weights(weights::Args),
    /// Read a subnet: neurons, commitments, hyperparameters.
    Chain(chain::Args),
    /// Print a script by which a shell completes verbs and options.
    Completions(completions::Args),
    /// Write manual pages.
    Man(man::Args),
}

impl Cli {
    pub(crate) fn execute(self) -> anyhow::Result<()> {
        match self.verb {
            Verb::Run(args) => args.execute(),
            Verb::Plan(args) => args.execute(),
            Verb::Measure(args) => args.execute(),
            Verb::Quality(args) => args.execute(),
            Verb::Analyze(args) => args.execute(),
            Verb::Rank(args) => args.execute(),
            Verb::Report(args) => args.execute(),
            Verb::Validator(args) => args.execute(),
            Verb::Seal(args) => args.execute(),
            Verb::Publish(args) => args.execute(),
            Verb::Fleet(args) => args.execute(),
            Verb::Verify(args) => args.execute(),
            Verb::Reproduce(args) => args.execute(),
            Verb::Copies(args) => args.execute(),
            Verb::Doctor(args) => args.execute(),
            Verb::Compare(args) => args.execute(),
            Verb::Ci(args) => args.execute(),
            Verb::History(args) => args.execute(),
            Verb::Generate(args) => args.execute(),
            Verb::Engine(args) => args.execute(),
            Verb::Stats(args) => args.execute(),
            Verb::Miner(args) => args.execute(),
            Verb::Weights(args) => args.execute(),
            Verb::Chain(args) => args.execute(),
            Verb::Completions(args) => args.execute(),
            Verb::Man(args) => args.execute(),
        }
    }
}
