//! Secrets that tasks bring along.

use bytes::Bytes;
use protos::mesos::{Secret, secret};

/// The bytes of a secret. Only secrets by value are known; a reference needs somebody who keeps
/// secrets.
///
/// # Errors
/// Why there are none.
pub fn resolve(secret: &Secret) -> Result<Bytes, String> {
    match (secret.r#type(), &secret.value) {
        (secret::Type::Value, Some(value)) => Ok(value.data.clone()),
        (secret::Type::Value, None) => Err("a secret by value has no value".to_owned()),
        (secret::Type::Reference, _) => {
            let name = secret.reference.as_ref().map_or("", |reference| reference.name.as_str());
            Err(format!("secret '{name}' is a reference, and nothing here resolves references"))
        }
        (secret::Type::Unknown, _) => Err("a secret has no known type".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secret_values_are_known_and_references_are_not() {
        let mut secret = Secret {
            r#type: Some(secret::Type::Value as i32),
            value: Some(secret::Value { data: Bytes::from_static(b"x") }),
            ..Secret::default()
        };
        assert_eq!(resolve(&secret).unwrap(), "x");
        secret.r#type = Some(secret::Type::Reference as i32);
        secret.reference = Some(secret::Reference { name: "key".into(), key: None });
        assert!(resolve(&secret).unwrap_err().contains("'key'"));
        assert!(resolve(&Secret::default()).is_err());
    }
}
