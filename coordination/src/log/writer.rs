//! The writer: at most one of all in the ensemble succeeds per proposal.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use futures::channel::oneshot;
use libprocess::{Ctx, Handle, Node, Process, Routes};
use protos::mesos::internal::log::metadata::Status;
use protos::mesos::internal::log::{Action, action};

use super::filler::Ensemble;
use super::replica::Replica;
use super::tally::{Promised, Written};
use super::{LogConfig, LogError, LogFuture};

/// An election that has not settled what others left open is given up after this.
const PATIENCE: Duration = Duration::from_secs(30);

/// A won election.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Elected {
    /// The proposal it was won with; no other election is won with the same.
    pub proposal: u64,
    /// The last position of the log.
    pub last: u64,
}

/// Writes that are under way at a time; more of them would only wait for each other.
const WINDOW: usize = 64;

/// Writes to the log while no other writer has been elected. Its process ends with it.
pub struct Writer {
    coordinator: Handle<Coordinator>,
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.coordinator.tell(|_, cx| cx.stop());
    }
}

impl Writer {
    pub(super) fn start(node: &Node, config: LogConfig, replica: Handle<Replica>) -> Self {
        let ensemble = Ensemble { node: node.clone(), config, replica };
        let (waiting, told) = (VecDeque::new(), None);
        let coordinator =
            Coordinator { ensemble, proposal: 0, leading: None, writing: 0, waiting, told };
        Self { coordinator: node.spawn_numbered("log-coordinator", coordinator) }
    }

    fn request<T: Send + 'static>(
        &self,
        step: impl FnOnce(&mut Coordinator, &mut Ctx<Coordinator>, Answer<T>) + Send + 'static,
    ) -> LogFuture<T> {
        let (sender, receiver) = oneshot::channel();
        self.coordinator.tell(move |coordinator, cx| step(coordinator, cx, sender));
        Box::pin(async move { receiver.await.unwrap_or(Err(LogError::Ended)) })
    }

    /// Tries to become the only writer. When it succeeds, all positions up to the last are settled
    /// and known to the local replica. None when another writer is ahead, too few replicas answer,
    /// the local one does not vote yet, or the quorum is no majority of the replicas known.
    pub fn elect(&self) -> LogFuture<Option<Elected>> {
        self.request(Coordinator::elect)
    }

    /// Appends an entry: its position once a quorum has it and the local replica knows. None when
    /// the writer is not (or no longer) elected; whether the entry is in the log is not known then.
    /// Appends may overlap; they are written in the order in which they were asked for.
    pub fn append(&self, bytes: Bytes) -> LogFuture<Option<u64>> {
        let action = Action {
            r#type: Some(action::Type::Append.into()),
            append: Some(action::Append { bytes, cksum: None }),
            ..Action::default()
        };
        self.request(move |coordinator, cx, answer| coordinator.write(action, cx, answer))
    }

    /// Drops all positions before `to`. As [`Writer::append`].
    pub fn truncate(&self, to: u64) -> LogFuture<Option<u64>> {
        let action = Action {
            r#type: Some(action::Type::Truncate.into()),
            truncate: Some(action::Truncate { to }),
            ..Action::default()
        };
        self.request(move |coordinator, cx, answer| coordinator.write(action, cx, answer))
    }
}

type Answer<T> = oneshot::Sender<Result<T, LogError>>;

/// The term that a writer writes in.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Leading {
    proposal: u64,
    /// The last position written to.
    index: u64,
}

/// The process that writes.
struct Coordinator {
    ensemble: Ensemble,
    /// The highest proposal known.
    proposal: u64,
    leading: Option<Leading>,
    /// Writes that are under way, of this term or earlier ones.
    writing: usize,
    waiting: VecDeque<(Action, Answer<Option<u64>>)>,
    /// Why nothing may be written, as the log was told last.
    told: Option<String>,
}

impl Process for Coordinator {
    fn routes(_: &mut Routes<Self>) {}
}

/// What came of an election: the highest proposal known, and the last position when it was won.
struct Outcome {
    proposal: u64,
    index: Option<u64>,
}

/// Why the quorum is no majority of the replicas known; None when it is one.
fn minority(config: &LogConfig) -> Option<String> {
    let (replicas, quorum) = (config.network.members().len(), config.quorum);
    let reason =
        || format!("a quorum of {quorum} is no majority of {replicas} replicas: not writing");
    (replicas >= 2 * quorum).then(reason)
}

async fn elect(ensemble: Ensemble, known: u64) -> Result<Outcome, LogError> {
    let lost = |proposal| Ok(Outcome { proposal, index: None });
    let local = Replica::status_of(&ensemble.replica).await?;
    let deadline = ensemble.node.now() + PATIENCE;
    if local.status != Status::Voting {
        return lost(known);
    }
    let proposal = known.max(local.promised) + 1;
    let end = match ensemble.promise(proposal, None).await {
        Some(Promised::Accepted { end, .. }) => end,
        Some(Promised::Rejected { proposal: theirs }) => return lost(theirs.max(proposal)),
        Some(Promised::Ignored) | None => return lost(proposal),
    };
    let settled = ensemble.fill(0, end, proposal, Some(deadline)).await?;
    Ok(Outcome { proposal, index: settled.then_some(end) })
}

impl Coordinator {
    fn elect(&mut self, cx: &mut Ctx<Self>, answer: Answer<Option<Elected>>) {
        self.leading = None;
        if self.in_minority(cx) {
            // Who asked may be gone.
            let _ = answer.send(Ok(None));
            return;
        }
        let election = elect(self.ensemble.clone(), self.proposal);
        cx.defer(election, |coordinator: &mut Self, elected, _| {
            let result = elected.map(|Outcome { proposal, index }| {
                coordinator.proposal = coordinator.proposal.max(proposal);
                coordinator.leading = index.map(|index| Leading { proposal, index });
                index.map(|last| Elected { proposal, last })
            });
            // Who asked may be gone.
            let _ = answer.send(result);
        });
    }

    fn write(&mut self, action: Action, cx: &mut Ctx<Self>, answer: Answer<Option<u64>>) {
        self.waiting.push_back((action, answer));
        self.write_more(cx);
    }

    /// Gives up the lead once there are so many replicas that a quorum is no majority of them.
    fn stand_by_majority(&mut self, cx: &Ctx<Self>) {
        if self.leading.is_some() && self.in_minority(cx) {
            self.leading = None;
        }
    }

    /// True when nothing may be written; the log is told why, once until that changes.
    fn in_minority(&mut self, cx: &Ctx<Self>) -> bool {
        let reason = minority(&self.ensemble.config);
        if let Some(new) = reason.as_ref().filter(|_| reason != self.told) {
            slog::error!(cx.log(), "{new}");
        }
        self.told = reason;
        self.told.is_some()
    }

    fn write_more(&mut self, cx: &mut Ctx<Self>) {
        self.stand_by_majority(cx);
        while self.writing < WINDOW
            && let Some((action, answer)) = self.waiting.pop_front()
        {
            let Some(leading) = &mut self.leading else {
                // Who asked may be gone.
                let _ = answer.send(Ok(None));
                continue;
            };
            leading.index += 1;
            self.writing += 1;
            let (proposal, position) = (leading.proposal, leading.index);
            let (ensemble, action) = (self.ensemble.clone(), Action { position, ..action });
            let written = async move { ensemble.write(proposal, action).await };
            cx.defer(written, move |coordinator: &mut Self, written, cx| {
                let accepted = matches!(written, Ok(Some(Written::Accepted)));
                if let Ok(Some(Written::Rejected { proposal })) = written {
                    coordinator.proposal = coordinator.proposal.max(proposal);
                }
                if !accepted && coordinator.leading.is_some_and(|l| l.proposal == proposal) {
                    coordinator.leading = None;
                }
                let _ = answer.send(written.map(|_| accepted.then_some(position)));
                coordinator.writing -= 1;
                coordinator.write_more(cx);
            });
        }
    }
}
