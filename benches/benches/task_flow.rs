//! Claim: launched, told running, told finished, all acknowledged: 20,000 tasks a second on one core,
//! slaves, framework and codec included.
//!
//! A master, its allocator, 100 fake slaves and a fake framework in the simulator: every message
//! between them is encoded and decoded; nothing waits for a socket.

use std::time::Duration;

use benches::fake::{self, Board, Framework, Habits, Plan};
use benches::{Outcome, claim, rate, timed};
use libprocess::NodeConfig;
use libprocess::sim::World;

const SLAVES: usize = 100;
const IN_FLIGHT: usize = 1_000;
const TASKS: usize = 50_000;
const ROUNDS: usize = 3;

fn run() -> Outcome<f64> {
    let mut world = World::new(1);
    let log = libprocess::slog::Logger::root(libprocess::slog::Discard, libprocess::slog::o!());
    let node = world.node("10.0.0.1:5050".parse()?, master::node_config(log));
    let config = master::Config {
        allocation_interval: Duration::from_millis(100),
        ..master::Config::default()
    };
    let master = master::start(&node, config)?.pid().clone();
    let board = Board::default();
    let home = world.node("10.0.0.2:5051".parse()?, NodeConfig::default());
    fake::slaves(&home, &master, SLAVES, "cpus:10;mem:10240", Habits::SHORT, &board)?;
    world.run_until(Duration::from_secs(60), |_| board.registered() == SLAVES)?;
    let place = world.node("10.0.0.3:9000".parse()?, NodeConfig::default());
    let plan = Plan { tasks: TASKS, in_flight: IN_FLIGHT, each: "cpus:1;mem:32".parse()? };
    place.spawn("scheduler(1)", Framework::new(master, plan, board.clone()))?;
    let (done, took) =
        timed(|| world.run_until(Duration::from_secs(36_000), |_| board.ended() == TASKS));
    done?;
    Ok(rate(TASKS as u64, took))
}

fn main() -> Outcome<()> {
    let rates = (0..ROUNDS).map(|_| run()).collect::<Outcome<Vec<_>>>()?;
    let best = rates.into_iter().fold(0.0, f64::max);
    claim("tasks launched, finished and acknowledged", best, "tasks/s", "20,000");
    Ok(())
}
