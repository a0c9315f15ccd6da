//! Who takes part in a log.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::channel::oneshot;
use libprocess::Pid;

/// What somebody waits for.
enum Wanted {
    /// So many members.
    AtLeast(usize),
    /// Other members than these.
    OtherThan(BTreeSet<Pid>),
}

impl Wanted {
    fn is_met(&self, members: &BTreeSet<Pid>) -> bool {
        match self {
            Wanted::AtLeast(size) => members.len() >= *size,
            Wanted::OtherThan(known) => members != known,
        }
    }
}

#[derive(Default)]
struct State {
    members: BTreeSet<Pid>,
    waiting: Vec<(Wanted, oneshot::Sender<BTreeSet<Pid>>)>,
}

/// The replicas of a log as one of them sees them; clones share it.
#[derive(Clone, Default)]
pub struct Network {
    state: Arc<Mutex<State>>,
}

impl Network {
    /// A network of known replicas.
    pub fn new(members: impl IntoIterator<Item = Pid>) -> Self {
        let network = Self::default();
        network.set(members.into_iter().collect());
        network
    }

    /// The replicas known at present.
    pub fn members(&self) -> BTreeSet<Pid> {
        self.lock().members.clone()
    }

    /// Adds a replica.
    pub fn add(&self, member: Pid) {
        let mut members = self.members();
        members.insert(member);
        self.set(members);
    }

    /// Replaces the replicas.
    pub fn set(&self, members: BTreeSet<Pid>) {
        let mut state = self.lock();
        state.members = members;
        for (wanted, waiting) in std::mem::take(&mut state.waiting) {
            if wanted.is_met(&state.members) {
                // Who waited may be gone.
                let _ = waiting.send(state.members.clone());
            } else if !waiting.is_canceled() {
                state.waiting.push((wanted, waiting));
            }
        }
    }

    /// Ready with the replicas as soon as there are `size` of them.
    pub fn at_least(&self, size: usize) -> impl Future<Output = BTreeSet<Pid>> + Send + use<> {
        self.wait(Wanted::AtLeast(size))
    }

    /// Ready with the replicas as soon as they are not `known`.
    pub fn other_than(
        &self,
        known: BTreeSet<Pid>,
    ) -> impl Future<Output = BTreeSet<Pid>> + Send + use<> {
        self.wait(Wanted::OtherThan(known))
    }

    fn wait(&self, wanted: Wanted) -> impl Future<Output = BTreeSet<Pid>> + Send + use<> {
        let (sender, receiver) = oneshot::channel();
        let mut state = self.lock();
        if wanted.is_met(&state.members) {
            let _ = sender.send(state.members.clone());
        } else {
            state.waiting.push((wanted, sender));
        }
        drop(state);
        // The network outlives whoever waits, since it holds a clone of it.
        let keep = self.clone();
        async move {
            let members = receiver.await.unwrap_or_default();
            drop(keep);
            members
        }
    }

    /// No panic can happen while the state is half-changed, so poison is ignored.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
