//! Storage in one local file: a journal of changes, rewritten as a whole when it has grown.

use std::collections::{BTreeSet, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use libprocess::disk::{Disk, DiskError};
use libprocess::{Ctx, Handle, Node, Process, Routes, SpawnError};

use super::jobs::{self, Answer, Job};
use super::table::{Table, decode, encode};
use super::{Change, Storage, StorageError, StorageFuture, Variable};
use crate::journal;

/// Bytes below which the file is never rewritten.
const SMALL: u64 = 1 << 20;
/// The file is rewritten when it is this many times as large as after the last time.
const GROWTH: u64 = 4;
/// Bytes of values that go into one frame, unless a single one is larger.
const BATCH: usize = 16 << 20;

/// Keeps variables in a file. Everything is synced before it is answered; after a crash at any
/// byte the file holds what was answered. A failed write fails what was asked for meanwhile; the
/// next request reads the file again.
#[derive(Clone)]
pub struct FileStorage {
    keeper: Handle<Keeper>,
}

impl FileStorage {
    /// Starts the process `id` that keeps variables in the file `path`. The file is opened at the
    /// first request and made at the first change.
    ///
    /// # Errors
    /// When the id is taken.
    pub fn start(node: &Node, id: &str, path: impl Into<PathBuf>) -> Result<Self, SpawnError> {
        let keeper = node.spawn(id, Keeper::new(path.into()))?;
        Ok(Self { keeper })
    }

    fn submit<T>(&self, (job, answer): (Job, StorageFuture<T>)) -> StorageFuture<T> {
        self.keeper.tell(move |keeper, cx| keeper.accept(job, cx));
        answer
    }
}

impl Storage for FileStorage {
    fn fetch(&self, name: &str) -> StorageFuture<Variable> {
        self.submit(jobs::fetch(name))
    }

    fn store(&self, change: Change) -> StorageFuture<Option<Variable>> {
        match jobs::store(change) {
            Ok(job) => self.submit(job),
            Err(error) => Box::pin(async move { Err(error) }),
        }
    }

    fn expunge(&self, variable: &Variable) -> StorageFuture<bool> {
        self.submit(jobs::expunge(variable))
    }

    fn names(&self) -> StorageFuture<BTreeSet<String>> {
        self.submit(jobs::names())
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Phase {
    /// The file has yet to be read; after a failure it is written anew then.
    Closed {
        failed: bool,
    },
    /// A disk operation is under way.
    Busy,
    Ready,
}

/// The process that owns the file.
struct Keeper {
    path: PathBuf,
    phase: Phase,
    table: Table,
    /// Bytes of the file.
    length: u64,
    /// Bytes of it when it was last rewritten or read.
    base: u64,
    waiting: VecDeque<Job>,
}

/// What a file held.
struct Opened {
    table: Table,
    length: u64,
    /// Bytes of an incomplete record at its end.
    torn: usize,
}

impl Process for Keeper {
    fn routes(_: &mut Routes<Self>) {}
}

impl Keeper {
    fn new(path: PathBuf) -> Self {
        let phase = Phase::Closed { failed: false };
        let (table, waiting) = (Table::default(), VecDeque::new());
        Self { path, phase, table, length: 0, base: 0, waiting }
    }

    fn accept(&mut self, job: Job, cx: &mut Ctx<Self>) {
        self.waiting.push_back(job);
        self.go_on(cx);
    }

    fn go_on(&mut self, cx: &mut Ctx<Self>) {
        match self.phase {
            Phase::Busy => {}
            _ if self.waiting.is_empty() => {}
            Phase::Closed { failed } => {
                self.phase = Phase::Busy;
                cx.defer(open(cx.disk(), self.path.clone(), failed), Self::opened);
            }
            Phase::Ready => self.write(cx),
        }
    }

    fn opened(&mut self, opened: Result<Opened, StorageError>, cx: &mut Ctx<Self>) {
        match opened {
            Ok(Opened { table, length, torn }) => {
                if torn > 0 {
                    slog::warn!(cx.log(), "cut an incomplete record off"; "bytes" => torn,
                        "file" => %self.path.display());
                }
                (self.table, self.length, self.base) = (table, length, length);
                self.phase = Phase::Ready;
            }
            Err(error) => {
                slog::error!(cx.log(), "cannot open storage: {error}");
                self.phase = Phase::Closed { failed: true };
                for job in std::mem::take(&mut self.waiting) {
                    jobs::refuse(job, &error);
                }
            }
        }
        self.go_on(cx);
    }

    /// Takes as many waiting steps as go into one frame, and makes them durable together.
    fn write(&mut self, cx: &mut Ctx<Self>) {
        let (mut records, mut answers, mut size) = (Vec::new(), Vec::new(), 0);
        while size < BATCH
            && let Some(job) = self.waiting.pop_front()
        {
            let (record, answer) = job(Ok(&mut self.table));
            if let Some(record) = record {
                size += record.snapshot.as_ref().map_or(0, |snapshot| snapshot.entry.value.len());
                records.push(record);
            }
            answers.push(answer);
        }
        // Without changes there is nothing to wait for: all earlier ones are durable.
        let Some(frame) = journal::frame(self.length, &encode(records)) else {
            return answers.into_iter().for_each(|answer| answer(Ok(())));
        };
        let length = self.length + frame.len() as u64;
        let rewrite = length > SMALL && length > self.base.saturating_mul(GROWTH);
        let (done, length) = if rewrite {
            let all = image(&self.table);
            let length = all.len() as u64;
            self.base = length;
            (cx.disk().write(&self.path, all), length)
        } else {
            (cx.disk().append(&self.path, frame), length)
        };
        self.phase = Phase::Busy;
        cx.defer(done, move |keeper: &mut Self, done, cx| {
            keeper.written(done, length, answers, cx);
        });
    }

    fn written(
        &mut self,
        done: Result<(), DiskError>,
        length: u64,
        answers: Vec<Answer>,
        cx: &mut Ctx<Self>,
    ) {
        let kept = done.map_err(StorageError::from);
        match &kept {
            Ok(()) => (self.phase, self.length) = (Phase::Ready, length),
            Err(error) => {
                slog::error!(cx.log(), "cannot store: {error}");
                self.phase = Phase::Closed { failed: true };
            }
        }
        for answer in answers {
            answer(kept.clone());
        }
        self.go_on(cx);
    }
}

/// The file that holds this table and nothing else.
fn image(table: &Table) -> Bytes {
    let mut bytes = BytesMut::new();
    for record in table.records() {
        // No record is empty, and none that was taken is too large.
        if let Some(frame) = journal::frame(bytes.len() as u64, &encode([record])) {
            bytes.extend_from_slice(&frame);
        }
    }
    bytes.freeze()
}

fn read(path: &Path, bytes: &Bytes) -> Result<Opened, StorageError> {
    let scan = journal::scan(bytes)
        .map_err(|cause| StorageError::Corrupt { path: path.to_owned(), cause })?;
    let mut table = Table::default();
    for (offset, payload) in scan.payloads {
        let applied = decode(payload)
            .and_then(|records| records.into_iter().try_for_each(|r| table.apply(r)));
        applied.map_err(|reason| StorageError::Record {
            place: format!("{} byte {offset}", path.display()),
            reason,
        })?;
    }
    let torn = bytes.len() - scan.valid;
    Ok(Opened { table, length: scan.valid as u64, torn })
}

/// Reads the file. It is written anew when its end is torn, or when a write to it failed before,
/// since nobody knows then what of it is durable.
async fn open(disk: Arc<dyn Disk>, path: PathBuf, failed: bool) -> Result<Opened, StorageError> {
    let bytes = match disk.read(&path).await {
        Err(error) if error.is_not_found() => Bytes::new(),
        read => read?,
    };
    let mut opened = read(&path, &bytes)?;
    if opened.torn > 0 || (failed && !bytes.is_empty()) {
        let all = image(&opened.table);
        opened.length = all.len() as u64;
        disk.write(&path, all).await?;
    }
    Ok(opened)
}
