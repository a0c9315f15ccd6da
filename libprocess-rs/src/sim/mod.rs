//! The simulator: virtual time, one ordered queue, seeded randomness, faults as rules.
//!
//! A [`World`] holds nodes that run the same processes as real ones do. Everything happens on one
//! thread in the order of (virtual time, sequence); what is random comes from the seed, so a seed
//! replays a run exactly. Messages stay encoded; disks and programs are simulated.
//!
//! ```
//! use std::time::Duration;
//! use libprocess::sim::{World, loss};
//! use libprocess::{Ctx, NodeConfig, Process, Routes};
//!
//! #[derive(Default)]
//! struct Clock { ticks: u64 }
//!
//! impl Process for Clock {
//!     fn routes(_: &mut Routes<Self>) {}
//!     fn initialize(&mut self, cx: &mut Ctx<Self>) { self.tick(cx) }
//! }
//!
//! impl Clock {
//!     fn tick(&mut self, cx: &mut Ctx<Self>) {
//!         self.ticks += 1;
//!         cx.after(Duration::from_secs(1), Self::tick);
//!     }
//! }
//!
//! let mut world = World::new(42);
//! world.add_rule(loss(0.1));
//! let node = world.node("10.0.0.1:5050".parse().unwrap(), NodeConfig::default());
//! let before = world.now();
//! node.spawn("clock", Clock::default()).unwrap();
//! world.run_for(Duration::from_secs(3600));
//! assert_eq!(world.now() - before, Duration::from_secs(3600));
//! ```
//!
//! Map: `world` is the test's side, `run` lets time pass, `step` what happens, `queue` when, `net` and `rules` between
//! nodes, `driver` the nodes' side, `executor` futures, `disk` and `files` storage, `programs`
//! stand-ins for OS processes, `trace` and `check` the proof that a seed replays, `plan` faults as data and `shrink`,
//! `explore` many seeds, `chart` message sequence charts.

mod chart;
mod check;
mod disk;
mod driver;
mod executor;
mod explore;
mod files;
mod net;
mod plan;
mod programs;
mod queue;
mod rules;
mod run;
mod slots;
mod state;
mod step;
mod trace;
mod world;

pub use chart::{Arrow, Chart, Mark};
pub use check::{check_determinism, seeds};
pub use explore::{explore, explore_faults};
pub use plan::{Fault, FaultKind, Menu, Plan, shrink};
pub use programs::SpawnedProgram;
pub use rules::{
    Cut, Duplication, Loss, Partition, Reorder, Rule, RuleId, Slow, Verdict, duplication, loss,
    partition, reorder, slow,
};
pub use run::Timeout;
pub use state::START;
pub use trace::Diverged;
pub use world::{At, World};
