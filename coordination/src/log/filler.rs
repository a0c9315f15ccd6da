//! Settling positions: for each of them, what a quorum may have chosen is found out, or a NOP is
//! chosen where there is nothing.

use std::collections::VecDeque;
use std::time::Duration;

use futures::StreamExt;
use libprocess::{Handle, Node, Time};
use protos::mesos::internal::log::{Action, LearnedMessage, PromiseRequest, WriteRequest, action};

use super::call::{Limits, call};
use super::fetch::fetch;
use super::replica::Replica;
use super::tally::{PromiseTally, Promised, WriteTally, Written};
use super::{ANSWERS_COUNT_FOR, LogConfig, LogError};

/// Positions settled at a time.
const WINDOW: usize = 64;
/// Positions looked at before it is looked again which of them are gone.
const CHUNK: u64 = 256;
/// A write that is not answered is sent again after this.
const AGAIN: Duration = Duration::from_millis(700);
/// A proposal that lost is followed by a higher one after this, and at most as much again.
const PAUSE: Duration = Duration::from_millis(100);

/// A replica among others, as those see it that write to all of them.
#[derive(Clone)]
pub(super) struct Ensemble {
    pub(super) node: Node,
    pub(super) config: LogConfig,
    pub(super) replica: Handle<Replica>,
}

/// What follows from the answers to a promise request for one position.
#[derive(Debug, PartialEq)]
enum Next {
    /// This is chosen already.
    Learn(Action),
    /// This may be chosen, or nothing is: write it.
    Write(Action),
    /// Try again with a proposal higher than this.
    Again(u64),
}

fn next(position: u64, proposal: u64, promised: Option<Promised>) -> Next {
    match promised {
        Some(Promised::Accepted { action: Some(action), .. }) if action.learned() => {
            Next::Learn(action)
        }
        Some(Promised::Accepted { action, .. }) => {
            let nop = Action {
                position,
                r#type: Some(action::Type::Nop.into()),
                nop: Some(action::Nop::default()),
                ..Action::default()
            };
            Next::Write(action.filter(|action| action.performed.is_some()).unwrap_or(nop))
        }
        Some(Promised::Rejected { proposal: theirs }) => Next::Again(theirs.max(proposal)),
        Some(Promised::Ignored) | None => Next::Again(proposal),
    }
}

impl Ensemble {
    /// Asks all replicas to follow a proposal, at one position or at all that are empty.
    pub(super) async fn promise(&self, proposal: u64, position: Option<u64>) -> Option<Promised> {
        let request = PromiseRequest { proposal, position };
        let tally = PromiseTally::new(self.config.answers());
        let limits = Limits { total: ANSWERS_COUNT_FOR, again: None };
        call(&self.node, (&self.config.network, self.config.quorum), request, tally, limits).await
    }

    /// Writes an action's content under a proposal; once a quorum has it, tells all replicas. The
    /// local one knows it when this is ready.
    pub(super) async fn write(
        &self,
        proposal: u64,
        action: Action,
    ) -> Result<Option<Written>, LogError> {
        let request = WriteRequest {
            proposal,
            position: action.position,
            learned: None,
            r#type: action.r#type.unwrap_or_default(),
            nop: action.nop,
            append: action.append.clone(),
            truncate: action.truncate,
        };
        let tally = WriteTally::new(self.config.answers());
        let limits = Limits { total: ANSWERS_COUNT_FOR, again: Some(AGAIN) };
        let (network, quorum) = (&self.config.network, self.config.quorum);
        let written = call(&self.node, (network, quorum), request, tally, limits).await;
        if written == Some(Written::Accepted) {
            let (promised, performed) = (proposal, Some(proposal));
            let action = Action { promised, performed, learned: Some(true), ..action };
            self.tell_others(&action);
            Replica::learn(&self.replica, action).await?;
        }
        Ok(written)
    }

    fn tell_others(&self, action: &Action) {
        let message = LearnedMessage { action: action.clone() };
        let (name, body) =
            (<LearnedMessage as prost::Name>::full_name(), prost::Message::encode_to_vec(&message));
        let (from, body) = (self.replica.pid().clone(), bytes::Bytes::from(body));
        for to in self.config.network.members().into_iter().filter(|to| *to != from) {
            let (from, name, body) = (from.clone(), name.clone(), body.clone());
            self.node.post(libprocess::Envelope { from, to, name: name.into(), body });
        }
    }

    /// Learns what other replicas know to be settled of positions that the local one does not, by
    /// `proposal`; the last ones first, as in [`Ensemble::fill`]. Leaves what nobody knows.
    pub(super) async fn learn_from_others(
        &self,
        from: u64,
        to: u64,
        proposal: u64,
    ) -> Result<(), LogError> {
        let own = self.replica.pid().clone();
        let others = self.config.network.members().into_iter().filter(|pid| *pid != own);
        let mut others: VecDeque<_> = others.collect();
        let mut end = to + 1;
        while end > from {
            let start = from.max(end.saturating_sub(CHUNK));
            let missing = Replica::missing(&self.replica, start, end - 1).await?;
            if let Some(peer) = others.front().filter(|_| !missing.is_empty()) {
                let found = fetch(&self.node, peer.clone(), &missing, proposal).await;
                let complete = found.len() == missing.len();
                let learning =
                    found.into_iter().map(|action| Replica::learn(&self.replica, action));
                for learned in futures::future::join_all(learning).await {
                    learned?;
                }
                // Another one may know more, or answer faster.
                if !complete {
                    others.rotate_left(1);
                }
            }
            end = start;
        }
        Ok(())
    }

    /// Settles the positions from `from` to `to`, both included, that the local replica does not
    /// know to be settled, with proposals higher than `proposal`. False when `deadline` passed
    /// before all were.
    ///
    /// The last ones come first: among them is the latest truncation, which spares those before.
    pub(super) async fn fill(
        &self,
        from: u64,
        to: u64,
        proposal: u64,
        deadline: Option<Time>,
    ) -> Result<bool, LogError> {
        let mut end = to + 1;
        while end > from {
            let start = from.max(end.saturating_sub(CHUNK));
            let missing = Replica::missing(&self.replica, start, end - 1).await?;
            let settled = futures::stream::iter(missing.into_iter().rev())
                .map(|position| self.settle(position, proposal + 1, deadline))
                .buffer_unordered(WINDOW);
            let mut settled = std::pin::pin!(settled);
            while let Some(done) = settled.next().await {
                if !done? {
                    return Ok(false);
                }
            }
            end = start;
        }
        Ok(true)
    }

    async fn settle(
        &self,
        position: u64,
        mut proposal: u64,
        deadline: Option<Time>,
    ) -> Result<bool, LogError> {
        loop {
            let promised = self.promise(proposal, Some(position)).await;
            let lost = match next(position, proposal, promised) {
                Next::Learn(action) => {
                    Replica::learn(&self.replica, action).await?;
                    return Ok(true);
                }
                Next::Write(action) => match self.write(proposal, action).await? {
                    Some(Written::Accepted) => return Ok(true),
                    Some(Written::Rejected { proposal: theirs }) => theirs.max(proposal),
                    Some(Written::Ignored) | None => proposal,
                },
                Next::Again(lost) => lost,
            };
            proposal = lost + 1;
            if deadline.is_some_and(|deadline| self.node.now() > deadline) {
                return Ok(false);
            }
            self.node.sleep(PAUSE + self.draw(PAUSE)).await;
        }
    }

    /// A random duration below `limit`.
    pub(super) fn draw(&self, limit: Duration) -> Duration {
        limit.mul_f64(f64::from(self.node.random_uuid().as_fields().0) / f64::from(u32::MAX))
    }
}
