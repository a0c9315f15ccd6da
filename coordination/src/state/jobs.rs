//! Requests to storage as steps on its table, answered once they are durable.

use std::collections::BTreeSet;

use futures::channel::oneshot;
use protos::mesos::internal::state::Operation;

use super::table::Table;
use super::{Change, StorageError, StorageFuture, Variable};

/// Bytes of a value that storage takes.
const LARGEST: usize = 1 << 30;

/// Takes a step on the table, or learns why there is none: the record of it, if it changed
/// anything, and how to answer.
pub(super) type Job =
    Box<dyn FnOnce(Result<&mut Table, StorageError>) -> (Option<Operation>, Answer) + Send>;
/// Answers who asked.
pub(super) type Answer = Box<dyn FnOnce(Result<(), StorageError>) + Send>;

fn job<T: Send + 'static>(
    step: impl FnOnce(&mut Table) -> (T, Option<Operation>) + Send + 'static,
) -> (Job, StorageFuture<T>) {
    let (sender, receiver) = oneshot::channel();
    let job: Job = Box::new(move |table| {
        let (value, record) = match table.map(step) {
            Ok((value, record)) => (Ok(value), record),
            Err(error) => (Err(error), None),
        };
        // Who asked may be gone; the change has happened all the same.
        let answer: Answer = Box::new(move |kept: Result<(), StorageError>| {
            let _ = sender.send(kept.and(value));
        });
        (record, answer)
    });
    (job, Box::pin(async move { receiver.await.unwrap_or(Err(StorageError::Ended)) }))
}

/// Fails a job.
pub(super) fn refuse(job: Job, error: &StorageError) {
    job(Err(error.clone())).1(Err(error.clone()));
}

pub(super) fn fetch(name: &str) -> (Job, StorageFuture<Variable>) {
    let name = name.to_owned();
    job(move |table| (table.fetch(&name), None))
}

pub(super) fn store(
    change: Change,
) -> Result<(Job, StorageFuture<Option<Variable>>), StorageError> {
    if change.value.len() > LARGEST {
        return Err(StorageError::TooLarge { name: change.name, size: change.value.len() });
    }
    Ok(job(move |table| {
        let record = table.store(&change);
        (record.is_some().then(|| change.done()), record)
    }))
}

pub(super) fn expunge(variable: &Variable) -> (Job, StorageFuture<bool>) {
    let variable = variable.clone();
    job(move |table| {
        let record = table.expunge(&variable);
        (record.is_some(), record)
    })
}

pub(super) fn names() -> (Job, StorageFuture<BTreeSet<String>>) {
    job(|table| (table.names(), None))
}
