//! Runs the replicated register in simulated storms and judges what its clients saw.
//! `raft-sim [seeds] [bug]`, where the bug is one of forgets-votes, answers-before-saving,
//! counts-old-terms, reads-locally. With `SEED=…` it runs that one seed, with `SIM_TRACE=1` it prints
//! every event. `CHART=run.html` writes what was sent and who crashed in the last seed's run as a
//! sequence chart for a browser.

use std::process::ExitCode;

use examples::raft::{Bug, chaos, linearizable};
use libprocess::sim::{self, World};

const DEFAULT_SEEDS: u64 = 20;

fn run(seeds: u64, bug: Option<Bug>) -> Result<(), String> {
    for seed in sim::seeds(seeds) {
        let plan = chaos::Plan { bug, ..chaos::Plan::default() };
        let mut world = World::new(seed);
        let chart = std::env::var_os("CHART");
        if chart.is_some() {
            world.keep_chart();
        }
        let history = chaos::run(&mut world, plan).map_err(|error| error.to_string())?;
        if let Some(path) = chart {
            let page = world.chart().to_html(&format!("register under storms, seed {seed}"));
            std::fs::write(&path, page).map_err(|error| format!("{}: {error}", path.display()))?;
        }
        match linearizable::check(0, &history) {
            Ok(_) => println!("seed {seed}: {} operations, linearizable", history.answered()),
            Err(violation) => return Err(format!("seed {seed}: {violation}")),
        }
    }
    Ok(())
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let bug = |name: &str| Bug::ALL.into_iter().find(|bug| bug.name() == name);
    let result = match &arguments[..] {
        [] => run(DEFAULT_SEEDS, Bug::planted()),
        [seeds, rest @ ..] => match (seeds.parse(), rest) {
            (Ok(seeds), []) => run(seeds, Bug::planted()),
            (Ok(seeds), [name]) if bug(name).is_some() => run(seeds, bug(name)),
            _ => Err("usage: raft-sim [seeds] [bug]".to_owned()),
        },
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("raft-sim: {error}");
            ExitCode::FAILURE
        }
    }
}
