//! What a simulated node sees of the world.

use std::net::SocketAddrV4;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use rand::Rng;

use super::disk::{SimDisk, Store};
use super::programs::SimSubprocesses;
use super::queue::{Entry, LifeId};
use super::state::Shared;
use crate::disk::Disk;
use crate::driver::{Driver, Fire, LinkMode, Run, TimerId};
use crate::inbox::Wake;
use crate::subprocess::Subprocesses;
use crate::{Envelope, Time};

/// The driver of one life of a node; once that has ended it does nothing.
pub(super) struct SimDriver {
    pub(super) shared: Arc<Shared>,
    pub(super) life: LifeId,
    pub(super) store: Store,
}

/// Puts a process's turn on the queue.
struct SimWaker {
    shared: Arc<Shared>,
    life: LifeId,
}

impl Wake for SimWaker {
    fn wake(&self, slot: u64) {
        let life = self.life;
        self.shared.with(|state| state.push_now(Entry::Run { life, slot }));
    }
}

impl Driver for SimDriver {
    fn now(&self) -> Time {
        self.shared.with(|state| state.time_of(self.life))
    }

    fn seed(&self) -> [u8; 32] {
        self.shared.with(|state| state.seeds.random())
    }

    fn transmit(&self, envelope: Envelope) {
        self.shared.with(|state| state.transmit(self.life, envelope));
    }

    fn connect(&self, peer: SocketAddrV4, mode: LinkMode) {
        self.shared.with(|state| state.connect(self.life, peer, mode));
    }

    fn arm(&self, delay: Duration, fire: Fire) -> TimerId {
        let life = self.life;
        let (timer, refused) = self.shared.with(|state| {
            let Some(alive) = state.lives.get_mut(life) else {
                // No timer has this number.
                return (TimerId::MAX, Some(fire));
            };
            let timer = alive.timers.insert(fire);
            state.push(state.now + delay, Entry::Timer { life, timer });
            (timer, None)
        });
        // Dropped outside the lock: what a timer holds may wake others.
        drop(refused);
        timer
    }

    fn disarm(&self, timer: TimerId) {
        let fire = self.shared.with(|state| state.lives.get_mut(self.life)?.timers.remove(timer));
        drop(fire);
    }

    fn host(&self, runner: Box<dyn Run>) -> (Arc<dyn Wake>, u64) {
        let (slot, refused) = self.shared.with(|state| match state.lives.get_mut(self.life) {
            Some(alive) => {
                alive.hosted.push(Some(runner));
                (alive.hosted.len() - 1, None)
            }
            None => (0, Some(runner)),
        });
        drop(refused);
        (Arc::new(SimWaker { shared: self.shared.clone(), life: self.life }), slot as u64)
    }

    fn spawn(&self, future: BoxFuture<'static, ()>) {
        self.shared.spawn(self.life, future);
    }

    fn disk(&self) -> Arc<dyn Disk> {
        Arc::new(SimDisk {
            shared: self.shared.clone(),
            life: self.life,
            store: self.store.clone(),
        })
    }

    fn subprocesses(&self) -> Arc<dyn Subprocesses> {
        Arc::new(SimSubprocesses { shared: self.shared.clone(), life: self.life })
    }

    fn close(&self) {
        let life = self.life;
        self.shared.with(|state| state.push_now(Entry::Close { life }));
    }
}
