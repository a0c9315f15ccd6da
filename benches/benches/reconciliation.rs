//! Claim: a framework that asks for 50,000 tasks by name has all answers in 40 ms.
//!
//! Master, fake slaves and framework are in one OS process, on one node: messages are encoded,
//! checked and decoded, but see no socket. Half of the tasks run, the others are not known.

use std::time::Duration;

use benches::fake::{self, Board, Framework, Habits, Plan};
use benches::{Outcome, claim, median, millis};
use libprocess::real;
use protos::ids::TaskId;
use protos::mesos::scheduler::call;

const SLAVES: usize = 100;
const RUNNING: usize = 25_000;
const ROUNDS: usize = 5;

async fn measure() -> Outcome<()> {
    let log = libprocess::slog::Logger::root(libprocess::slog::Discard, libprocess::slog::o!());
    let ip = std::net::Ipv4Addr::LOCALHOST;
    let node = master::node_config(log);
    let node = real::start(real::Config { ip, node, ..Default::default() }).await?;
    let config = master::Config {
        allocation_interval: Duration::from_millis(100),
        ..master::Config::default()
    };
    let master = master::start(&node, config)?.pid().clone();
    let board = Board::default();
    fake::slaves(&node, &master, SLAVES, "cpus:250;mem:102400", Habits::LASTING, &board)?;
    fake::until(&node, "slaves", || board.registered() == SLAVES).await?;
    let plan = Plan { tasks: RUNNING, in_flight: RUNNING, each: "cpus:1;mem:32".parse()? };
    let framework = node.spawn("scheduler(1)", Framework::new(master, plan, board.clone()))?;
    fake::until(&node, "tasks", || board.running() == RUNNING).await?;
    for count in [1_000, 10_000, 50_000] {
        let mut times = Vec::new();
        for _ in 0..ROUNDS {
            let from = RUNNING - count / 2;
            let task = |number| call::reconcile::Task {
                task_id: TaskId::new(format!("task-{:07}", from + number + 1)).wire(),
                slave_id: None,
            };
            let tasks: Vec<_> = (0..count).map(task).collect();
            let before = board.reconciled();
            let start = node.now();
            framework.tell(move |framework, cx| framework.reconcile(tasks, cx));
            fake::until(&node, "answers", || board.reconciled() - before == count).await?;
            times.push(node.now().since(start));
        }
        let goal = if count == 50_000 { "40" } else { "none" };
        claim(&format!("{count} tasks reconciled"), millis(median(times)), "ms", goal);
    }
    node.close();
    Ok(())
}

fn main() -> Outcome<()> {
    real::run(measure())
}
