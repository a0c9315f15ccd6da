//! Storage on the replicated log: each change is an entry, what is superseded is truncated.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use libprocess::{Ctx, Handle, Node, Process, Routes, SpawnError};
use prost::Message;
use protos::mesos::internal::state::Operation;

use super::jobs::{self, Answer, Job};
use super::table::{self, Table};
use super::{Change, Storage, StorageError, StorageFuture, Variable};
use crate::log::{Log, LogError, Value, Writer};

/// A lost election is followed by another after at most this.
const PAUSE: Duration = Duration::from_millis(500);
/// Superseded entries, or bytes of them, at which the log is truncated.
const DEAD: (u64, u64) = (64, 1 << 20);
/// Entries beyond two for each variable at which the oldest variable is written again, so that one
/// that never changes does not keep the log from being truncated.
const SPAN: u64 = 256;
/// Positions read at a time.
const CHUNK: u64 = 128;

/// Keeps variables in the replicated log. Whoever asks becomes the log's writer, so that any other
/// storage on the same log loses what it has under way ([`StorageError::Demoted`]).
#[derive(Clone)]
pub struct LogStorage {
    keeper: Handle<Keeper>,
}

impl LogStorage {
    /// Starts the process `id` that keeps variables in `log`. It tries to become the log's writer
    /// at the first request, as often as it takes.
    ///
    /// # Errors
    /// When the id is taken.
    pub fn start(node: &Node, id: &str, log: Log) -> Result<Self, SpawnError> {
        let (phase, waiting) = (Phase::Idle, VecDeque::new());
        Ok(Self { keeper: node.spawn(id, Keeper { log, phase, waiting })? })
    }

    fn submit<T>(&self, (job, answer): (Job, StorageFuture<T>)) -> StorageFuture<T> {
        self.keeper.tell(move |keeper, cx| {
            keeper.waiting.push_back(job);
            keeper.go_on(cx);
        });
        answer
    }
}

impl Storage for LogStorage {
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

/// Where in the log the variables lie.
#[derive(Debug, Default, Clone, PartialEq)]
struct Layout {
    /// Position and bytes of each variable's last change.
    places: BTreeMap<String, (u64, u64)>,
    /// First position that is not truncated.
    begin: u64,
    end: u64,
    /// Bytes of entries that are superseded and not truncated.
    dead: u64,
}

impl Layout {
    /// A record was written or read.
    fn put(&mut self, record: &Operation, position: u64, size: u64) {
        self.end = position;
        let name = table::name(record);
        let before = match record.snapshot {
            Some(_) => self.places.insert(name.to_owned(), (position, size)),
            None => {
                self.dead += size;
                self.places.remove(name)
            }
        };
        self.dead += before.map_or(0, |(_, size)| size);
    }

    /// The variable that lies first, and where.
    fn oldest(&self) -> Option<(&str, u64)> {
        let oldest = self.places.iter().min_by_key(|(_, place)| place.0);
        oldest.map(|(name, place)| (name.as_str(), place.0))
    }

    /// Where the log should begin, if it is worth it.
    fn truncation(&self) -> Option<u64> {
        let to = self.oldest().map_or(self.end, |(_, position)| position);
        let (entries, bytes) = (to.saturating_sub(self.begin), self.dead);
        (entries > 0 && (entries >= DEAD.0 || bytes >= DEAD.1)).then_some(to)
    }

    /// The variable to write again, if it is worth it.
    fn stale(&self) -> Option<&str> {
        let (name, position) = self.oldest()?;
        let span = SPAN + 2 * self.places.len() as u64;
        (self.end.saturating_sub(position) > span).then_some(name)
    }
}

/// An elected writer and what the log holds.
struct Ready {
    writer: Writer,
    table: Table,
    layout: Layout,
}

enum Phase {
    /// Not the writer.
    Idle,
    /// An election, or an append, is under way.
    Busy,
    Ready(Box<Ready>),
}

/// The process that keeps the variables.
struct Keeper {
    log: Log,
    phase: Phase,
    waiting: VecDeque<Job>,
}

impl Process for Keeper {
    fn routes(_: &mut Routes<Self>) {}
}

/// Becomes the writer and reads the log; None when it lost.
async fn begin(log: Log, writer: Writer) -> Result<Option<Ready>, StorageError> {
    let Some(elected) = writer.elect().await? else { return Ok(None) };
    let end = elected.last;
    let (mut table, mut layout) = (Table::default(), Layout::default());
    layout.begin = log.status().await?.begin;
    let mut from = layout.begin;
    while from <= end {
        let to = end.min(from + CHUNK - 1);
        for entry in log.read(from, to).await? {
            let Value::Append(bytes) = entry.value else { continue };
            let (position, size) = (entry.position, bytes.len() as u64);
            let place = || format!("log position {position}");
            let bad = |reason: String| StorageError::Record { place: place(), reason };
            let record = Operation::decode(bytes).map_err(|error| bad(error.to_string()))?;
            layout.put(&record, position, size);
            table.apply(record).map_err(bad)?;
        }
        from = to + 1;
    }
    layout.end = end;
    Ok(Some(Ready { writer, table, layout }))
}

impl Keeper {
    fn go_on(&mut self, cx: &mut Ctx<Self>) {
        match std::mem::replace(&mut self.phase, Phase::Busy) {
            Phase::Busy => {}
            Phase::Idle if self.waiting.is_empty() => self.phase = Phase::Idle,
            Phase::Idle => self.begin(cx),
            Phase::Ready(ready) => self.step(ready, cx),
        }
    }

    fn begin(&mut self, cx: &mut Ctx<Self>) {
        let writer = self.log.writer(cx.node());
        cx.defer(begin(self.log.clone(), writer), |keeper: &mut Self, begun, cx| match begun {
            Ok(Some(ready)) => {
                let layout = &ready.layout;
                slog::info!(cx.log(), "writes the log"; "begin" => layout.begin,
                    "end" => layout.end, "variables" => layout.places.len());
                keeper.phase = Phase::Ready(Box::new(ready));
                keeper.go_on(cx);
            }
            // Another one is faster, or a quorum is not there.
            Ok(None) => keeper.pause(cx),
            Err(error) => {
                slog::error!(cx.log(), "cannot read state from the log: {error}");
                for job in std::mem::take(&mut keeper.waiting) {
                    jobs::refuse(job, &error);
                }
                keeper.phase = Phase::Idle;
            }
        });
    }

    fn pause(&mut self, cx: &mut Ctx<Self>) {
        let pause = cx.random_within(PAUSE);
        cx.after(pause, |keeper: &mut Self, cx| {
            keeper.phase = Phase::Idle;
            keeper.go_on(cx);
        });
    }

    /// Takes waiting steps until one of them has to be appended.
    fn step(&mut self, mut ready: Box<Ready>, cx: &mut Ctx<Self>) {
        if let Some(record) = ready.layout.stale().and_then(|name| ready.table.record(name)) {
            return self.append(ready, record, Box::new(drop), cx);
        }
        while let Some(job) = self.waiting.pop_front() {
            match job(Ok(&mut ready.table)) {
                (Some(record), answer) => return self.append(ready, record, answer, cx),
                (None, answer) => answer(Ok(())),
            }
        }
        self.phase = Phase::Ready(ready);
    }

    fn append(
        &mut self,
        mut ready: Box<Ready>,
        record: Operation,
        answer: Answer,
        cx: &mut Ctx<Self>,
    ) {
        let bytes = Bytes::from(record.encode_to_vec());
        let size = bytes.len() as u64;
        let appended = ready.writer.append(bytes);
        cx.defer(appended, move |keeper: &mut Self, appended: Result<_, LogError>, cx| {
            match appended {
                Ok(Some(position)) => {
                    answer(Ok(()));
                    ready.layout.put(&record, position, size);
                    keeper.truncate(&mut ready, cx);
                    keeper.phase = Phase::Ready(ready);
                }
                lost => {
                    let name = table::name(&record).to_owned();
                    let error = match lost {
                        Err(error) => StorageError::Log(error),
                        Ok(_) => StorageError::Demoted { name },
                    };
                    slog::warn!(cx.log(), "{error}");
                    answer(Err(error));
                    keeper.phase = Phase::Idle;
                }
            }
            keeper.go_on(cx);
        });
    }

    /// Drops what is superseded. Should it fail, so will the next append.
    fn truncate(&mut self, ready: &mut Ready, cx: &mut Ctx<Self>) {
        if let Some(to) = ready.layout.truncation() {
            (ready.layout.begin, ready.layout.dead) = (to, 0);
            cx.defer(ready.writer.truncate(to), |_, _, _| ());
        }
    }
}
