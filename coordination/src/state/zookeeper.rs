//! Storage in ZooKeeper: each variable is a znode below the group's, with an `Entry` as its data.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use futures::channel::oneshot;
use futures::future::BoxFuture;
use libprocess::{Ctx, Handle, Node, Process, Routes, SpawnError};
use prost::Message;
use protos::mesos::internal::state::Entry;
use uuid::Uuid;

use super::{Change, Storage, StorageError, StorageFuture, Variable};
use crate::group::SessionGroup;
use crate::group::session::{Session, SessionError};

/// Bytes of a znode's data that servers take by default, less what a name may need.
const LARGEST: usize = (1 << 20) - (1 << 12);

/// Keeps variables in ZooKeeper. While it cannot be reached, requests wait.
#[derive(Clone)]
pub struct ZooKeeperStorage {
    group: SessionGroup,
    turns: Handle<Turns>,
}

impl ZooKeeperStorage {
    /// Starts the process `id` that keeps variables below a group's znode.
    ///
    /// # Errors
    /// When the id is taken.
    pub fn start(node: &Node, id: &str, group: SessionGroup) -> Result<Self, SpawnError> {
        Ok(Self { group, turns: node.spawn(id, Turns::default())? })
    }

    /// Does one thing after the other, in the order in which they are asked for.
    fn turn<T: Send + 'static>(
        &self,
        work: impl FnOnce(SessionGroup) -> StorageFuture<T> + Send + 'static,
    ) -> StorageFuture<T> {
        let (sender, receiver) = oneshot::channel();
        let group = self.group.clone();
        let turn: Turn = Box::new(move || {
            let working = work(group);
            Box::pin(async move {
                // Who asked may be gone.
                let _ = sender.send(working.await);
            })
        });
        self.turns.tell(move |turns, cx| {
            turns.waiting.push_back(turn);
            turns.go_on(cx);
        });
        Box::pin(async move { receiver.await.unwrap_or(Err(StorageError::Ended)) })
    }
}

type Turn = Box<dyn FnOnce() -> BoxFuture<'static, ()> + Send>;

#[derive(Default)]
struct Turns {
    busy: bool,
    waiting: VecDeque<Turn>,
}

impl Process for Turns {
    fn routes(_: &mut Routes<Self>) {}
}

impl Turns {
    fn go_on(&mut self, cx: &mut Ctx<Self>) {
        if !self.busy
            && let Some(turn) = self.waiting.pop_front()
        {
            self.busy = true;
            cx.defer(turn(), |turns: &mut Self, (), cx| {
                turns.busy = false;
                turns.go_on(cx);
            });
        }
    }
}

fn decode(name: &str, data: Bytes) -> Result<Variable, String> {
    let entry = Entry::decode(data).map_err(|error| error.to_string())?;
    let uuid = Uuid::from_slice(&entry.uuid).map_err(|error| error.to_string())?;
    Ok(Variable { name: name.to_owned(), version: Some(uuid), value: entry.value })
}

/// The variable and its znode's version.
async fn read(
    session: &Arc<dyn Session>,
    name: &str,
) -> Result<(Variable, Option<i32>), SessionError> {
    match session.read(name.to_owned()).await? {
        None => Ok((Variable::absent(name), None)),
        Some((data, version)) => {
            let variable = decode(name, data);
            let refused = |reason| SessionError::Refused(format!("znode '{name}': {reason}"));
            Ok((variable.map_err(refused)?, Some(version)))
        }
    }
}

async fn store(
    session: Arc<dyn Session>,
    change: Change,
) -> Result<Option<Variable>, SessionError> {
    loop {
        let (variable, version) = read(&session, &change.name).await?;
        // An earlier attempt may have happened without an answer.
        if variable.version == Some(change.uuid) {
            return Ok(Some(change.done()));
        }
        if variable.version != change.expected {
            return Ok(None);
        }
        let entry = Entry {
            name: change.name.clone(),
            uuid: Bytes::copy_from_slice(change.uuid.as_bytes()),
            value: change.value.clone(),
        };
        let data = entry.encode_to_vec().into();
        if session.write(change.name.clone(), data, version).await? {
            return Ok(Some(change.done()));
        }
    }
}

async fn expunge(
    session: Arc<dyn Session>,
    wanted: Variable,
    tried: Arc<AtomicBool>,
) -> Result<bool, SessionError> {
    let (variable, version) = read(&session, &wanted.name).await?;
    if version.is_none() {
        // It was there when an earlier attempt began that had no answer.
        return Ok(tried.load(Ordering::Relaxed));
    }
    if variable.version != wanted.version {
        return Ok(false);
    }
    tried.store(true, Ordering::Relaxed);
    session.delete(wanted.name, version).await
}

impl Storage for ZooKeeperStorage {
    fn fetch(&self, name: &str) -> StorageFuture<Variable> {
        let name = name.to_owned();
        self.turn(move |group| {
            let read = group.run(move |session| {
                let name = name.clone();
                Box::pin(async move { Ok(read(&session, &name).await?.0) })
            });
            Box::pin(async move { Ok(read.await?) })
        })
    }

    fn store(&self, change: Change) -> StorageFuture<Option<Variable>> {
        if change.value.len() > LARGEST {
            let (name, size) = (change.name, change.value.len());
            return Box::pin(async move { Err(StorageError::TooLarge { name, size }) });
        }
        self.turn(move |group| {
            let stored = group.run(move |session| Box::pin(store(session, change.clone())));
            Box::pin(async move { Ok(stored.await?) })
        })
    }

    fn expunge(&self, variable: &Variable) -> StorageFuture<bool> {
        let (variable, tried) = (variable.clone(), Arc::new(AtomicBool::new(false)));
        self.turn(move |group| {
            let expunged = group
                .run(move |session| Box::pin(expunge(session, variable.clone(), tried.clone())));
            Box::pin(async move { Ok(expunged.await?) })
        })
    }

    fn names(&self) -> StorageFuture<BTreeSet<String>> {
        self.turn(|group| {
            let names = group.run(|session| session.children());
            Box::pin(async move { Ok(names.await?.into_iter().collect()) })
        })
    }
}
