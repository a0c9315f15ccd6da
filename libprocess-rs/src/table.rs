//! The process table of a node with its links, as plain data.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddrV4;
use std::sync::Arc;

use futures::channel::oneshot;
use indexmap::IndexMap;
use rustc_hash::FxBuildHasher;

use crate::Pid;
use crate::inbox::Mail;
use crate::routes::Served;

/// One process. What few processes have lies apart: there may be millions of entries.
pub(crate) struct Entry {
    pub(crate) mail: Arc<dyn Mail>,
    pub(crate) served: Arc<dyn Served>,
    rare: Option<Box<Rare>>,
}

#[derive(Default)]
struct Rare {
    waiters: Vec<oneshot::Sender<()>>,
    /// Who linked to this process.
    linkers: BTreeSet<Arc<str>>,
    /// What this process links to.
    linked: BTreeSet<Pid>,
}

impl Entry {
    pub(crate) fn new(mail: Arc<dyn Mail>, served: Arc<dyn Served>) -> Self {
        Self { mail, served, rare: None }
    }

    fn rare(&mut self) -> &mut Rare {
        self.rare.get_or_insert_default()
    }
}

/// Who runs on a node, and who watches whom.
#[derive(Default)]
pub(crate) struct Table {
    /// Hashed, as each message looks its receiver up; sorted wherever the order can be seen.
    entries: IndexMap<Arc<str>, Entry, FxBuildHasher>,
    counters: BTreeMap<String, u64>,
    /// Remote node → pairs of linker's id and linked PID.
    remote: BTreeMap<SocketAddrV4, BTreeSet<(Arc<str>, Pid)>>,
}

impl Table {
    /// The next `prefix(N)`, N from 1 for each prefix.
    pub(crate) fn number(&mut self, prefix: &str) -> String {
        match self.counters.get_mut(prefix) {
            Some(counter) => {
                *counter += 1;
                format!("{prefix}({counter})")
            }
            None => {
                self.counters.insert(prefix.to_owned(), 1);
                format!("{prefix}(1)")
            }
        }
    }

    /// Adds a process; false when its id is taken.
    pub(crate) fn insert(&mut self, id: Arc<str>, entry: Entry) -> bool {
        match self.entries.entry(id) {
            indexmap::map::Entry::Occupied(_) => false,
            indexmap::map::Entry::Vacant(vacant) => {
                vacant.insert(entry);
                true
            }
        }
    }

    pub(crate) fn get(&self, id: &str) -> Option<&Entry> {
        self.entries.get(id)
    }

    pub(crate) fn mail(&self, id: &str) -> Option<Arc<dyn Mail>> {
        self.entries.get(id).map(|entry| entry.mail.clone())
    }

    /// All processes, sorted by id.
    pub(crate) fn sorted(&self) -> Vec<(&Arc<str>, &Entry)> {
        let mut all: Vec<_> = self.entries.iter().collect();
        all.sort_unstable_by_key(|(id, _)| *id);
        all
    }

    /// Adds somebody who waits for a process's end; false when there is none.
    pub(crate) fn add_waiter(&mut self, id: &str, waiter: oneshot::Sender<()>) -> bool {
        let entry = self.entries.get_mut(id);
        entry.map(|entry| entry.rare().waiters.push(waiter)).is_some()
    }

    /// Notes a link to a local process; false when there is none.
    pub(crate) fn link_local(&mut self, linker: &Arc<str>, to: &Pid) -> bool {
        let Some(entry) = self.entries.get_mut(to.id()) else {
            return false;
        };
        entry.rare().linkers.insert(linker.clone());
        self.note_linked(linker, to);
        true
    }

    pub(crate) fn link_remote(&mut self, linker: &Arc<str>, to: &Pid) {
        self.remote.entry(to.address()).or_default().insert((linker.clone(), to.clone()));
        self.note_linked(linker, to);
    }

    fn note_linked(&mut self, linker: &Arc<str>, to: &Pid) {
        if let Some(entry) = self.entries.get_mut(linker) {
            entry.rare().linked.insert(to.clone());
        }
    }

    fn forget_linked(&mut self, linker: &str, to: &Pid) {
        let entry = self.entries.get_mut(linker);
        if let Some(rare) = entry.and_then(|entry| entry.rare.as_mut()) {
            rare.linked.remove(to);
        }
    }

    /// Takes a dead process out: who linked to it gets an event, who waits for it is released.
    pub(crate) fn remove(&mut self, pid: &Pid) -> Removed {
        let id = pid.id_arc();
        let rare = self.entries.swap_remove(id).and_then(|entry| entry.rare);
        let Rare { waiters, linkers, linked } = rare.map(|rare| *rare).unwrap_or_default();
        for to in linked {
            if to.address() != pid.address() {
                let links = self.remote.get_mut(&to.address());
                links.map(|links| links.remove(&(id.clone(), to)));
            } else if let Some(rare) =
                self.entries.get_mut(to.id()).and_then(|entry| entry.rare.as_mut())
            {
                rare.linkers.remove(id);
            }
        }
        let mut told = Vec::new();
        for linker in linkers {
            self.forget_linked(&linker, pid);
            told.extend(self.mail(&linker));
        }
        Removed { linkers: told, waiters }
    }

    /// Takes the links to a node whose connection broke, with their linkers.
    pub(crate) fn lost(&mut self, peer: SocketAddrV4) -> Vec<(Arc<dyn Mail>, Pid)> {
        let links = self.remote.remove(&peer).unwrap_or_default();
        let mut lost = Vec::new();
        for (id, pid) in links {
            self.forget_linked(&id, &pid);
            lost.extend(self.mail(&id).map(|mail| (mail, pid)));
        }
        lost
    }
}

/// What the end of a process sets free.
pub(crate) struct Removed {
    pub(crate) linkers: Vec<Arc<dyn Mail>>,
    pub(crate) waiters: Vec<oneshot::Sender<()>>,
}
