//! The seam between the runtime's rules and the world: one implementation on sockets and threads,
//! one in the simulator.

use std::net::SocketAddrV4;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;

use crate::disk::Disk;
use crate::inbox::Wake;
use crate::subprocess::Subprocesses;
use crate::{Envelope, Pid, Time};

/// How much of an inbox a runner got through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Progress {
    /// Nothing is left: the next push wakes the host.
    Idle,
    /// The budget ran out first: the host must run again.
    More,
    /// The process is gone.
    Ended,
}

/// A process with its inbox, as a host runs it.
pub(crate) trait Run: Send {
    /// Handles at most `budget` events.
    fn run(&mut self, budget: usize) -> Progress;
    /// The process's name, for traces.
    fn pid(&self) -> &Pid;
    /// True when the process ended by a panic.
    fn panicked(&self) -> bool;
}

/// Whether a link may use the connection that exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkMode {
    /// Joins an existing persistent connection.
    Reuse,
    /// Replaces it by a new one first; the old one's end fires no exited events.
    Reconnect,
}

/// Names an armed timer within its driver.
pub(crate) type TimerId = u64;

/// What happens when a timer fires.
pub(crate) type Fire = Box<dyn FnOnce() + Send>;

/// What a node needs of the world.
pub(crate) trait Driver: Send + Sync + 'static {
    fn now(&self) -> Time;
    /// A seed for the generator of a process that starts.
    fn seed(&self) -> [u8; 32];
    /// Sends to another node; failures are logged and forgotten.
    fn transmit(&self, envelope: Envelope);
    /// Makes the persistent connection that links to `peer` watch; its end is reported by
    /// `Node::connection_lost`.
    fn connect(&self, peer: SocketAddrV4, mode: LinkMode);
    fn arm(&self, delay: Duration, fire: Fire) -> TimerId;
    fn disarm(&self, timer: TimerId);
    /// Gives a process its place to run: the host to ask for a run, and the slot to name then.
    fn host(&self, runner: Box<dyn Run>) -> (Arc<dyn Wake>, u64);
    /// Polls a future to its end beside the processes.
    fn spawn(&self, future: BoxFuture<'static, ()>);
    fn disk(&self) -> Arc<dyn Disk>;
    fn subprocesses(&self) -> Arc<dyn Subprocesses>;
    /// Ends the node: connections break, processes run no more.
    fn close(&self) {}
}
