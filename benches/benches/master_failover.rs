//! Claim: a master that took over has 20,000 slaves with 100,000 tasks back within 1.0 s, and 2,000
//! slaves with 200,000 tasks within 0.6 s, codec included.
//!
//! Master and fake slaves are in one OS process, on one node: messages are encoded, checked and
//! decoded, but see no socket. The master knows none of the slaves: each goes through its registrar.

use benches::fake::{self, Board, Habits, Slave};
use benches::{Outcome, claim};
use libprocess::real;
use protos::ids::{FrameworkId, SlaveId, TaskId};
use protos::mesos::FrameworkInfo;
use protos::resources::Resources;

async fn run(slaves: usize, each: usize, goal: &str) -> Outcome<()> {
    let log = libprocess::slog::Logger::root(libprocess::slog::Discard, libprocess::slog::o!());
    let ip = std::net::Ipv4Addr::LOCALHOST;
    let node = master::node_config(log);
    let node = real::start(real::Config { ip, node, ..Default::default() }).await?;
    let framework = FrameworkInfo {
        user: "nobody".to_owned(),
        name: "failover".to_owned(),
        id: Some(FrameworkId::new("20261127-old-0000").wire()),
        ..FrameworkInfo::default()
    };
    let of = FrameworkId::new("20261127-old-0000");
    let (total, one): (Resources, Resources) =
        ("cpus:200;mem:65536".parse()?, "cpus:1;mem:32".parse()?);
    let one = one.allocated_to("*");
    let board = Board::default();
    let made: Vec<Slave> = (0..slaves)
        .map(|number| {
            let id = SlaveId::new(format!("20261127-old-S{number}"));
            let task = |at| TaskId::new(format!("task-{number}-{at}"));
            let tasks = (0..each).map(|at| fake::task(&task(at), &of, &id, &one)).collect();
            let info = fake::slave_info(number, &total);
            Slave::new(node.pid("master"), info, Habits::LASTING, board.clone())
                .running(&id, tasks, &framework)
        })
        .collect();
    let master = master::start(&node, master::Config::default())?;
    // Not before it is elected: until then it hears nobody.
    node.sleep(std::time::Duration::from_millis(200)).await;
    let start = node.now();
    for (number, slave) in made.into_iter().enumerate() {
        node.spawn(&format!("slave({number})"), slave)?;
    }
    fake::until(&node, "slaves are back", || board.returned() == slaves).await?;
    let took = node.now().since(start);
    let tasks = slaves * each;
    let what = format!("{slaves} slaves with {tasks} tasks register again");
    claim(&what, took.as_secs_f64(), "s", goal);
    node.terminate(master.pid(), false);
    node.close();
    Ok(())
}

fn main() -> Outcome<()> {
    real::run(async {
        run(20_000, 5, "1.0").await?;
        run(2_000, 100, "0.6").await
    })
}
