//! The process `status-update-manager(1)`.

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use futures::channel::oneshot;
use libprocess::disk::DiskError;
use libprocess::{Ctx, Process, Routes};
use protos::ids::{FrameworkId, TaskId};
use protos::mesos::internal::{StatusUpdate, StatusUpdateRecord, status_update_record};
use protos::mesos::task_status::Reason;

use super::{Acknowledged, Retry, Stream};
use crate::checkpoint;

/// Called with each update that is to be sent to the master.
pub type Forward = Arc<dyn Fn(Arc<StatusUpdate>) + Send + Sync>;

type Key = (FrameworkId, TaskId);

struct Entry {
    stream: Stream,
    /// Where records go, if the framework checkpoints.
    path: Option<PathBuf>,
    /// On the way to the disk, oldest first.
    storing: VecDeque<Storing>,
    /// Somebody will look whether the head must be sent again.
    watched: bool,
}

impl Entry {
    fn new(stream: Stream, path: Option<PathBuf>) -> Self {
        Self { stream, path, storing: VecDeque::new(), watched: false }
    }
}

struct Storing {
    update: Arc<StatusUpdate>,
    waiting: Vec<oneshot::Sender<Result<(), DiskError>>>,
}

/// A stream that an earlier slave left on disk.
#[derive(Debug)]
pub struct RecoveredStream {
    /// Whose.
    pub framework: FrameworkId,
    /// Whose.
    pub task: TaskId,
    /// Where its records are.
    pub path: PathBuf,
    /// What they say.
    pub stream: Stream,
}

/// Keeps the streams of all tasks.
pub struct StatusUpdateManager {
    streams: BTreeMap<Key, Entry>,
    forward: Forward,
    /// There is no master: nothing is sent.
    paused: bool,
}

impl Process for StatusUpdateManager {
    fn routes(_: &mut Routes<Self>) {}
}

impl StatusUpdateManager {
    /// A manager that has yet to be spawned; it is paused until [`StatusUpdateManager::resume`].
    pub fn new(forward: Forward) -> Self {
        Self { streams: BTreeMap::new(), forward, paused: true }
    }

    /// Takes over what an earlier slave left; nothing is sent before [`StatusUpdateManager::resume`].
    pub fn recover(&mut self, streams: Vec<RecoveredStream>) {
        for RecoveredStream { framework, task, path, stream } in streams {
            self.streams.insert((framework, task), Entry::new(stream, Some(path)));
        }
    }

    /// Takes an update. Ready once it is safe: on disk if there is a path.
    pub fn update(
        &mut self,
        update: StatusUpdate,
        path: Option<PathBuf>,
        cx: &mut Ctx<Self>,
    ) -> oneshot::Receiver<Result<(), DiskError>> {
        let (sender, receiver) = oneshot::channel();
        let key = key_of(&update);
        let entry =
            self.streams.entry(key.clone()).or_insert_with(|| Entry::new(Stream::default(), path));
        let uuid = update.uuid.clone().unwrap_or_default();
        // A master that asks for a task again before it was told gets one answer.
        let answered =
            answers_master(&update) && entry.stream.last().is_some_and(|last| answers_master(last));
        if answered || entry.stream.knows(&uuid) {
            let _ = sender.send(Ok(()));
            return receiver;
        }
        if let Some(storing) = entry.storing.iter_mut().find(|s| s.update.uuid == update.uuid) {
            // It came twice: both are answered when it is safe.
            storing.waiting.push(sender);
            return receiver;
        }
        let mut record = StatusUpdateRecord {
            r#type: status_update_record::Type::Update.into(),
            update: Some(update),
            uuid: None,
        };
        let encoded = entry.path.as_ref().map(|path| (path, checkpoint::encode(&record)));
        let update = Arc::new(record.update.take().unwrap_or_default());
        entry.storing.push_back(Storing { update, waiting: vec![sender] });
        let Some((path, encoded)) = encoded else {
            self.stored(&key, &uuid, cx);
            return receiver;
        };
        let written = cx.disk().append(path, encoded);
        cx.defer(written, move |manager, written, cx| match written {
            Ok(()) => manager.stored(&key, &uuid, cx),
            Err(error) => manager.not_stored(&key, &uuid, error),
        });
        receiver
    }

    /// An update is safe. So are those before it, since a disk keeps the order: the stream gets them
    /// in that order even if this is heard of first.
    fn stored(&mut self, key: &Key, uuid: &[u8], cx: &mut Ctx<Self>) {
        let Some(entry) = self.streams.get_mut(key) else { return };
        let at = entry.storing.iter().position(|s| s.update.uuid.as_deref() == Some(uuid));
        let idle = entry.stream.is_empty();
        for storing in entry.storing.drain(..at.map_or(0, |at| at + 1)) {
            entry.stream.push(storing.update);
            for waiting in storing.waiting {
                // Who waited may have stopped.
                let _ = waiting.send(Ok(()));
            }
        }
        if idle && !entry.stream.is_empty() {
            self.send(key, cx);
        }
    }

    fn not_stored(&mut self, key: &Key, uuid: &[u8], error: DiskError) {
        let Some(entry) = self.streams.get_mut(key) else { return };
        let at = entry.storing.iter().position(|s| s.update.uuid.as_deref() == Some(uuid));
        let storing = at.and_then(|at| entry.storing.remove(at));
        let waiting = storing.and_then(|storing| storing.waiting.into_iter().next());
        if let Some(waiting) = waiting {
            let _ = waiting.send(Err(error));
        }
    }

    /// Takes a framework's acknowledgement. Ready with what it did once that is safe.
    pub fn acknowledge(
        &mut self,
        framework: FrameworkId,
        task: TaskId,
        uuid: Bytes,
        cx: &mut Ctx<Self>,
    ) -> oneshot::Receiver<Acknowledged> {
        let (sender, receiver) = oneshot::channel();
        let key = (framework, task);
        let Some(entry) = self.streams.get(&key).filter(|e| e.stream.expects(&uuid)) else {
            let _ = sender.send(Acknowledged::Ignored);
            return receiver;
        };
        let Some(path) = &entry.path else {
            let _ = sender.send(self.advance(&key, &uuid, cx));
            return receiver;
        };
        let record = StatusUpdateRecord {
            r#type: status_update_record::Type::Ack.into(),
            update: None,
            uuid: Some(uuid.clone()),
        };
        let written = cx.disk().append(path, checkpoint::encode(&record));
        cx.defer(written, move |manager, written, cx| {
            let done = match written {
                Ok(()) => manager.advance(&key, &uuid, cx),
                Err(error) => {
                    // The framework acknowledges again when the update is sent again.
                    slog::error!(cx.log(), "acknowledgement not stored"; "reason" => %error);
                    Acknowledged::Ignored
                }
            };
            let _ = sender.send(done);
        });
        receiver
    }

    fn advance(&mut self, key: &Key, uuid: &[u8], cx: &mut Ctx<Self>) -> Acknowledged {
        let Some(entry) = self.streams.get_mut(key) else { return Acknowledged::Ignored };
        let done = match entry.stream.acknowledge(uuid) {
            // Something was said after the last word: the stream ends with that.
            Acknowledged::Closed if !entry.storing.is_empty() => Acknowledged::Advanced,
            done => done,
        };
        match done {
            Acknowledged::Closed => {
                self.streams.remove(key);
            }
            Acknowledged::Advanced => self.send(key, cx),
            Acknowledged::Ignored => {}
        }
        done
    }

    /// Stops sending: there is no master.
    pub fn pause(&mut self) {
        self.paused = true;
    }

    /// Sends the head of every stream (again): there is a master.
    pub fn resume(&mut self, cx: &mut Ctx<Self>) {
        self.paused = false;
        let keys: Vec<Key> = self.streams.keys().cloned().collect();
        for key in keys {
            self.send(&key, cx);
        }
    }

    /// Drops the streams of a framework that has ended.
    pub fn forget(&mut self, framework: &FrameworkId) {
        self.streams.retain(|(id, _), _| id != framework);
    }

    fn send(&mut self, key: &Key, cx: &mut Ctx<Self>) {
        if self.paused {
            return;
        }
        let Some(entry) = self.streams.get_mut(key) else { return };
        let Some(head) = entry.stream.head().cloned() else { return };
        let wait = entry.stream.sent(cx.now());
        (self.forward)(head);
        if !std::mem::replace(&mut entry.watched, true) {
            let key = key.clone();
            cx.after(wait, move |manager, cx| manager.look(key, cx));
        }
    }

    /// Sends the head again if its acknowledgement is overdue. A stream is looked at by one reminder
    /// at a time, however many updates pass meanwhile.
    fn look(&mut self, key: Key, cx: &mut Ctx<Self>) {
        let Some(entry) = self.streams.get_mut(&key) else { return };
        let retry = entry.stream.retry(cx.now());
        entry.watched = !self.paused && retry != Retry::Idle;
        if !entry.watched {
            // The next sending watches again.
            return;
        }
        let wait = match retry {
            Retry::Again(wait) => {
                entry.stream.head().cloned().into_iter().for_each(|head| (self.forward)(head));
                wait
            }
            Retry::Wait(wait) => wait,
            Retry::Idle => return,
        };
        cx.after(wait, move |manager, cx| manager.look(key, cx));
    }
}

/// True for updates that tell a master that a task which it asked for is not here.
fn answers_master(update: &StatusUpdate) -> bool {
    update.status.reason == Some(Reason::Reconciliation.into())
}

fn key_of(update: &StatusUpdate) -> Key {
    (FrameworkId::from(&update.framework_id), TaskId::from(&update.status.task_id))
}
