//! Operations that slaves were sent and have not finished, or whose end is not acknowledged yet.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use protos::ids::{FrameworkId, SlaveId};
use protos::mesos::{self, OperationState};

use crate::operations::Conversion;

/// An operation as the master knows it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct OperationEntry {
    /// None for an operator's.
    pub(crate) framework: Option<FrameworkId>,
    pub(crate) slave: SlaveId,
    pub(crate) wire: mesos::Operation,
    /// What to undo should the slave fail; None once that is settled.
    pub(crate) undo: Option<Conversion>,
}

impl OperationEntry {
    pub(crate) fn state(&self) -> OperationState {
        self.wire.latest_status.state()
    }
}

/// True for states that never change.
pub(crate) fn is_terminal(state: OperationState) -> bool {
    use OperationState::*;
    [OperationFinished, OperationFailed, OperationError, OperationDropped, OperationGoneByOperator]
        .contains(&state)
}

/// All operations in flight.
#[derive(Debug, Clone)]
pub(crate) struct Operations {
    /// Uuids count upward from the master's own random one.
    next: u128,
    by_uuid: BTreeMap<Bytes, OperationEntry>,
    /// Uuids by slave; no set is empty.
    by_slave: BTreeMap<SlaveId, BTreeSet<Bytes>>,
}

impl Operations {
    pub(crate) fn new(master_id: &str) -> Self {
        let digits: String = master_id.chars().filter(char::is_ascii_hexdigit).take(32).collect();
        let next = u128::from_str_radix(&digits, 16).unwrap_or_default();
        Self { next, by_uuid: BTreeMap::new(), by_slave: BTreeMap::new() }
    }

    pub(crate) fn new_uuid(&mut self) -> mesos::Uuid {
        self.next = self.next.wrapping_add(1);
        mesos::Uuid { value: Bytes::copy_from_slice(&self.next.to_be_bytes()) }
    }

    pub(crate) fn add(&mut self, entry: OperationEntry) {
        let uuid = entry.wire.uuid.value.clone();
        self.by_slave.entry(entry.slave.clone()).or_default().insert(uuid.clone());
        self.by_uuid.insert(uuid, entry);
    }

    #[cfg(test)]
    pub(crate) fn get(&self, uuid: &Bytes) -> Option<&OperationEntry> {
        self.by_uuid.get(uuid)
    }

    pub(crate) fn get_mut(&mut self, uuid: &Bytes) -> Option<&mut OperationEntry> {
        self.by_uuid.get_mut(uuid)
    }

    pub(crate) fn remove(&mut self, uuid: &Bytes) -> Option<OperationEntry> {
        let entry = self.by_uuid.remove(uuid)?;
        if let Some(here) = self.by_slave.get_mut(&entry.slave) {
            here.remove(uuid);
            if here.is_empty() {
                self.by_slave.remove(&entry.slave);
            }
        }
        Some(entry)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &OperationEntry> {
        self.by_uuid.values()
    }

    /// The operations of a slave.
    pub(crate) fn here(&self, slave: &SlaveId) -> impl Iterator<Item = &OperationEntry> {
        let uuids = self.by_slave.get(slave).into_iter().flatten();
        uuids.filter_map(|uuid| self.by_uuid.get(uuid))
    }

    /// Takes all operations of a slave.
    pub(crate) fn take_slave(&mut self, slave: &SlaveId) -> Vec<OperationEntry> {
        let uuids = self.by_slave.remove(slave).unwrap_or_default();
        uuids.iter().filter_map(|uuid| self.by_uuid.remove(uuid)).collect()
    }

    /// The operation that a framework gave an id.
    pub(crate) fn by_id(&self, framework: &FrameworkId, id: &str) -> Option<&OperationEntry> {
        self.by_uuid.values().find(|entry| {
            let named = entry.wire.info.id.as_ref().is_some_and(|own| own.value == id);
            named && entry.framework.as_ref() == Some(framework)
        })
    }
}
