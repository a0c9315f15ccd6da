//! Where a replica's records lie: segments of a journal, each of which starts with all that is
//! known beside the actions, so that old ones can go once nothing in them is needed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use libprocess::disk::Disk;
use prost::Message;
use protos::mesos::internal::log::{Action, Metadata};

use super::rules::{Change, Rules};
use crate::journal;
use crate::log::LogError;

/// What one frame of a segment holds.
#[derive(Clone, PartialEq, Message)]
struct Batch {
    #[prost(message, optional, tag = "1")]
    metadata: Option<Metadata>,
    #[prost(uint64, optional, tag = "2")]
    begin: Option<u64>,
    #[prost(message, repeated, tag = "3")]
    actions: Vec<Action>,
    /// Pairs of position and proposal.
    #[prost(uint64, repeated, tag = "4")]
    promised: Vec<u64>,
    #[prost(uint64, repeated, tag = "5")]
    learned: Vec<u64>,
}

impl Batch {
    fn of(changes: &[Change]) -> Self {
        let mut batch = Self::default();
        for change in changes {
            match change {
                Change::Metadata(metadata) => batch.metadata = Some(*metadata),
                Change::Action(action) => batch.actions.push(action.clone()),
                Change::Promised { position, proposal } => {
                    batch.promised.extend([*position, *proposal]);
                }
                Change::Learned(position) => batch.learned.push(*position),
                Change::Begin(begin) => batch.begin = Some(*begin),
            }
        }
        batch
    }
}

/// Where a position's content is.
#[derive(Debug, Clone, PartialEq)]
enum Place {
    /// Not yet durable; the number of the batch that makes it so.
    Memory(Action, u64),
    /// In a frame's payload.
    Disk { segment: u64, offset: u64, length: usize },
}

/// How to get at contents.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Content {
    Here(Action),
    /// In the payload of a frame.
    There {
        path: PathBuf,
        offset: u64,
        length: usize,
        position: u64,
    },
}

/// A batch on its way to the disk.
pub(crate) struct Writing {
    pub(crate) path: PathBuf,
    pub(crate) bytes: Bytes,
    /// The bytes are a new segment's first ones.
    pub(crate) fresh: bool,
    batch: u64,
    positions: Vec<u64>,
    place: Place,
}

/// The segments of a log.
pub(crate) struct Store {
    dir: PathBuf,
    /// Bytes after which a new segment is begun.
    limit: u64,
    segments: BTreeSet<u64>,
    /// Bytes of the last segment.
    length: u64,
    places: BTreeMap<u64, Place>,
    batch: u64,
}

const PREFIX: &str = "segment-";

impl Store {
    fn path(&self, segment: u64) -> PathBuf {
        self.dir.join(format!("{PREFIX}{segment:010}"))
    }

    /// Notes contents that are decided upon but not yet durable.
    pub(crate) fn note(&mut self, changes: &[Change]) {
        for change in changes {
            if let Change::Action(action) = change {
                // They go with the batch that is taken next.
                let place = Place::Memory(action.clone(), self.batch + 1);
                self.places.insert(action.position, place);
            }
        }
    }

    /// Forgets what lies before `begin`; the paths of segments that nobody needs any more. Only the
    /// oldest ones go: what is later may say more of a position in an earlier one.
    pub(crate) fn forget(&mut self, begin: u64) -> Vec<PathBuf> {
        self.places = self.places.split_off(&begin);
        let needed = self.places.values().filter_map(|place| match place {
            Place::Disk { segment, .. } => Some(*segment),
            Place::Memory(..) => None,
        });
        let Some(first) = needed.chain(self.segments.last().copied()).min() else {
            return Vec::new();
        };
        let kept = self.segments.split_off(&first);
        let gone = std::mem::replace(&mut self.segments, kept);
        gone.into_iter().map(|segment| self.path(segment)).collect()
    }

    /// True when there is more than one segment, so that one may be forgotten.
    pub(crate) fn has_several(&self) -> bool {
        self.segments.len() > 1
    }

    /// Makes a batch of changes; None when there are none.
    pub(crate) fn take(&mut self, changes: &[Change], rules: &Rules) -> Option<Writing> {
        if changes.is_empty() {
            return None;
        }
        self.batch += 1;
        let mut batch = Batch::of(changes);
        let full = self.length >= self.limit || self.segments.is_empty();
        if full {
            let segment = self.segments.last().map_or(1, |last| last + 1);
            self.segments.insert(segment);
            self.length = 0;
            batch.metadata = Some(rules.metadata());
            batch.begin = Some(rules.begin());
        }
        let segment = self.segments.last().copied()?;
        let payload = batch.encode_to_vec();
        let bytes = journal::frame(self.length, &payload)?;
        let offset = self.length + journal::HEADER as u64;
        self.length += bytes.len() as u64;
        Some(Writing {
            path: self.path(segment),
            bytes,
            fresh: full,
            batch: self.batch,
            positions: batch.actions.iter().map(|action| action.position).collect(),
            place: Place::Disk { segment, offset, length: payload.len() },
        })
    }

    /// A batch is durable.
    pub(crate) fn settled(&mut self, writing: Writing) {
        for position in writing.positions {
            // A later batch may hold newer content already.
            if let Some(place) = self.places.get_mut(&position)
                && matches!(place, Place::Memory(_, batch) if *batch <= writing.batch)
            {
                *place = writing.place.clone();
            }
        }
    }

    /// How to get at the content of a position.
    pub(crate) fn content(&self, position: u64) -> Option<Content> {
        Some(match self.places.get(&position)? {
            Place::Memory(action, _) => Content::Here(action.clone()),
            Place::Disk { segment, offset, length } => Content::There {
                path: self.path(*segment),
                offset: *offset,
                length: *length,
                position,
            },
        })
    }
}

fn unreadable(path: &Path, reason: impl ToString) -> LogError {
    LogError::Record { path: path.to_owned(), reason: reason.to_string() }
}

/// The contents, in the order asked for; neighbours in one frame are read once.
pub(crate) async fn fetch(
    disk: Arc<dyn Disk>,
    wanted: Vec<Content>,
) -> Result<Vec<Action>, LogError> {
    let mut actions = Vec::with_capacity(wanted.len());
    let mut last: Option<(PathBuf, u64, Batch)> = None;
    for content in wanted {
        let (path, offset, length, position) = match content {
            Content::Here(action) => {
                actions.push(action);
                continue;
            }
            Content::There { path, offset, length, position } => (path, offset, length, position),
        };
        if last.as_ref().is_none_or(|last| (&last.0, last.1) != (&path, offset)) {
            let payload = disk.read_at(&path, offset, length).await?;
            let batch = Batch::decode(payload).map_err(|error| unreadable(&path, error))?;
            last = Some((path.clone(), offset, batch));
        }
        // The last one of a batch counts, as when it is replayed.
        let mut found = last.iter().flat_map(|last| &last.2.actions);
        let found = found.rfind(|action| action.position == position);
        actions.push(found.cloned().ok_or_else(|| unreadable(&path, "no such position"))?);
    }
    Ok(actions)
}

/// A log as it was read back.
pub(crate) struct Opened {
    pub(crate) store: Store,
    pub(crate) rules: Rules,
    /// Bytes of an incomplete batch at its end.
    pub(crate) torn: usize,
}

/// The numbers of the segments in a directory, which may be missing.
async fn segments(disk: &Arc<dyn Disk>, dir: &Path) -> Result<BTreeSet<u64>, LogError> {
    let files = match disk.list(dir).await {
        Err(error) if error.is_not_found() => Vec::new(),
        files => files?,
    };
    let mut numbers = BTreeSet::new();
    for file in files {
        let name = file.path.file_name().unwrap_or_default().to_string_lossy();
        match name.strip_prefix(PREFIX).and_then(|number| number.parse().ok()) {
            Some(number) => _ = numbers.insert(number),
            // What a replacement leaves that was not finished.
            None if name.starts_with('.') => {}
            None => return Err(LogError::Foreign { path: file.path }),
        }
    }
    Ok(numbers)
}

/// Reads a log; a directory that is missing or empty holds an empty one. When its end is torn, or
/// a write to it `failed` before, its last segment is written anew.
pub(crate) async fn open(
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    limit: u64,
    failed: bool,
) -> Result<Opened, LogError> {
    let segments = segments(&disk, &dir).await?;
    let (places, last) = (BTreeMap::new(), segments.last().copied());
    let mut store = Store { dir, limit, segments, length: 0, places, batch: 0 };
    let (mut rules, mut torn) = (Rules::default(), 0);
    for segment in store.segments.clone() {
        let path = store.path(segment);
        let bytes = disk.read(&path).await?;
        let scan = journal::scan(&bytes)
            .map_err(|cause| LogError::Corrupt { path: path.clone(), cause })?;
        torn = bytes.len() - scan.valid;
        if torn > 0 && Some(segment) != last {
            let reason = "an incomplete batch in a segment that is not the last one";
            return Err(unreadable(&path, reason));
        }
        for (offset, payload) in scan.payloads {
            let length = payload.len();
            let batch = Batch::decode(payload).map_err(|error| unreadable(&path, error))?;
            let place = Place::Disk { segment, offset, length };
            replay(batch, &place, &mut store.places, &mut rules);
        }
        store.length = scan.valid as u64;
        if Some(segment) == last && (torn > 0 || failed) {
            disk.write(&path, bytes.slice(..scan.valid)).await?;
        }
    }
    store.places = store.places.split_off(&rules.begin());
    Ok(Opened { store, rules, torn })
}

fn replay(batch: Batch, place: &Place, places: &mut BTreeMap<u64, Place>, rules: &mut Rules) {
    if let Some(metadata) = batch.metadata {
        rules.replay(&Change::Metadata(metadata));
    }
    if let Some(begin) = batch.begin {
        rules.replay(&Change::Begin(begin));
    }
    for action in batch.actions {
        places.insert(action.position, place.clone());
        rules.replay(&Change::Action(action));
    }
    for pair in batch.promised.chunks_exact(2) {
        rules.replay(&Change::Promised { position: pair[0], proposal: pair[1] });
    }
    for position in batch.learned {
        rules.replay(&Change::Learned(position));
    }
}
