//! Runs a scenario over many seeds, each twice, and says how to replay one that fails.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use super::{Menu, Plan, World, check_determinism, seeds, shrink};

/// Runs `scenario` for each seed ([`seeds`]: `SEED`, `SIM_SEEDS`, else 1 to `default`), each twice:
/// both runs must have the same trace. A scenario fails by panicking.
///
/// # Panics
/// As the scenario does, after a line that tells the seed and how to replay it; and when two runs
/// of a seed differ.
pub fn explore(default: u64, mut scenario: impl FnMut(&mut World)) {
    for seed in seeds(default) {
        match catch_unwind(AssertUnwindSafe(|| check_determinism(seed, &mut scenario))) {
            Ok(Ok(_)) => {}
            Ok(Err(diverged)) => panic!("{diverged}"),
            Err(panic) => {
                eprintln!("seed {seed} fails; replay it with SEED={seed}");
                resume_unwind(panic);
            }
        }
    }
}

/// As [`explore`] with faults drawn from the seed: `scenario` gets the world and the plan to
/// [`Plan::play`] into it. When a seed fails, the faults are made fewer and shorter while it still
/// does, and what is left is printed before the panic goes on.
///
/// # Panics
/// As [`explore`].
pub fn explore_faults(default: u64, menu: &Menu, mut scenario: impl FnMut(&mut World, &Plan)) {
    for seed in seeds(default) {
        let plan = Plan::random(seed, menu);
        let run = |plan: &Plan, scenario: &mut dyn FnMut(&mut World, &Plan)| {
            catch_unwind(AssertUnwindSafe(|| {
                check_determinism(seed, |world| scenario(world, plan))
            }))
        };
        match run(&plan, &mut scenario) {
            Ok(Ok(_)) => {}
            Ok(Err(diverged)) => panic!("{diverged}"),
            Err(panic) => {
                eprintln!("seed {seed} fails; looking for a smaller set of faults");
                let small = shrink(&plan, |plan| run(plan, &mut scenario).is_err());
                eprintln!(
                    "seed {seed} fails with these faults; replay it with SEED={seed}\n{small}"
                );
                resume_unwind(panic);
            }
        }
    }
}
