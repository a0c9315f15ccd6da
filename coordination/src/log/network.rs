//! Who takes part in a log.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::channel::oneshot;
use libprocess::Pid;

#[derive(Default)]
struct State {
    members: BTreeSet<Pid>,
    /// Who waits for so many members.
    waiting: Vec<(usize, oneshot::Sender<BTreeSet<Pid>>)>,
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
        for (size, waiting) in std::mem::take(&mut state.waiting) {
            if state.members.len() >= size {
                // Who waited may be gone.
                let _ = waiting.send(state.members.clone());
            } else if !waiting.is_canceled() {
                state.waiting.push((size, waiting));
            }
        }
    }

    /// Ready with the replicas as soon as there are `size` of them.
    pub fn at_least(&self, size: usize) -> impl Future<Output = BTreeSet<Pid>> + Send + use<> {
        let (sender, receiver) = oneshot::channel();
        let mut state = self.lock();
        if state.members.len() >= size {
            let _ = sender.send(state.members.clone());
        } else {
            state.waiting.push((size, sender));
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
