//! What a replica answers, and what it must keep for that: no clock, no disk, no network.

use std::collections::BTreeMap;

use protos::mesos::internal::log::metadata::Status;
use protos::mesos::internal::log::{
    Action, Metadata, PromiseRequest, PromiseResponse, RecoverResponse, WriteRequest,
    WriteResponse, action, promise_response, write_response,
};

/// Something that must be durable before what was decided with it is answered.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Change {
    /// The status or the promise for all positions.
    Metadata(Metadata),
    /// All there is at a position.
    Action(Action),
    /// A promise for a position whose content stays.
    Promised { position: u64, proposal: u64 },
    /// What is at a position is chosen for good.
    Learned(u64),
    /// Everything before this position is gone.
    Begin(u64),
}

/// What is known of a position; its content lies in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Slot {
    /// The highest proposal that was promised to or written here.
    pub(crate) promised: u64,
    /// The proposal that wrote the content; None while there is none.
    pub(crate) performed: Option<u64>,
    /// The content is chosen for good.
    pub(crate) learned: bool,
    truncates_to: Option<u64>,
}

/// An answer to a promise request.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Promised {
    /// All of it.
    Whole(PromiseResponse),
    /// An acceptance that still wants the action at this position.
    With { position: u64, proposal: u64 },
}

/// The state of a replica.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Rules {
    metadata: Metadata,
    begin: u64,
    end: u64,
    slots: BTreeMap<u64, Slot>,
}

impl Default for Rules {
    fn default() -> Self {
        let metadata = Metadata { status: Status::Empty.into(), promised: 0 };
        Self { metadata, begin: 0, end: 0, slots: BTreeMap::new() }
    }
}

fn promise_answer(kind: promise_response::Type, proposal: u64) -> PromiseResponse {
    PromiseResponse {
        okay: kind == promise_response::Type::Accept,
        proposal,
        r#type: Some(kind.into()),
        ..PromiseResponse::default()
    }
}

fn write_answer(kind: write_response::Type, proposal: u64, position: u64) -> WriteResponse {
    let okay = kind == write_response::Type::Accept;
    WriteResponse { okay, proposal, position, r#type: Some(kind.into()) }
}

/// What stands at a position that was truncated.
pub(crate) fn tombstone(position: u64, proposal: u64) -> Action {
    Action {
        position,
        promised: proposal,
        performed: Some(proposal),
        learned: Some(true),
        r#type: Some(action::Type::Nop.into()),
        nop: Some(action::Nop { tombstone: Some(true) }),
        ..Action::default()
    }
}

/// True when the action has the content that its type says.
pub(crate) fn is_whole(action: &Action) -> bool {
    match action.r#type {
        None => action.performed.is_none(),
        Some(_) => match action.r#type() {
            action::Type::Nop => true,
            action::Type::Append => action.append.is_some(),
            action::Type::Truncate => action.truncate.is_some(),
        },
    }
}

fn is_tombstone(action: &Action) -> bool {
    action.r#type.is_some()
        && action.r#type() == action::Type::Nop
        && action.nop.as_ref().is_some_and(|nop| nop.tombstone())
}

impl Rules {
    pub(crate) fn status(&self) -> Status {
        self.metadata.status()
    }

    /// The promise for all positions without a record.
    pub(crate) fn promised(&self) -> u64 {
        self.metadata.promised
    }

    pub(crate) fn metadata(&self) -> Metadata {
        self.metadata
    }

    pub(crate) fn begin(&self) -> u64 {
        self.begin
    }

    pub(crate) fn end(&self) -> u64 {
        self.end
    }

    pub(crate) fn slot(&self, position: u64) -> Option<Slot> {
        self.slots.get(&position).copied()
    }

    /// Positions from `from` to `to`, both included, that are there but not learned, in order.
    pub(crate) fn missing(&self, from: u64, to: u64) -> Vec<u64> {
        let learned = |position| self.slots.get(&position).is_some_and(|slot| slot.learned);
        (from.max(self.begin)..=to).filter(|position| !learned(*position)).collect()
    }

    /// Answers a replica that recovers.
    pub(crate) fn recover(&self) -> RecoverResponse {
        let range = (self.status() == Status::Voting).then_some((self.begin, self.end));
        RecoverResponse {
            status: self.metadata.status,
            begin: range.map(|range| range.0),
            end: range.map(|range| range.1),
        }
    }

    /// Takes part with another status from now on, with a promise not lower than `floor`.
    pub(crate) fn enter(&mut self, status: Status, floor: u64, changes: &mut Vec<Change>) {
        let promised = self.metadata.promised.max(floor);
        self.metadata = Metadata { status: status.into(), promised };
        changes.push(Change::Metadata(self.metadata));
    }

    /// Answers a writer that wants to lead (no position) or to settle one position.
    pub(crate) fn promise(
        &mut self,
        request: &PromiseRequest,
        changes: &mut Vec<Change>,
    ) -> Promised {
        use promise_response::Type::{Accept, Ignored, Reject};
        let proposal = request.proposal;
        let reject = |promised| Promised::Whole(promise_answer(Reject, promised));
        if self.status() != Status::Voting {
            return Promised::Whole(promise_answer(Ignored, proposal));
        }
        let Some(position) = request.position else {
            if proposal <= self.metadata.promised {
                return reject(self.metadata.promised);
            }
            self.metadata.promised = proposal;
            changes.push(Change::Metadata(self.metadata));
            let accept = promise_answer(Accept, proposal);
            return Promised::Whole(PromiseResponse { position: Some(self.end), ..accept });
        };
        let accept = |action, position| {
            let accept = promise_answer(Accept, proposal);
            Promised::Whole(PromiseResponse { action, position, ..accept })
        };
        if position < self.begin {
            return accept(Some(tombstone(position, proposal)), None);
        }
        let Some(slot) = self.slots.get_mut(&position) else {
            if proposal <= self.metadata.promised {
                return reject(self.metadata.promised);
            }
            let action = Action { position, promised: proposal, ..Action::default() };
            self.put(&action);
            changes.push(Change::Action(action));
            return accept(None, Some(position));
        };
        if proposal <= slot.promised {
            return reject(slot.promised);
        }
        // What is learned never changes, so that no promise about it need be kept.
        if !slot.learned {
            slot.promised = proposal;
            changes.push(Change::Promised { position, proposal });
        }
        Promised::With { position, proposal }
    }

    /// Answers a writer's wish; None: no answer.
    pub(crate) fn write(
        &mut self,
        request: &WriteRequest,
        changes: &mut Vec<Change>,
    ) -> Option<WriteResponse> {
        use write_response::Type::{Accept, Ignored, Reject};
        let (proposal, position) = (request.proposal, request.position);
        if self.status() != Status::Voting {
            return Some(write_answer(Ignored, proposal, position));
        }
        if position < self.begin {
            return None;
        }
        let slot = self.slots.get(&position);
        let promised = slot.map_or(self.metadata.promised, |slot| slot.promised);
        if proposal < promised {
            return Some(write_answer(Reject, promised, position));
        }
        if slot.is_some_and(|slot| slot.learned) {
            return None;
        }
        // The same wish once more: a proposal writes one content only.
        if slot.is_some_and(|slot| slot.performed == Some(proposal)) {
            return Some(write_answer(Accept, proposal, position));
        }
        let action = Action {
            position,
            promised: proposal,
            performed: Some(proposal),
            learned: request.learned,
            r#type: Some(request.r#type),
            nop: request.nop,
            append: request.append.clone(),
            truncate: request.truncate,
        };
        self.put(&action);
        changes.push(Change::Action(action));
        Some(write_answer(Accept, proposal, position))
    }

    /// Takes in what is chosen for good at a position.
    pub(crate) fn learn(&mut self, action: Action, changes: &mut Vec<Change>) {
        let position = action.position;
        if position < self.begin {
            return;
        }
        if is_tombstone(&action) {
            self.begin_at(position + 1);
            changes.push(Change::Begin(self.begin));
            return;
        }
        let slot = self.slots.get(&position);
        if slot.is_some_and(|slot| slot.learned) {
            return;
        }
        // A proposal writes one content only: what we have of it is what was learned.
        if action.performed.is_some() && slot.is_some_and(|slot| slot.performed == action.performed)
        {
            self.settle(position);
            changes.push(Change::Learned(position));
        } else {
            let action = Action { learned: Some(true), ..action };
            self.put(&action);
            changes.push(Change::Action(action));
        }
    }

    /// Takes in a change that was read back from the store.
    pub(crate) fn replay(&mut self, change: &Change) {
        match change {
            Change::Metadata(metadata) => self.metadata = *metadata,
            Change::Action(action) if action.position >= self.begin => self.put(action),
            Change::Action(_) => {}
            Change::Promised { position, proposal } => {
                if let Some(slot) = self.slots.get_mut(position) {
                    slot.promised = slot.promised.max(*proposal);
                }
            }
            Change::Learned(position) => self.settle(*position),
            Change::Begin(begin) => self.begin_at(*begin),
        }
    }

    fn put(&mut self, action: &Action) {
        let slot = Slot {
            promised: action.promised,
            performed: action.performed,
            learned: false,
            truncates_to: action.truncate.as_ref().map(|truncate| truncate.to),
        };
        self.slots.insert(action.position, slot);
        self.end = self.end.max(action.position);
        if action.learned() {
            self.settle(action.position);
        }
    }

    /// The content of a position is chosen for good: a truncation takes effect.
    fn settle(&mut self, position: u64) {
        if let Some(slot) = self.slots.get_mut(&position) {
            slot.learned = true;
            if let Some(to) = slot.truncates_to {
                self.begin_at(to.min(position));
            }
        }
    }

    fn begin_at(&mut self, begin: u64) {
        if begin > self.begin {
            self.slots = self.slots.split_off(&begin);
            self.begin = begin;
            // The last position may be one that is gone.
            self.end = self.end.max(begin.saturating_sub(1));
        }
    }
}

/// An acceptance that brings the action of a position.
pub(crate) fn accepted(action: Action, proposal: u64) -> PromiseResponse {
    let accept = promise_answer(promise_response::Type::Accept, proposal);
    PromiseResponse { action: Some(action), ..accept }
}
