//! Refuses encoded messages whose required fields are absent.
//!
//! The decoder fills an absent required field with a default, while the protocol has the receiver
//! drop such a message. The check walks the wire bytes over tables made from the schema.

use std::sync::OnceLock;

use indexmap::IndexMap;
use prost_reflect::{Cardinality, DescriptorPool, Kind};
use rustc_hash::FxBuildHasher;

/// Messages may not be nested deeper than this.
const MAX_DEPTH: usize = 100;

/// Why an encoded message is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequiredError {
    /// A required field is absent; the path leads to it from the message.
    #[error("required field '{0}' is missing")]
    Missing(String),
    /// The bytes are no protobuf.
    #[error("malformed protobuf")]
    Malformed,
    /// Messages are nested too deeply.
    #[error("messages nested deeper than {MAX_DEPTH}")]
    TooDeep,
}

struct Field {
    number: u32,
    name: String,
    /// Bit in the mask of required fields seen.
    required: Option<u32>,
    /// Table of the field's message type, when it has required fields somewhere.
    message: Option<usize>,
}

#[derive(Default)]
struct Table {
    /// Only fields that matter here.
    fields: Vec<Field>,
    /// By number: one more than the field's place in `fields`, 0 for those that do not matter.
    places: Vec<u16>,
    required: u64,
}

impl Table {
    fn field(&self, number: u32) -> Option<&Field> {
        let place = *self.places.get(number as usize)?;
        self.fields.get(usize::from(place).checked_sub(1)?)
    }

    fn place_fields(&mut self) {
        for (place, field) in (1..).zip(&self.fields) {
            let number = field.number as usize;
            let size = self.places.len().max(number + 1);
            self.places.resize(size, 0);
            self.places[number] = place;
        }
    }
}

struct Tables {
    by_name: IndexMap<String, usize, FxBuildHasher>,
    tables: Vec<Table>,
}

/// Checks the body of a message by its full name. Names that the schema does not know pass.
///
/// # Errors
/// [`RequiredError`] naming the first missing field, or malformed bytes.
pub fn check(full_name: &str, body: &[u8]) -> Result<(), RequiredError> {
    let tables = tables();
    match tables.by_name.get(full_name) {
        Some(index) => walk(tables, *index, body, 0),
        None => Ok(()),
    }
}

/// As [`check`], with the error as text: the form that a node's schema hook has.
///
/// # Errors
/// The error's text.
pub fn schema_check(full_name: &str, body: &[u8]) -> Result<(), String> {
    check(full_name, body).map_err(|error| error.to_string())
}

fn walk(tables: &Tables, index: usize, mut body: &[u8], depth: usize) -> Result<(), RequiredError> {
    if depth > MAX_DEPTH {
        return Err(RequiredError::TooDeep);
    }
    let table = &tables.tables[index];
    let mut seen = 0_u64;
    while !body.is_empty() {
        let key = varint(&mut body)?;
        let number = u32::try_from(key >> 3).map_err(|_| RequiredError::Malformed)?;
        let nested = payload(&mut body, key & 7)?;
        let Some(field) = table.field(number) else { continue };
        if let Some(bit) = field.required {
            seen |= 1 << bit;
        }
        if let (Some(message), Some(bytes)) = (field.message, nested) {
            walk(tables, message, bytes, depth + 1).map_err(|error| within(&field.name, error))?;
        }
    }
    let absent = table.required & !seen;
    if absent == 0 {
        return Ok(());
    }
    let bit = absent.trailing_zeros();
    let name = table.fields.iter().find(|field| field.required == Some(bit));
    Err(RequiredError::Missing(name.map(|field| field.name.clone()).unwrap_or_default()))
}

fn within(field: &str, error: RequiredError) -> RequiredError {
    match error {
        RequiredError::Missing(path) => RequiredError::Missing(format!("{field}.{path}")),
        other => other,
    }
}

fn varint(body: &mut &[u8]) -> Result<u64, RequiredError> {
    let mut value = 0_u64;
    for at in 0..10 {
        let byte = *body.get(at).ok_or(RequiredError::Malformed)?;
        value |= u64::from(byte & 0x7f) << (7 * at).min(63);
        if byte & 0x80 == 0 {
            *body = &body[at + 1..];
            return Ok(value);
        }
    }
    Err(RequiredError::Malformed)
}

/// Steps over one field's value; the bytes of a length-delimited one.
fn payload<'a>(body: &mut &'a [u8], wire_type: u64) -> Result<Option<&'a [u8]>, RequiredError> {
    let length = match wire_type {
        0 => {
            varint(body)?;
            return Ok(None);
        }
        1 => 8,
        2 => usize::try_from(varint(body)?).map_err(|_| RequiredError::Malformed)?,
        5 => 4,
        _ => return Err(RequiredError::Malformed),
    };
    let (value, rest) = body.split_at_checked(length).ok_or(RequiredError::Malformed)?;
    *body = rest;
    Ok((wire_type == 2).then_some(value))
}

fn tables() -> &'static Tables {
    static TABLES: OnceLock<Tables> = OnceLock::new();
    TABLES.get_or_init(|| build(crate::json::pool()))
}

fn build(pool: &DescriptorPool) -> Tables {
    let messages: Vec<_> = pool.all_messages().collect();
    let by_name: IndexMap<String, usize, FxBuildHasher> = messages
        .iter()
        .enumerate()
        .map(|(index, message)| (message.full_name().to_owned(), index))
        .collect();
    let mut tables: Vec<Table> = Vec::with_capacity(messages.len());
    for message in &messages {
        let mut table = Table::default();
        for field in message.fields() {
            let required = (field.cardinality() == Cardinality::Required).then(|| {
                let bit = table.required.count_ones();
                table.required |= 1 << bit;
                bit
            });
            let nested = match field.kind() {
                Kind::Message(nested) => by_name.get(nested.full_name()).copied(),
                _ => None,
            };
            let (number, name) = (field.number(), field.name().to_owned());
            table.fields.push(Field { number, name, required, message: nested });
        }
        tables.push(table);
    }
    prune(&mut tables);
    Tables { by_name, tables }
}

/// Drops what cannot lead to a required field, so that the walk skips it.
fn prune(tables: &mut [Table]) {
    let mut matters: Vec<bool> = tables.iter().map(|table| table.required != 0).collect();
    loop {
        let before = matters.clone();
        for (index, table) in tables.iter().enumerate() {
            matters[index] |= table.fields.iter().any(|f| f.message.is_some_and(|m| before[m]));
        }
        if matters == before {
            break;
        }
    }
    for table in tables {
        for field in &mut table.fields {
            field.message = field.message.filter(|message| matters[*message]);
        }
        table.fields.retain(|field| field.required.is_some() || field.message.is_some());
        table.place_fields();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mesos;
    use prost::{Message, Name};

    fn slave_info(hostname: &str) -> mesos::SlaveInfo {
        mesos::SlaveInfo { hostname: hostname.into(), ..Default::default() }
    }

    #[test]
    fn required_complete_message_passes() {
        let message =
            mesos::internal::RegisterSlaveMessage { slave: slave_info("h"), ..Default::default() };
        let name = mesos::internal::RegisterSlaveMessage::full_name();
        assert_eq!(check(&name, &message.encode_to_vec()), Ok(()));
    }

    #[test]
    fn required_field_absent_names_its_path() {
        let name = "mesos.internal.RegisterSlaveMessage";
        assert_eq!(check(name, &[]), Err(RequiredError::Missing("slave".into())));
        // Field 1 (slave) as an empty message.
        let nested = check(name, &[0x0a, 0x00]);
        assert_eq!(nested, Err(RequiredError::Missing("slave.hostname".into())));
    }

    #[test]
    fn required_noise_is_malformed() {
        let name = "mesos.internal.RegisterSlaveMessage";
        for noise in [&[0xff_u8; 12][..], &[0x0a, 0x7f], &[0x0b], &[0x80]] {
            assert_eq!(check(name, noise), Err(RequiredError::Malformed), "{noise:?}");
        }
    }

    #[test]
    fn required_unknown_name_passes() {
        assert_eq!(check("acme.Unknown", &[1, 2, 3]), Ok(()));
    }
}
