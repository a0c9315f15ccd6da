//! Protobuf to JSON and back, by the rules of the HTTP APIs and files: names as in the schema,
//! 64-bit integers as numbers, bytes in base64, enums by name.

use std::sync::OnceLock;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use prost::{Message, Name};
use prost_reflect::{
    Cardinality, DescriptorPool, DynamicMessage, EnumDescriptor, FieldDescriptor, Kind, MapKey,
    MessageDescriptor, ReflectMessage, Value as Proto,
};
use serde_json::{Map, Number, Value};

/// A JSON document is no such message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    /// The schema has no such message.
    #[error("unknown message {0}")]
    UnknownMessage(String),
    /// A value has the wrong type or range.
    #[error("field '{field}': expected {expected}")]
    BadValue {
        /// Path from the document's root.
        field: String,
        /// What would be right.
        expected: &'static str,
    },
    /// A required field is absent.
    #[error("field '{0}' is required")]
    Missing(String),
}

#[expect(clippy::expect_used, reason = "the set is made by this crate's build script")]
pub(crate) fn pool() -> &'static DescriptorPool {
    static POOL: OnceLock<DescriptorPool> = OnceLock::new();
    POOL.get_or_init(|| DescriptorPool::decode(crate::DESCRIPTORS).expect("embedded schema"))
}

fn descriptor(name: &str) -> Result<MessageDescriptor, JsonError> {
    pool().get_message_by_name(name).ok_or_else(|| JsonError::UnknownMessage(name.to_owned()))
}

/// The JSON form of a message: set fields, and unset ones with an explicit default that are not
/// deprecated. Null for a type that the schema does not know.
pub fn to_json<M: Message + Name>(message: &M) -> Value {
    let Ok(descriptor) = descriptor(&M::full_name()) else {
        return Value::Null;
    };
    let bytes = message.encode_to_vec();
    DynamicMessage::decode(descriptor, bytes.as_slice()).map_or(Value::Null, |m| message_json(&m))
}

fn message_json(message: &DynamicMessage) -> Value {
    let mut object = Map::new();
    for field in message.descriptor().fields() {
        let defaulted = field.cardinality() == Cardinality::Optional
            && has_explicit_default(&field)
            && !field.field_descriptor_proto().options.as_ref().is_some_and(|o| o.deprecated());
        if message.has_field(&field) || defaulted {
            object.insert(field.name().to_owned(), value_json(&message.get_field(&field), &field));
        }
    }
    Value::Object(object)
}

fn has_explicit_default(field: &FieldDescriptor) -> bool {
    field.field_descriptor_proto().default_value.is_some()
}

fn value_json(value: &Proto, field: &FieldDescriptor) -> Value {
    match value {
        Proto::List(items) => items.iter().map(|item| scalar_json(item, &field.kind())).collect(),
        Proto::Map(entries) => {
            let Kind::Message(entry) = field.kind() else {
                return Value::Null;
            };
            let kind = entry.map_entry_value_field().kind();
            let mut sorted: Vec<_> =
                entries.iter().map(|(k, v)| (key_text(k), scalar_json(v, &kind))).collect();
            sorted.sort_by(|a, b| a.0.cmp(&b.0));
            Value::Object(sorted.into_iter().collect())
        }
        single => scalar_json(single, &field.kind()),
    }
}

fn key_text(key: &MapKey) -> String {
    match key {
        MapKey::Bool(v) => v.to_string(),
        MapKey::I32(v) => v.to_string(),
        MapKey::I64(v) => v.to_string(),
        MapKey::U32(v) => v.to_string(),
        MapKey::U64(v) => v.to_string(),
        MapKey::String(v) => v.clone(),
    }
}

fn scalar_json(value: &Proto, kind: &Kind) -> Value {
    match value {
        Proto::Bool(v) => Value::Bool(*v),
        Proto::I32(v) => (*v).into(),
        Proto::I64(v) => (*v).into(),
        Proto::U32(v) => (*v).into(),
        Proto::U64(v) => (*v).into(),
        Proto::F32(v) => float(f64::from(*v)),
        Proto::F64(v) => float(*v),
        Proto::String(v) => Value::String(v.clone()),
        Proto::Bytes(v) => Value::String(STANDARD.encode(v)),
        Proto::EnumNumber(number) => match kind {
            Kind::Enum(e) => match e.get_value(*number) {
                Some(value) => value.name().into(),
                None => (*number).into(),
            },
            _ => (*number).into(),
        },
        Proto::Message(message) => message_json(message),
        Proto::List(_) | Proto::Map(_) => Value::Null,
    }
}

fn float(value: f64) -> Value {
    let text = || match value {
        f64::INFINITY => "Infinity",
        f64::NEG_INFINITY => "-Infinity",
        _ => "NaN",
    };
    Number::from_f64(value).map_or_else(|| Value::from(text()), Value::Number)
}

/// Reads a message from JSON, leniently as the HTTP APIs do: unknown members and nulls are ignored,
/// numbers and booleans may be texts, a single value stands for a list of one.
///
/// # Errors
/// [`JsonError`] naming the field that is wrong or missing.
pub fn from_json<M: Message + Name + Default>(value: &Value) -> Result<M, JsonError> {
    let message = read_message(&descriptor(&M::full_name())?, value, "")?;
    let broken = |_| JsonError::BadValue { field: String::new(), expected: "a message" };
    M::decode(message.encode_to_vec().as_slice()).map_err(broken)
}

fn bad(field: &str, expected: &'static str) -> JsonError {
    JsonError::BadValue { field: field.to_owned(), expected }
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

fn read_message(
    descriptor: &MessageDescriptor,
    value: &Value,
    path: &str,
) -> Result<DynamicMessage, JsonError> {
    let object = value.as_object().ok_or_else(|| bad(path, "an object"))?;
    let mut message = DynamicMessage::new(descriptor.clone());
    for field in descriptor.fields() {
        let path = join(path, field.name());
        let required = field.cardinality() == Cardinality::Required;
        let given = object.get(field.name()).filter(|value| !value.is_null());
        let read = match given {
            Some(value) => read_field(&field, value, &path)?,
            None => None,
        };
        match read {
            Some(value) => message.set_field(&field, value),
            None if required => return Err(JsonError::Missing(path)),
            None => {}
        }
    }
    Ok(message)
}

fn read_field(
    field: &FieldDescriptor,
    value: &Value,
    path: &str,
) -> Result<Option<Proto>, JsonError> {
    if field.is_map() {
        return read_map(field, value, path).map(Some);
    }
    if field.is_list() {
        let single = std::slice::from_ref(value);
        let items = value.as_array().map_or(single, Vec::as_slice);
        let mut list = Vec::new();
        for item in items {
            list.extend(read_scalar(&field.kind(), item, path)?);
        }
        return Ok(Some(Proto::List(list)));
    }
    read_scalar(&field.kind(), value, path)
}

fn read_map(field: &FieldDescriptor, value: &Value, path: &str) -> Result<Proto, JsonError> {
    let object = value.as_object().ok_or_else(|| bad(path, "an object"))?;
    let Kind::Message(entry) = field.kind() else {
        return Err(bad(path, "a map"));
    };
    let kind = entry.map_entry_value_field().kind();
    let mut map = std::collections::BTreeMap::new();
    for (key, value) in object {
        if let Some(read) = read_scalar(&kind, value, &join(path, key))? {
            map.insert(key.clone(), read);
        }
    }
    Ok(Proto::Map(map.into_iter().map(|(key, value)| (MapKey::String(key), value)).collect()))
}

/// None for an enum name that is not known: the field is as good as unset.
fn read_scalar(kind: &Kind, value: &Value, path: &str) -> Result<Option<Proto>, JsonError> {
    let read = match kind {
        Kind::Bool => Proto::Bool(boolean(value).ok_or_else(|| bad(path, "true or false"))?),
        Kind::String => {
            Proto::String(value.as_str().ok_or_else(|| bad(path, "a string"))?.to_owned())
        }
        Kind::Bytes => {
            let decoded = value.as_str().and_then(|text| STANDARD.decode(text).ok());
            Proto::Bytes(decoded.ok_or_else(|| bad(path, "base64"))?.into())
        }
        Kind::Double => Proto::F64(number(value).ok_or_else(|| bad(path, "a number"))?),
        Kind::Float => Proto::F32(number(value).ok_or_else(|| bad(path, "a number"))? as f32),
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => {
            Proto::I32(integer(value).ok_or_else(|| bad(path, "a 32-bit integer"))?)
        }
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => {
            Proto::I64(integer(value).ok_or_else(|| bad(path, "a 64-bit integer"))?)
        }
        Kind::Uint32 | Kind::Fixed32 => {
            Proto::U32(integer(value).ok_or_else(|| bad(path, "an unsigned 32-bit integer"))?)
        }
        Kind::Uint64 | Kind::Fixed64 => {
            Proto::U64(integer(value).ok_or_else(|| bad(path, "an unsigned 64-bit integer"))?)
        }
        Kind::Enum(descriptor) => return Ok(enum_number(descriptor, value).map(Proto::EnumNumber)),
        Kind::Message(descriptor) => Proto::Message(read_message(descriptor, value, path)?),
    };
    Ok(Some(read))
}

fn enum_number(descriptor: &EnumDescriptor, value: &Value) -> Option<i32> {
    match value {
        Value::String(name) => descriptor.get_value_by_name(name).map(|value| value.number()),
        Value::Number(number) => {
            let number = i32::try_from(number.as_i64()?).ok()?;
            descriptor.get_value(number).map(|value| value.number())
        }
        _ => None,
    }
}

fn boolean(value: &Value) -> Option<bool> {
    value.as_bool().or_else(|| value.as_str()?.parse().ok())
}

fn number(value: &Value) -> Option<f64> {
    match value.as_str() {
        Some("Infinity") => Some(f64::INFINITY),
        Some("-Infinity") => Some(f64::NEG_INFINITY),
        Some(text) => text.parse().ok().filter(|number: &f64| number.is_finite()),
        None => value.as_f64(),
    }
}

fn integer<T: TryFrom<i64> + TryFrom<u64> + std::str::FromStr>(value: &Value) -> Option<T> {
    if let Some(text) = value.as_str() {
        return text.parse().ok();
    }
    if let Some(signed) = value.as_i64() {
        return T::try_from(signed).ok();
    }
    if let Some(unsigned) = value.as_u64() {
        return T::try_from(unsigned).ok();
    }
    // A double without fraction, as other writers print large integers.
    let whole = value.as_f64().filter(|v| v.fract() == 0.0 && v.abs() < 9.0e15)?;
    T::try_from(whole as i64).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mesos;
    use serde_json::json;

    #[test]
    fn json_of_message_has_set_fields_and_explicit_defaults() {
        let command = mesos::CommandInfo { value: Some("true".into()), ..Default::default() };
        assert_eq!(to_json(&command), json!({"shell": true, "value": "true"}));
    }

    #[test]
    fn json_lenient_input_is_read() {
        let value = json!({"shell": "false", "uris": {"value": "u", "cache": null}, "extra": 1});
        let command: mesos::CommandInfo = from_json(&value).unwrap();
        assert_eq!(command.shell, Some(false));
        assert_eq!(command.uris.len(), 1);
    }

    #[test]
    fn json_bad_input_names_the_field() {
        let missing = from_json::<mesos::CommandInfo>(&json!({"uris": [{}]}));
        assert_eq!(missing, Err(JsonError::Missing("uris.value".into())));
        let bad = from_json::<mesos::CommandInfo>(&json!({"shell": 7}));
        assert!(matches!(bad, Err(JsonError::BadValue { field, .. }) if field == "shell"));
    }

    #[test]
    fn json_infinity_is_a_word_and_nonsense_is_refused() {
        let scalar = mesos::value::Scalar { value: f64::INFINITY };
        let json = to_json(&scalar);
        assert_eq!(json, json!({"value": "Infinity"}));
        assert_eq!(from_json::<mesos::value::Scalar>(&json), Ok(scalar));
        for bad in ["nan", "inf", "1e999"] {
            assert!(from_json::<mesos::value::Scalar>(&json!({"value": bad})).is_err(), "{bad}");
        }
        // An enum value that nobody knows is as good as unset.
        let uri: mesos::framework_info::Capability = from_json(&json!({"type": 999})).unwrap();
        assert_eq!(uri.r#type, None);
    }
}
