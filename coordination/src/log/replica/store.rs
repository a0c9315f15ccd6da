//! Where a replica's records lie: segments of a journal, each of which starts with all that is
//! known beside the actions, so that old ones can go once nothing in them is needed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::{Buf, Bytes};
use libprocess::disk::Disk;
use prost::Message;
use protos::mesos::internal::log::{Action, Metadata, PromiseRequest};

use super::rules::{Change, Rules};
use crate::journal;
use crate::log::LogError;

/// A change as it is stored: one of the fields is set. A frame of a segment holds several of
/// them, each behind its length.
#[derive(Clone, PartialEq, Message)]
struct Item {
    #[prost(message, optional, tag = "1")]
    metadata: Option<Metadata>,
    #[prost(uint64, optional, tag = "2")]
    begin: Option<u64>,
    #[prost(message, optional, tag = "3")]
    action: Option<Action>,
    #[prost(message, optional, tag = "4")]
    promised: Option<PromiseRequest>,
    #[prost(uint64, optional, tag = "5")]
    learned: Option<u64>,
}

impl Item {
    fn of(change: &Change) -> Self {
        let mut item = Self::default();
        match change {
            Change::Metadata(metadata) => item.metadata = Some(*metadata),
            Change::Action(action) => item.action = Some(action.clone()),
            Change::Promised { position, proposal } => {
                let position = Some(*position);
                item.promised = Some(PromiseRequest { proposal: *proposal, position });
            }
            Change::Learned(position) => item.learned = Some(*position),
            Change::Begin(begin) => item.begin = Some(*begin),
        }
        item
    }

    fn into_change(self) -> Option<Change> {
        Some(match self {
            Self { metadata: Some(metadata), .. } => Change::Metadata(metadata),
            Self { begin: Some(begin), .. } => Change::Begin(begin),
            Self { action: Some(action), .. } => Change::Action(action),
            Self {
                promised: Some(PromiseRequest { proposal, position: Some(position) }), ..
            } => Change::Promised { position, proposal },
            Self { learned: Some(position), .. } => Change::Learned(position),
            _ => return None,
        })
    }
}

/// Where a position's content is.
#[derive(Debug, Clone, PartialEq)]
enum Place {
    /// Not yet durable; the number of the batch that makes it so.
    Memory(Action, u64),
    /// An item of a frame.
    Disk { segment: u64, offset: u64, length: usize, checksum: u32 },
}

/// How to get at contents.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Content {
    Here(Action),
    /// An item of a frame.
    There {
        path: PathBuf,
        offset: u64,
        length: usize,
        checksum: u32,
    },
}

/// A batch on its way to the disk.
pub(crate) struct Writing {
    pub(crate) path: PathBuf,
    pub(crate) bytes: Bytes,
    /// The bytes are a new segment's first ones.
    pub(crate) fresh: bool,
    batch: u64,
    places: Vec<(u64, Place)>,
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

    /// Makes a batch of changes; None when there are none, or too many bytes of them.
    pub(crate) fn take(&mut self, changes: &[Change], rules: &Rules) -> Option<Writing> {
        if changes.is_empty() {
            return None;
        }
        self.batch += 1;
        let fresh = self.length >= self.limit || self.segments.is_empty();
        let mut head = Vec::new();
        if fresh {
            let segment = self.segments.last().map_or(1, |last| last + 1);
            self.segments.insert(segment);
            self.length = 0;
            head = vec![Change::Metadata(rules.metadata()), Change::Begin(rules.begin())];
        }
        let segment = self.segments.last().copied()?;
        let start = self.length + journal::HEADER as u64;
        let (mut payload, mut places) = (Vec::new(), Vec::new());
        for change in head.iter().chain(changes) {
            let item = Item::of(change).encode_to_vec();
            // A growing buffer has room for any length.
            let _ = prost::encode_length_delimiter(item.len(), &mut payload);
            if let Change::Action(action) = change {
                let (offset, length) = (start + payload.len() as u64, item.len());
                let checksum = journal::checksum(&item);
                places.push((action.position, Place::Disk { segment, offset, length, checksum }));
            }
            payload.extend_from_slice(&item);
        }
        let bytes = journal::frame(self.length, &payload)?;
        self.length += bytes.len() as u64;
        Some(Writing { path: self.path(segment), bytes, fresh, batch: self.batch, places })
    }

    /// A batch is durable.
    pub(crate) fn settled(&mut self, writing: Writing) {
        for (position, durable) in writing.places {
            // A later batch may hold newer content already.
            if let Some(place) = self.places.get_mut(&position)
                && !matches!(place, Place::Memory(_, batch) if *batch > writing.batch)
            {
                *place = durable;
            }
        }
    }

    /// How to get at the content of a position.
    pub(crate) fn content(&self, position: u64) -> Option<Content> {
        Some(match self.places.get(&position)? {
            Place::Memory(action, _) => Content::Here(action.clone()),
            Place::Disk { segment, offset, length, checksum } => Content::There {
                path: self.path(*segment),
                offset: *offset,
                length: *length,
                checksum: *checksum,
            },
        })
    }
}

fn unreadable(path: &Path, reason: impl ToString) -> LogError {
    LogError::Record { path: path.to_owned(), reason: reason.to_string() }
}

/// The contents, in the order asked for.
pub(crate) async fn fetch(
    disk: Arc<dyn Disk>,
    wanted: Vec<Content>,
) -> Result<Vec<Action>, LogError> {
    let mut actions = Vec::with_capacity(wanted.len());
    for content in wanted {
        actions.push(match content {
            Content::Here(action) => action,
            Content::There { path, offset, length, checksum } => {
                let bytes = disk.read_at(&path, offset, length).await?;
                let same = journal::checksum(&bytes) == checksum;
                let item = Item::decode(bytes).map_err(|error| unreadable(&path, error))?;
                let action = item.action.filter(|_| same);
                let damaged = || unreadable(&path, format!("damaged at byte {offset}"));
                action.ok_or_else(damaged)?
            }
        });
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
            replay(segment, offset, payload, &mut store.places, &mut rules)
                .map_err(|reason| unreadable(&path, reason))?;
        }
        store.length = scan.valid as u64;
        if Some(segment) == last && (torn > 0 || failed) {
            disk.write(&path, bytes.slice(..scan.valid)).await?;
        }
    }
    store.places = store.places.split_off(&rules.begin());
    Ok(Opened { store, rules, torn })
}

fn replay(
    segment: u64,
    start: u64,
    payload: Bytes,
    places: &mut BTreeMap<u64, Place>,
    rules: &mut Rules,
) -> Result<(), String> {
    let mut rest = payload.clone();
    while rest.has_remaining() {
        let length = prost::decode_length_delimiter(&mut rest).map_err(|e| e.to_string())?;
        if length > rest.len() {
            return Err(format!("an item of {length} bytes where {} are left", rest.len()));
        }
        let offset = start + (payload.len() - rest.len()) as u64;
        let item = rest.split_to(length);
        let checksum = journal::checksum(&item);
        let item = Item::decode(item).map_err(|error| error.to_string())?;
        let change = item.into_change().ok_or("an item without content")?;
        if let Change::Action(action) = &change {
            places.insert(action.position, Place::Disk { segment, offset, length, checksum });
        }
        rules.replay(&change);
    }
    Ok(())
}
