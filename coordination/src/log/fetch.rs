//! Learning many positions at once from one replica that knows them to be settled: what is settled
//! never changes, so that one voice is enough.

use std::collections::BTreeSet;
use std::time::Duration;

use futures::channel::oneshot;
use libprocess::{Ctx, Node, Pid, Process, Routes};
use protos::mesos::internal::log::{Action, PromiseRequest, PromiseResponse};

use super::replica::is_whole;

/// Answers to all requests of a batch are there in this time, or some are not waited for.
const LIMIT: Duration = Duration::from_millis(500);

/// The process that asks; it ends with the answers.
struct Fetch {
    peer: Pid,
    proposal: u64,
    wanted: BTreeSet<u64>,
    /// Requests that are not answered.
    open: usize,
    found: Vec<Action>,
    done: Option<oneshot::Sender<Vec<Action>>>,
}

/// Asks a replica for the settled actions at some positions, by promise requests of a proposal that
/// is higher than all it follows. What is missing in the answer is not settled as far as it knows.
pub(super) async fn fetch(node: &Node, peer: Pid, positions: &[u64], proposal: u64) -> Vec<Action> {
    let (sender, receiver) = oneshot::channel();
    let fetch = Fetch {
        peer,
        proposal,
        wanted: positions.iter().copied().collect(),
        open: positions.len(),
        found: Vec::new(),
        done: Some(sender),
    };
    // The name is random, so it is free; were it not, nothing would be found.
    let _ = node.spawn(&format!("log-fetch-{}", node.random_uuid().simple()), fetch);
    receiver.await.unwrap_or_default()
}

impl Process for Fetch {
    fn routes(routes: &mut Routes<Self>) {
        routes.on(Self::answered);
    }

    fn initialize(&mut self, cx: &mut Ctx<Self>) {
        for position in &self.wanted {
            let request = PromiseRequest { proposal: self.proposal, position: Some(*position) };
            cx.send(&self.peer, &request);
        }
        cx.after(LIMIT, Self::finish);
    }
}

impl Fetch {
    fn answered(&mut self, response: PromiseResponse, cx: &mut Ctx<Self>) {
        if *cx.from() != self.peer {
            return;
        }
        if let Some(action) = response.action
            && action.learned()
            && action.r#type.is_some()
            && is_whole(&action)
            && self.wanted.remove(&action.position)
        {
            self.found.push(action);
        }
        self.open = self.open.saturating_sub(1);
        if self.open == 0 {
            self.finish(cx);
        }
    }

    fn finish(&mut self, cx: &mut Ctx<Self>) {
        if let Some(done) = self.done.take() {
            // Who asked may be gone.
            let _ = done.send(std::mem::take(&mut self.found));
        }
        cx.stop();
    }
}
