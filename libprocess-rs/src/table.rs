//! The process table of a node with its links, as plain data.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddrV4;
use std::sync::Arc;

use futures::channel::oneshot;

use crate::Pid;
use crate::inbox::Mail;
use crate::routes::Help;

pub(crate) struct Entry {
    pub(crate) mail: Arc<dyn Mail>,
    pub(crate) help: BTreeMap<String, Help>,
    pub(crate) waiters: Vec<oneshot::Sender<()>>,
}

/// Who runs on a node, and who watches whom.
#[derive(Default)]
pub(crate) struct Table {
    pub(crate) entries: BTreeMap<Arc<str>, Entry>,
    counters: BTreeMap<String, u64>,
    /// Local linked id → linkers' ids.
    local: BTreeMap<Arc<str>, BTreeSet<Arc<str>>>,
    /// Remote node → pairs of linker's id and linked PID.
    remote: BTreeMap<SocketAddrV4, BTreeSet<(Arc<str>, Pid)>>,
}

impl Table {
    /// The next `prefix(N)`, N from 1 for each prefix.
    pub(crate) fn number(&mut self, prefix: &str) -> String {
        let counter = self.counters.entry(prefix.to_owned()).or_insert(0);
        *counter += 1;
        format!("{prefix}({counter})")
    }

    pub(crate) fn mail(&self, id: &str) -> Option<Arc<dyn Mail>> {
        self.entries.get(id).map(|entry| entry.mail.clone())
    }

    /// Notes a link to a local process; false when there is none.
    pub(crate) fn link_local(&mut self, linker: &Arc<str>, to: &Arc<str>) -> bool {
        let alive = self.entries.contains_key(to);
        if alive {
            self.local.entry(to.clone()).or_default().insert(linker.clone());
        }
        alive
    }

    pub(crate) fn link_remote(&mut self, linker: &Arc<str>, to: &Pid) {
        self.remote.entry(to.address()).or_default().insert((linker.clone(), to.clone()));
    }

    /// Takes a dead process out: who linked to it gets an event, who waits for it is released.
    pub(crate) fn remove(&mut self, id: &Arc<str>) -> Removed {
        let waiters = self.entries.remove(id).map(|entry| entry.waiters).unwrap_or_default();
        let linkers = self.local.remove(id).unwrap_or_default();
        self.local.values_mut().for_each(|linkers| {
            linkers.remove(id);
        });
        self.remote.values_mut().for_each(|links| links.retain(|(linker, _)| linker != id));
        let linkers = linkers.iter().filter_map(|linker| self.mail(linker)).collect();
        Removed { linkers, waiters }
    }

    /// Takes the links to a node whose connection broke, with their linkers.
    pub(crate) fn lost(&mut self, peer: SocketAddrV4) -> Vec<(Arc<dyn Mail>, Pid)> {
        let links = self.remote.remove(&peer).unwrap_or_default();
        links.into_iter().filter_map(|(id, pid)| Some((self.mail(&id)?, pid))).collect()
    }
}

/// What the end of a process sets free.
pub(crate) struct Removed {
    pub(crate) linkers: Vec<Arc<dyn Mail>>,
    pub(crate) waiters: Vec<oneshot::Sender<()>>,
}
