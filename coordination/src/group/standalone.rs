//! A group in memory, for one OS process and for tests.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use futures::channel::oneshot;

use super::{Ending, Group, GroupError, GroupFuture, Lease, Member, Membership};

type Watcher = (Option<BTreeSet<Member>>, oneshot::Sender<BTreeSet<Member>>);

#[derive(Default)]
struct State {
    next: u64,
    members: BTreeMap<Member, (Bytes, Ending)>,
    watchers: Vec<Watcher>,
}

impl State {
    fn tell(&mut self) {
        let members: BTreeSet<Member> = self.members.keys().cloned().collect();
        for (known, watcher) in std::mem::take(&mut self.watchers) {
            if known.as_ref() == Some(&members) {
                self.watchers.push((known, watcher));
            } else {
                // Who watched may be gone.
                let _ = watcher.send(members.clone());
            }
        }
    }
}

/// A group whose members share an OS process; clones are the same group.
#[derive(Clone, Default)]
pub struct StandaloneGroup {
    state: Arc<Mutex<State>>,
}

fn ready<T: Send + 'static>(value: T) -> GroupFuture<T> {
    Box::pin(async move { Ok(value) })
}

impl StandaloneGroup {
    /// No panic can happen while the state is half-changed, so poison is ignored.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Group for StandaloneGroup {
    fn join(&self, label: Option<&str>, data: Bytes) -> GroupFuture<Membership> {
        let mut state = self.lock();
        let member = Member { sequence: state.next, label: label.map(str::to_owned) };
        state.next += 1;
        let (membership, lost) = Membership::new(member.clone(), Lease::endless());
        state.members.insert(member, (data, lost));
        state.tell();
        ready(membership)
    }

    fn cancel(&self, member: &Member) -> GroupFuture<bool> {
        let mut state = self.lock();
        let left = state.members.remove(member).map(|(_, lost)| lost.tell());
        state.tell();
        ready(left.is_some())
    }

    fn data(&self, member: &Member) -> GroupFuture<Option<Bytes>> {
        ready(self.lock().members.get(member).map(|(data, _)| data.clone()))
    }

    fn watch(&self, known: Option<BTreeSet<Member>>) -> GroupFuture<BTreeSet<Member>> {
        let (sender, receiver) = oneshot::channel();
        let mut state = self.lock();
        state.watchers.retain(|(_, watcher)| !watcher.is_canceled());
        state.watchers.push((known, sender));
        state.tell();
        Box::pin(async move { receiver.await.map_err(|_| GroupError::Ended) })
    }
}
