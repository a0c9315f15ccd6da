//! What processes of the same node ask of a replica.

use futures::channel::oneshot;
use futures::future::BoxFuture;
use libprocess::{Ctx, Handle};
use protos::mesos::internal::log::Action;
use protos::mesos::internal::log::metadata::Status;

use super::actor::{Open, Replica};
use super::store::{self, Content};
use crate::log::{Entry, LogError, LogFuture, ReplicaStatus};

impl Replica {
    /// Takes a step and answers once all that was decided up to it is durable.
    fn request<T: Send + 'static>(
        replica: &Handle<Self>,
        step: impl FnOnce(&mut Open, &Ctx<Self>) -> T + Send + 'static,
    ) -> LogFuture<T> {
        let (sender, receiver) = oneshot::channel();
        replica.tell(move |replica, cx| {
            replica.with(
                Box::new(move |_, open, cx| {
                    let value = step(open, cx);
                    open.answers.push(Box::new(move |_| {
                        // Who asked may be gone.
                        let _ = sender.send(value);
                    }));
                }),
                cx,
            );
        });
        Box::pin(async move { receiver.await.map_err(|_| LogError::Ended) })
    }

    pub(crate) fn status_of(replica: &Handle<Self>) -> LogFuture<ReplicaStatus> {
        Self::request(replica, |open, _| {
            let rules = &open.rules;
            ReplicaStatus {
                status: rules.status(),
                promised: rules.promised(),
                begin: rules.begin(),
                end: rules.end(),
                missing: rules.missing(rules.begin(), rules.end()).len(),
            }
        })
    }

    /// Ready with the reason when the store is found to be damaged; an operator has to see to it.
    pub(crate) fn damage_of(replica: &Handle<Self>) -> BoxFuture<'static, LogError> {
        let (sender, receiver) = oneshot::channel();
        replica.tell(move |replica, _| replica.tell_damage(sender));
        Box::pin(async move { receiver.await.unwrap_or(LogError::Ended) })
    }

    /// Positions from `from` to `to` that are not known to be settled.
    pub(crate) fn missing(replica: &Handle<Self>, from: u64, to: u64) -> LogFuture<Vec<u64>> {
        Self::request(replica, move |open, _| open.rules.missing(from, to))
    }

    /// Takes part with another status from now on, with a promise not lower than `floor`.
    pub(crate) fn enter(replica: &Handle<Self>, status: Status, floor: u64) -> LogFuture<()> {
        Self::request(replica, move |open, cx| {
            slog::info!(cx.log(), "replica becomes {}", status.as_str_name());
            let mut changes = Vec::new();
            open.rules.enter(status, floor, &mut changes);
            open.change(changes);
        })
    }

    /// Has an empty replica vote.
    pub(crate) fn initialize(replica: &Handle<Self>) -> LogFuture<bool> {
        Self::request(replica, |open, _| {
            let empty = open.rules.status() == Status::Empty;
            if empty {
                let mut changes = Vec::new();
                open.rules.enter(Status::Voting, 0, &mut changes);
                open.change(changes);
            }
            empty
        })
    }

    /// Takes in what is chosen for good.
    pub(crate) fn learn(replica: &Handle<Self>, action: Action) -> LogFuture<()> {
        Self::request(replica, move |open, _| open.learn(action))
    }

    pub(crate) fn read_of(replica: &Handle<Self>, from: u64, to: u64) -> LogFuture<Vec<Entry>> {
        let contents = Self::request(replica, move |open, cx| {
            let (begin, end) = (open.rules.begin(), open.rules.end());
            let missing = match from < begin || to > end || from > to {
                true => Some("which is not all of them".to_owned()),
                false => open
                    .rules
                    .missing(from, to)
                    .first()
                    .map(|position| format!("of which {position} is not known to be settled")),
            };
            if let Some(missing) = missing {
                return Err(LogError::Range { from, to, begin, end, missing });
            }
            let contents = (from..=to).filter_map(|position| open.store.content(position));
            let contents: Vec<Content> = contents.collect();
            Ok((contents, cx.disk()))
        });
        Box::pin(async move {
            let (contents, disk) = contents.await??;
            let actions = store::fetch(disk, contents).await?;
            Ok(actions.into_iter().map(Entry::of).collect())
        })
    }
}
