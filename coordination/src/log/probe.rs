//! Asking replicas from outside what they are up to.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use libprocess::{Node, Pid};
use protos::mesos::internal::log::metadata::Status;
use protos::mesos::internal::log::{RecoverRequest, RecoverResponse};

use super::call::{Limits, call};
use super::network::Network;
use super::tally::Tally;

/// What a replica answers to one that recovers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Probed {
    /// Whether it votes.
    pub status: Status,
    /// First and last position, if it votes.
    pub range: Option<(u64, u64)>,
}

/// Collects answers until all are there; those of too few can be read all the same.
struct All {
    wanted: usize,
    seen: Arc<Mutex<BTreeMap<Pid, Probed>>>,
}

/// No panic can happen while the answers are half-changed, so poison is ignored.
fn open(seen: &Mutex<BTreeMap<Pid, Probed>>) -> MutexGuard<'_, BTreeMap<Pid, Probed>> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Tally for All {
    type Response = RecoverResponse;
    type Outcome = ();

    fn count(&mut self, from: &Pid, response: RecoverResponse) -> Option<()> {
        let range = response.begin.zip(response.end);
        let mut seen = open(&self.seen);
        seen.insert(from.clone(), Probed { status: response.status(), range });
        (seen.len() >= self.wanted).then_some(())
    }
}

/// Asks replicas for their status: the answers of those that answer within `limit`.
pub async fn probe(
    node: &Node,
    replicas: impl IntoIterator<Item = Pid>,
    limit: Duration,
) -> BTreeMap<Pid, Probed> {
    let network = Network::new(replicas);
    let wanted = network.members().len();
    let seen = Arc::default();
    let all = All { wanted, seen: Arc::clone(&seen) };
    let limits = Limits { total: limit, again: Some(limit / 4) };
    if wanted > 0 {
        call(node, (&network, wanted), RecoverRequest::default(), all, limits).await;
    }
    open(&seen).clone()
}
