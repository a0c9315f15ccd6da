//! Variables as a table, and the records that lead to it.

use std::collections::{BTreeMap, BTreeSet};

use bytes::{Buf, Bytes, BytesMut};
use prost::Message;
use protos::mesos::internal::state::{Entry, Operation, operation};
use uuid::Uuid;

use super::{Change, Variable};

/// The variables that are there.
#[derive(Debug, Default, Clone, PartialEq)]
pub(super) struct Table {
    by_name: BTreeMap<String, (Uuid, Bytes)>,
}

/// The variable that a record is about.
pub(super) fn name(record: &Operation) -> &str {
    match (&record.snapshot, &record.expunge) {
        (Some(snapshot), _) => &snapshot.entry.name,
        (_, Some(expunge)) => &expunge.name,
        _ => "",
    }
}

fn snapshot(name: &str, uuid: Uuid, value: Bytes) -> Operation {
    let uuid = Bytes::copy_from_slice(uuid.as_bytes());
    let entry = Entry { name: name.to_owned(), uuid, value };
    Operation {
        r#type: operation::Type::Snapshot.into(),
        snapshot: Some(operation::Snapshot { entry }),
        ..Operation::default()
    }
}

impl Table {
    pub(super) fn fetch(&self, name: &str) -> Variable {
        match self.by_name.get(name) {
            None => Variable::absent(name),
            Some((uuid, value)) => {
                Variable { name: name.to_owned(), version: Some(*uuid), value: value.clone() }
            }
        }
    }

    pub(super) fn names(&self) -> BTreeSet<String> {
        self.by_name.keys().cloned().collect()
    }

    fn version(&self, name: &str) -> Option<Uuid> {
        self.by_name.get(name).map(|(uuid, _)| *uuid)
    }

    /// Changes a variable: the record of it, or None when the version is another.
    pub(super) fn store(&mut self, change: &Change) -> Option<Operation> {
        if self.version(&change.name) != change.expected {
            return None;
        }
        self.by_name.insert(change.name.clone(), (change.uuid, change.value.clone()));
        Some(snapshot(&change.name, change.uuid, change.value.clone()))
    }

    /// Removes a variable: the record of it, or None when the version is another.
    pub(super) fn expunge(&mut self, variable: &Variable) -> Option<Operation> {
        if variable.version.is_none() || self.version(&variable.name) != variable.version {
            return None;
        }
        self.by_name.remove(&variable.name);
        Some(Operation {
            r#type: operation::Type::Expunge.into(),
            expunge: Some(operation::Expunge { name: variable.name.clone() }),
            ..Operation::default()
        })
    }

    /// Takes in a record that was read back.
    ///
    /// # Errors
    /// Why it is no record of ours.
    pub(super) fn apply(&mut self, record: Operation) -> Result<(), String> {
        match (record.r#type(), record.snapshot, record.expunge) {
            (operation::Type::Snapshot, Some(snapshot), _) => {
                let entry = snapshot.entry;
                let uuid = Uuid::from_slice(&entry.uuid)
                    .map_err(|error| format!("version of '{}': {error}", entry.name))?;
                self.by_name.insert(entry.name, (uuid, entry.value));
            }
            (operation::Type::Expunge, _, Some(expunge)) => {
                self.by_name.remove(&expunge.name);
            }
            (kind, ..) => return Err(format!("{} without content", kind.as_str_name())),
        }
        Ok(())
    }

    /// The record that makes one variable what it is; None when it is not there.
    pub(super) fn record(&self, name: &str) -> Option<Operation> {
        let (uuid, value) = self.by_name.get(name)?;
        Some(snapshot(name, *uuid, value.clone()))
    }

    /// Records that make this table from an empty one.
    pub(super) fn records(&self) -> impl Iterator<Item = Operation> {
        self.by_name.iter().map(|(name, (uuid, value))| snapshot(name, *uuid, value.clone()))
    }
}

/// Several records as one payload.
pub(super) fn encode(records: impl IntoIterator<Item = Operation>) -> Bytes {
    let mut bytes = BytesMut::new();
    for record in records {
        // A growing buffer has room for any message.
        let _ = record.encode_length_delimited(&mut bytes);
    }
    bytes.freeze()
}

/// The records of a payload.
///
/// # Errors
/// Why it is none.
pub(super) fn decode(mut payload: Bytes) -> Result<Vec<Operation>, String> {
    let mut records = Vec::new();
    while payload.has_remaining() {
        let record = Operation::decode_length_delimited(&mut payload);
        records.push(record.map_err(|error| error.to_string())?);
    }
    Ok(records)
}
