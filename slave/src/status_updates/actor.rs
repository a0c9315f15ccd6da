//! The process `status-update-manager(1)`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use futures::channel::oneshot;
use libprocess::disk::DiskError;
use libprocess::{Ctx, Process, Routes};
use protos::ids::{FrameworkId, TaskId};
use protos::mesos::internal::{StatusUpdate, StatusUpdateRecord, status_update_record};

use super::{Acknowledged, Stream};
use crate::checkpoint;

/// Called with each update that is to be sent to the master.
pub type Forward = Arc<dyn Fn(StatusUpdate) + Send + Sync>;

type Key = (FrameworkId, TaskId);

struct Entry {
    stream: Stream,
    /// Where records go, if the framework checkpoints.
    path: Option<PathBuf>,
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

    /// Takes an update. Ready once it is safe: on disk if there is a path.
    pub fn update(
        &mut self,
        update: StatusUpdate,
        path: Option<PathBuf>,
        cx: &mut Ctx<Self>,
    ) -> oneshot::Receiver<Result<(), DiskError>> {
        let (sender, receiver) = oneshot::channel();
        let key = key_of(&update);
        let entry = self
            .streams
            .entry(key.clone())
            .or_insert_with(|| Entry { stream: Stream::default(), path });
        let uuid = update.uuid.clone().unwrap_or_default();
        if entry.stream.knows(&uuid) {
            let _ = sender.send(Ok(()));
            return receiver;
        }
        let Some(path) = &entry.path else {
            let _ = sender.send(Ok(()));
            self.stored(key, update, cx);
            return receiver;
        };
        let record = StatusUpdateRecord {
            r#type: status_update_record::Type::Update.into(),
            update: Some(update.clone()),
            uuid: None,
        };
        let written = cx.disk().append(path, checkpoint::encode(&record));
        cx.defer(written, move |manager, written, cx| {
            if written.is_ok() {
                manager.stored(key, update, cx);
            }
            let _ = sender.send(written);
        });
        receiver
    }

    fn stored(&mut self, key: Key, update: StatusUpdate, cx: &mut Ctx<Self>) {
        let Some(entry) = self.streams.get_mut(&key) else { return };
        if entry.stream.push(update) && entry.stream.len() == 1 {
            self.send(&key, cx);
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
        let done = entry.stream.acknowledge(uuid);
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
        let (wait, epoch) = entry.stream.sent();
        (self.forward)(head);
        let key = key.clone();
        cx.after(wait, move |manager, cx| manager.send_again(key, epoch, cx));
    }

    fn send_again(&mut self, key: Key, epoch: u64, cx: &mut Ctx<Self>) {
        if self.paused {
            return;
        }
        let Some(entry) = self.streams.get_mut(&key) else { return };
        let Some(wait) = entry.stream.retry(epoch) else { return };
        if let Some(head) = entry.stream.head().cloned() {
            (self.forward)(head);
            cx.after(wait, move |manager, cx| manager.send_again(key, epoch, cx));
        }
    }
}

fn key_of(update: &StatusUpdate) -> Key {
    (FrameworkId::from(&update.framework_id), TaskId::from(&update.status.task_id))
}
