//! Orphans of what was started become children of this process (`PR_SET_CHILD_SUBREAPER`): a daemon that
//! forks twice and leaves its session is still found when its tree is killed, and nothing has to be looked
//! for when there is none. Those that end are reaped.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid as OsPid;
use tokio::signal::unix::{SignalKind, signal};

use super::processes;

/// Who of our children was started by us; the others are orphans.
#[derive(Default)]
pub(super) struct Orphans {
    own: Mutex<BTreeSet<i32>>,
}

/// A child of ours; forgotten when this is dropped.
pub(super) struct Own {
    orphans: Arc<Orphans>,
    pid: i32,
}

impl Drop for Own {
    fn drop(&mut self) {
        self.orphans.with(|own| own.remove(&self.pid));
    }
}

impl Orphans {
    /// Adopts from now on; None when the kernel does not know how, or does not tell of children.
    pub(super) fn adopt(arbiter: &actix_rt::ArbiterHandle) -> Option<Arc<Self>> {
        processes::children()?;
        nix::sys::prctl::set_child_subreaper(true).ok()?;
        let orphans = Arc::new(Self::default());
        let reaper = orphans.clone();
        arbiter.spawn(async move {
            let Ok(mut children) = signal(SignalKind::child()) else { return };
            while children.recv().await.is_some() {
                reaper.reap();
            }
        });
        Some(orphans)
    }

    fn with<T>(&self, change: impl FnOnce(&mut BTreeSet<i32>) -> T) -> T {
        // A set is whole whatever panicked.
        change(&mut self.own.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Notes a child that was started by us.
    pub(super) fn own_child(self: &Arc<Self>, pid: u32) -> Own {
        let pid = i32::try_from(pid).unwrap_or(i32::MAX);
        self.with(|own| own.insert(pid));
        Own { orphans: self.clone(), pid }
    }

    fn adopted(&self) -> Option<BTreeSet<i32>> {
        let children = processes::children()?;
        Some(self.with(|own| children.difference(own).copied().collect()))
    }

    /// Who was left by a process that we started and that is gone; None when that process is still
    /// there, or cannot be told.
    pub(super) fn left(&self, pid: u32) -> Option<BTreeSet<i32>> {
        let alive = i32::try_from(pid).is_ok_and(|pid| self.with(|own| own.contains(&pid)));
        if alive { None } else { self.adopted() }
    }

    fn reap(&self) {
        for pid in self.adopted().unwrap_or_default() {
            // One that goes on living is looked at again when any child ends.
            let _ = waitpid(OsPid::from_raw(pid), Some(WaitPidFlag::WNOHANG));
        }
    }
}
