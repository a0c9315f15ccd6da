//! The workspace's own tool: `cargo xtask <verb>`.
//!
//! # Purpose
//! One place that knows how this workspace is checked, tested, measured and packed, so that a
//! person, a hook and a build machine do the same thing.
//!
//! # Non-goals
//! No dependencies: it must build in seconds on a machine that has only Rust.
//!
//! # Map
//! - [`shell`]: child processes and their honest ends
//! - [`setup`]: what tests need from the host
//! - [`verbs`]: what each verb does
//! - [`tidy`]: rules of the house that no compiler checks
//! - [`summary`]: what `cargo test` says it did

mod setup;
mod shell;
mod summary;
mod tidy;
mod verbs;

use std::process::ExitCode;

const HELP: &str = "\
cargo xtask <verb>

Verbs
  check                      rustfmt, clippy with warnings as errors, tidy; runs no test
  tidy [--bless]             rules of the house only; --bless lowers the ratchet to today's sizes
  test                       setup, check, build all binaries, then every test of the workspace
  setup                      install what tests need from the host (Debian, as root)
  sim [--seeds N] [--seed X] [--only NAME]
                             simulations: N seeds, or the one seed X; all, or NAME of sim_faults (the
                             runtime), sim, sim_models, sim_crowd, sim_ha (clusters), log_sim;
                             from 100 seeds on in a release build
  bench [name…]              performance claims, release build
  dist                       release build; packs the binaries under <target>/dist
  help                       this text

Environment
  CI=true                    an ignored test, or something that cannot be installed, fails the run
  CARGO_TARGET_DIR           where cargo builds, as always

Exit code: 0 if all is well, 1 if a step failed, 2 if the command line is not understood.
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match arguments.as_slice() {
        [] | ["help" | "--help" | "-h"] => {
            print!("{HELP}");
            return ExitCode::SUCCESS;
        }
        ["check"] => verbs::check(),
        ["tidy"] => verbs::tidy(),
        ["tidy", "--bless"] => verbs::bless(),
        ["test"] => verbs::test(),
        ["setup"] => setup::run(),
        ["sim", rest @ ..] => match verbs::SimRun::parse(rest) {
            Ok(run) => verbs::sim(&run),
            Err(problem) => return misunderstood(&problem),
        },
        ["bench", names @ ..] => verbs::bench(names),
        ["dist"] => verbs::dist(),
        [verb, ..] => return misunderstood(&format!("unknown: {verb}")),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("xtask: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn misunderstood(problem: &str) -> ExitCode {
    eprint!("xtask: {problem}\n\n{HELP}");
    ExitCode::from(2)
}
