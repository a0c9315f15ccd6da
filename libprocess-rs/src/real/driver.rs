//! The real driver: an arbiter thread for each node.

use std::net::SocketAddrV4;
use std::sync::Arc;
use std::time::Duration;

use actix::Actor;
use futures::future::BoxFuture;

use super::disk::RealDisk;
use super::host::{Host, HostWaker};
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
        self.outbound.transmit(envelope);
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

    fn host(&self, runner: Box<dyn Run>) -> Box<dyn Wake> {
        let host = Host::start_in_arbiter(&self.arbiter, move |_| Host::new(runner));
        Box::new(HostWaker(host))
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
        self.arbiter.stop();
    }
}
