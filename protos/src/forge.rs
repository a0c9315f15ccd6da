//! Messages made of arbitrary bytes: well-formed, often meaningless, now and then almost right. For tests
//! of what reads messages from strangers.
//!
//! ```
//! let words = ["S0".to_owned()];
//! let mut source = protos::forge::Source::new(&[1, 2, 3], &words);
//! let body = protos::forge::message("mesos.internal.RegisterSlaveMessage", &mut source).unwrap();
//! assert!(protos::required::check("mesos.internal.RegisterSlaveMessage", &body).is_ok());
//! ```

use prost::Message;
use prost_reflect::{
    Cardinality, DynamicMessage, EnumDescriptor, FieldDescriptor, Kind, MessageDescriptor,
    ReflectMessage, Value,
};

/// How deep messages nest before only required fields are set.
const DEPTH: usize = 6;

/// What messages are made of: bytes that decide, and words that strings are taken from.
#[derive(Debug)]
pub struct Source<'a> {
    bytes: &'a [u8],
    words: &'a [String],
}

impl<'a> Source<'a> {
    /// A source that gives zeros once its bytes are used up.
    pub fn new(bytes: &'a [u8], words: &'a [String]) -> Self {
        Self { bytes, words }
    }

    /// True when its bytes are used up.
    pub fn is_dry(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The next byte.
    pub fn byte(&mut self) -> u8 {
        match self.bytes.split_first() {
            Some((first, rest)) => {
                self.bytes = rest;
                *first
            }
            None => 0,
        }
    }

    /// One of `items`.
    pub fn pick<T: Copy>(&mut self, items: &[T]) -> Option<T> {
        let at = usize::from(self.byte());
        (!items.is_empty()).then(|| items[at % items.len()])
    }

    fn word(&mut self) -> String {
        let at = usize::from(self.byte());
        if self.words.is_empty() || at % 8 == 7 {
            return format!("word{}", self.byte());
        }
        self.words[at % self.words.len()].clone()
    }
}

/// An encoded message of that full name; None when the schema lacks it.
pub fn message(full_name: &str, source: &mut Source<'_>) -> Option<Vec<u8>> {
    let descriptor = crate::json::pool().get_message_by_name(full_name)?;
    Some(fill(&descriptor, source, 0).encode_to_vec())
}

fn fill(descriptor: &MessageDescriptor, source: &mut Source<'_>, depth: usize) -> DynamicMessage {
    let mut made = DynamicMessage::new(descriptor.clone());
    if descriptor.full_name() == "mesos.Resource" && !source.byte().is_multiple_of(4) {
        sane_resource(&mut made, source);
        return made;
    }
    for field in descriptor.fields().filter(|field| !field.is_map()) {
        let wanted = depth < DEPTH && source.byte().is_multiple_of(4);
        match field.cardinality() {
            Cardinality::Required => made.set_field(&field, value(&field, source, depth)),
            Cardinality::Optional if wanted => {
                made.set_field(&field, value(&field, source, depth));
            }
            Cardinality::Repeated if depth < DEPTH => {
                let count = source.byte() % 3;
                let items = (0..count).map(|_| value(&field, source, depth)).collect();
                made.set_field(&field, Value::List(items));
            }
            _ => {}
        }
    }
    made
}

/// A little of something that hosts have.
fn sane_resource(made: &mut DynamicMessage, source: &mut Source<'_>) {
    let name = source.pick(&["cpus", "mem", "disk", "gpus"]).unwrap_or_default();
    let value = f64::from(source.byte() % 8) / 2.0;
    let descriptor = made.descriptor();
    let fields = ["name", "type", "scalar"].map(|name| descriptor.get_field_by_name(name));
    let [Some(name_field), Some(type_field), Some(scalar_field)] = fields else { return };
    made.set_field(&name_field, Value::String(name.to_owned()));
    made.set_field(&type_field, Value::EnumNumber(0));
    if let Kind::Message(scalar) = scalar_field.kind() {
        let mut amount = DynamicMessage::new(scalar);
        amount.set_field_by_name("value", Value::F64(value));
        made.set_field(&scalar_field, Value::Message(amount));
    }
}

fn value(field: &FieldDescriptor, source: &mut Source<'_>, depth: usize) -> Value {
    let whole = [0_i64, 1, -1, 2, 5, 16, i64::from(i32::MAX), i64::MIN, i64::MAX];
    let number = source.pick(&whole).unwrap_or_default();
    match field.kind() {
        Kind::Message(inner) => Value::Message(fill(&inner, source, depth + 1)),
        Kind::Enum(of) => Value::EnumNumber(enum_number(&of, source)),
        Kind::String => Value::String(source.word()),
        Kind::Bytes => {
            let length =
                if source.byte().is_multiple_of(4) { usize::from(source.byte()) } else { 16 };
            Value::Bytes(vec![source.byte(); length].into())
        }
        Kind::Bool => Value::Bool(number % 2 != 0),
        Kind::Double | Kind::Float => {
            let special = [0.0, 1.0, 0.5, -1.0, 1e300, f64::NAN, f64::INFINITY, 4.0];
            let number = source.pick(&special).unwrap_or_default();
            if field.kind() == Kind::Float { Value::F32(number as f32) } else { Value::F64(number) }
        }
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => Value::I32(number as i32),
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => Value::I64(number),
        Kind::Uint32 | Kind::Fixed32 => Value::U32(number as u32),
        Kind::Uint64 | Kind::Fixed64 => Value::U64(number as u64),
    }
}

fn enum_number(of: &EnumDescriptor, source: &mut Source<'_>) -> i32 {
    let numbers: Vec<i32> = of.values().map(|value| value.number()).collect();
    // Now and then one that the schema does not know.
    if source.byte() % 16 == 15 { 9_999 } else { source.pick(&numbers).unwrap_or_default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forged_messages_keep_the_schema_and_differ_by_their_bytes() {
        let words = ["a".to_owned(), "b".to_owned()];
        let mut seen = std::collections::BTreeSet::new();
        for seed in 0..=255_u8 {
            let bytes: Vec<u8> = (0..400_u32).map(|at| (at * 7) as u8 ^ seed).collect();
            let mut source = Source::new(&bytes, &words);
            let name = "mesos.internal.ReregisterSlaveMessage";
            let body = message(name, &mut source).unwrap();
            crate::required::check(name, &body).unwrap();
            seen.insert(body);
        }
        assert!(seen.len() > 100);
        assert!(message("no.such.Message", &mut Source::new(&[], &words)).is_none());
    }
}
