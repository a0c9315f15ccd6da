//! Attributes of a slave: `rack:abc;zone:west;level:3;ports:[1-2];tags:{a,b}`.

use serde_json::{Map, Value};

use crate::mesos;
use crate::resources::{AmountError, parse_amount, print_amount};

/// An attribute text cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("attribute '{text}': {problem}")]
pub struct AttributeError {
    /// The item.
    pub text: String,
    /// What is wrong with it.
    pub problem: String,
}

/// Reads a `;`-separated list. A value that is no number, range or set is text.
///
/// # Errors
/// [`AttributeError`] for an item without name or value, or with a malformed range or set.
pub fn parse(text: &str) -> Result<Vec<mesos::Attribute>, AttributeError> {
    text.split([';', '\n']).map(str::trim).filter(|item| !item.is_empty()).map(parse_one).collect()
}

fn parse_one(item: &str) -> Result<mesos::Attribute, AttributeError> {
    let bad = |problem: String| AttributeError { text: item.to_owned(), problem };
    let (name, value) =
        item.split_once(':').ok_or_else(|| bad("expected name:value".to_owned()))?;
    let (name, value) = (name.trim(), value.trim());
    if name.is_empty() || value.is_empty() {
        return Err(bad("name and value must not be empty".to_owned()));
    }
    let mut attribute = mesos::Attribute { name: name.to_owned(), ..Default::default() };
    match parse_amount(value) {
        Ok((kind, scalar, ranges, set)) => {
            attribute.r#type = kind.into();
            (attribute.scalar, attribute.ranges, attribute.set) = (scalar, ranges, set);
        }
        Err(AmountError::Text) => {
            attribute.r#type = mesos::value::Type::Text.into();
            attribute.text = Some(mesos::value::Text { value: value.to_owned() });
        }
        Err(error) => return Err(bad(error.to_string())),
    }
    Ok(attribute)
}

/// The JSON object of `/state`: numbers, and texts for the rest.
pub fn to_object(attributes: &[mesos::Attribute]) -> Map<String, Value> {
    let entry = |attribute: &mesos::Attribute| {
        let value = match (&attribute.scalar, &attribute.text) {
            (Some(scalar), _) => Value::from(scalar.value),
            (None, Some(text)) => Value::from(text.value.clone()),
            (None, None) => {
                Value::from(print_amount(attribute.ranges.as_ref(), attribute.set.as_ref(), ", "))
            }
        };
        (attribute.name.clone(), value)
    };
    attributes.iter().map(entry).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_of_every_type_are_read() {
        let attributes = parse("rack:abc;level:3;ports:[1-2,4-5];tags:{a,b}").unwrap();
        let object = Value::Object(to_object(&attributes)).to_string();
        let expected = r#"{"rack":"abc","level":3.0,"ports":"[1-2, 4-5]","tags":"{a, b}"}"#;
        assert_eq!(object, expected);
    }

    #[test]
    fn attributes_malformed_are_refused() {
        for bad in ["rack", ":x", "rack:", "r:[1-", "r:[2-1]", "s:{a"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
