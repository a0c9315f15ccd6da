//! The real driver: an arbiter thread for each node.

use std::net::SocketAddrV4;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::future::BoxFuture;

use super::carrier::Carrier;
use super::disk::RealDisk;
use super::outbound::Outbound;
use super::subprocess::RealSubprocesses;
use super::timers::Timers;
use crate::disk::Disk;
use crate::driver::{Driver, Fire, LinkMode, Run, TimerId};
use crate::inbox::Wake;
use crate::subprocess::Subprocesses;
use crate::{Envelope, Time};

pub(crate) struct RealDriver {
    pub(crate) arbiter: actix_rt::ArbiterHandle,
    /// One for each thread; the first is the arbiter's.
    pub(crate) carriers: Vec<Arc<Carrier>>,
    /// Whose turn it is to host a process.
    pub(crate) next: AtomicUsize,
    /// The threads besides the arbiter's.
    pub(crate) workers: Vec<actix_rt::ArbiterHandle>,
    pub(crate) clock: Clock,
    pub(crate) timers: Arc<Timers>,
    pub(crate) outbound: Arc<Outbound>,
    pub(crate) disk: Arc<RealDisk>,
    pub(crate) subprocesses: Arc<RealSubprocesses>,
}

/// Wall time at the start, carried on by the monotonic clock: it never jumps.
#[derive(Clone, Copy)]
pub(crate) struct Clock {
    started: Time,
    monotonic: tokio::time::Instant,
}

impl Clock {
    pub(crate) fn start() -> Self {
        let wall = std::time::UNIX_EPOCH.elapsed().unwrap_or_default();
        let started = Time::EPOCH + wall;
        Self { started, monotonic: tokio::time::Instant::now() }
    }

    fn now(self) -> Time {
        self.started + self.monotonic.elapsed()
    }
}

impl Driver for RealDriver {
    fn now(&self) -> Time {
        self.clock.now()
    }

    fn seed(&self) -> [u8; 32] {
        // tidy: allow the operating system's randomness is what the real driver stands for
        rand::random()
    }

    fn transmit(&self, envelope: Envelope) {
        self.outbound.transmit(&envelope);
    }

    fn connect(&self, peer: SocketAddrV4, mode: LinkMode) {
        self.outbound.connect(peer, mode);
    }

    fn arm(&self, delay: Duration, fire: Fire) -> TimerId {
        self.timers.arm(delay, fire)
    }

    fn disarm(&self, timer: TimerId) {
        self.timers.disarm(timer);
    }

    fn host(&self, runner: Box<dyn Run>) -> (Arc<dyn Wake>, u64) {
        let turn = self.next.fetch_add(1, Ordering::Relaxed) % self.carriers.len();
        let carrier = self.carriers[turn].clone();
        let slot = carrier.host(runner);
        (carrier, slot)
    }

    fn spawn(&self, future: BoxFuture<'static, ()>) {
        self.arbiter.spawn(future);
    }

    fn disk(&self) -> Arc<dyn Disk> {
        self.disk.clone()
    }

    fn subprocesses(&self) -> Arc<dyn Subprocesses> {
        self.subprocesses.clone()
    }

    fn close(&self) {
        self.outbound.close();
        for worker in &self.workers {
            worker.stop();
        }
        self.arbiter.stop();
    }
}
