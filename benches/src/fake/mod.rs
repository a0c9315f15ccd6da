//! Slaves and frameworks that keep the protocol and run nothing, and a master in a child process:
//! what is left to measure is the master.

mod framework;
mod master;
mod slave;

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use libprocess::{Node, Pid};

pub use framework::{Framework, Plan};
use master::is_master;
pub use master::{MasterProcess, get};
pub use slave::{Habits, Slave, slave_info, task};

use crate::Outcome;

/// How long a condition may take.
const PATIENCE: Duration = Duration::from_secs(300);

/// What slaves and frameworks have seen; all hands share one.
#[derive(Debug, Clone, Default)]
pub struct Board(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    registered: AtomicUsize,
    returned: AtomicUsize,
    running: AtomicUsize,
    ended: AtomicUsize,
    reconciled: AtomicUsize,
}

impl Board {
    /// Slaves that were told their id.
    pub fn registered(&self) -> usize {
        self.0.registered.load(Ordering::Relaxed)
    }

    /// Times that slaves were told that they are back.
    pub fn returned(&self) -> usize {
        self.0.returned.load(Ordering::Relaxed)
    }

    /// Tasks that their framework was told run.
    pub fn running(&self) -> usize {
        self.0.running.load(Ordering::Relaxed)
    }

    /// Tasks whose end was told, acknowledged, and the acknowledgement passed on.
    pub fn ended(&self) -> usize {
        self.0.ended.load(Ordering::Relaxed)
    }

    /// Answers to reconciliations.
    pub fn reconciled(&self) -> usize {
        self.0.reconciled.load(Ordering::Relaxed)
    }

    fn add(&self, which: fn(&Counts) -> &AtomicUsize) {
        which(&self.0).fetch_add(1, Ordering::Relaxed);
    }
}

/// Waits until a condition holds.
///
/// # Errors
/// When that takes longer than five minutes.
pub async fn until(node: &Node, what: &str, met: impl Fn() -> bool) -> Outcome<()> {
    let start = node.now();
    while !met() {
        if node.now().since(start) > PATIENCE {
            return Err(format!("waited too long: {what}").into());
        }
        node.sleep(Duration::from_millis(1)).await;
    }
    Ok(())
}

/// Starts `count` slaves `slave(1)`, `slave(2)`, … on a node; all of them register at once.
///
/// # Errors
/// When an id is taken.
pub fn slaves(
    node: &Node,
    master: &Pid,
    count: usize,
    resources: &str,
    habits: Habits,
    board: &Board,
) -> Outcome<()> {
    let resources: protos::resources::Resources = resources.parse()?;
    for number in 1..=count {
        let info = slave_info(number, &resources);
        let slave = Slave::new(master.clone(), info, habits, board.clone());
        node.spawn(&format!("slave({number})"), slave)?;
    }
    Ok(())
}

/// What a bench with a [`MasterProcess`] is: a master when it was started as one, else `measure`.
pub fn main(measure: impl FnOnce() -> Outcome<()>) -> ExitCode {
    if let Some(code) = is_master() {
        return code;
    }
    match measure() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// A node on the loopback for what is fake.
///
/// # Errors
/// When it cannot listen.
pub async fn loopback() -> Outcome<Node> {
    let ip = std::net::Ipv4Addr::LOCALHOST;
    let config = libprocess::real::Config { ip, ..Default::default() };
    Ok(libprocess::real::start(config).await?)
}
