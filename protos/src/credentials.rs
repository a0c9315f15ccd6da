//! Who is who, and what proves it: the files of the flags `credentials`, `http_credentials` and
//! `credential`.

use std::collections::BTreeMap;

use crate::{json, mesos};

/// A credentials file cannot be read. What it says is never told: it is secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CredentialsError {
    /// A line of the text form is not `principal secret`.
    #[error("line {0}: expected a principal and a secret")]
    Line(usize),
    /// The JSON form is not `{"credentials": [{"principal": ..., "secret": ...}]}`.
    #[error("expected JSON with a list of credentials, each with principal and secret")]
    Json,
    /// The JSON form of one credential is not `{"principal": ..., "secret": ...}`.
    #[error("expected JSON with principal and secret")]
    One,
}

/// A principal and its secret. The debug form keeps the secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Credential {
    /// Who.
    pub principal: String,
    /// Known to the principal and to who asks for it only.
    pub secret: String,
}

impl std::fmt::Debug for Credential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Credential({})", self.principal)
    }
}

impl Credential {
    /// Reads either form: JSON with `principal` and `secret`, or both on a line.
    ///
    /// # Errors
    /// [`CredentialsError`]; it names no secret.
    pub fn parse(text: &str) -> Result<Self, CredentialsError> {
        if !text.trim_start().starts_with('{') {
            let words: Vec<&str> = text.split_whitespace().collect();
            let [principal, secret] = words[..] else { return Err(CredentialsError::Line(1)) };
            return Ok(Self { principal: principal.to_owned(), secret: secret.to_owned() });
        }
        let value = serde_json::from_str(text).map_err(|_| CredentialsError::One)?;
        let wire: mesos::Credential = json::from_json(&value).map_err(|_| CredentialsError::One)?;
        let secret = wire.secret.ok_or(CredentialsError::One)?;
        Ok(Self { principal: wire.principal, secret })
    }
}

/// Secrets by principal. Its debug form names none.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Credentials(BTreeMap<String, String>);

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} credentials", self.0.len())
    }
}

impl Credentials {
    /// Reads either form: JSON, or a principal and a secret on each line.
    ///
    /// # Errors
    /// [`CredentialsError`]; it names no secret.
    pub fn parse(text: &str) -> Result<Self, CredentialsError> {
        if text.trim_start().starts_with('{') {
            return Self::parse_json(text);
        }
        let mut secrets = BTreeMap::new();
        for (at, line) in text.lines().enumerate() {
            let words: Vec<&str> = line.split_whitespace().collect();
            match words.as_slice() {
                [] => {}
                [principal, secret] => {
                    secrets.insert((*principal).to_owned(), (*secret).to_owned());
                }
                _ => return Err(CredentialsError::Line(at + 1)),
            }
        }
        Ok(Self(secrets))
    }

    fn parse_json(text: &str) -> Result<Self, CredentialsError> {
        let value = serde_json::from_str(text).map_err(|_| CredentialsError::Json)?;
        let wire: mesos::Credentials =
            json::from_json(&value).map_err(|_| CredentialsError::Json)?;
        let pair = |c: mesos::Credential| Some((c.principal, c.secret?));
        let pairs: Option<BTreeMap<_, _>> = wire.credentials.into_iter().map(pair).collect();
        pairs.map(Self).ok_or(CredentialsError::Json)
    }

    /// All pairs of principal and secret.
    pub fn pairs(&self) -> impl Iterator<Item = (String, String)> {
        self.0.iter().map(|(principal, secret)| (principal.clone(), secret.clone()))
    }

    /// The secret of a principal.
    pub fn secret(&self, principal: &str) -> Option<&str> {
        self.0.get(principal).map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_of_both_forms_are_read() {
        let json = r#"{"credentials": [{"principal": "p", "secret": "s"}]}"#;
        for text in ["p s\n\n  q   t \n", json] {
            let credentials = Credentials::parse(text).unwrap();
            assert_eq!(credentials.secret("p"), Some("s"));
            assert_eq!(credentials.secret("x"), None);
        }
    }

    #[test]
    fn credentials_malformed_are_refused_without_telling_them() {
        for text in
            ["p", "p s hidden", "{\"credentials\": [{\"principal\": \"hidden\"}]}", "{hidden"]
        {
            let error = Credentials::parse(text).unwrap_err().to_string();
            assert!(!error.contains("hidden"), "{error}");
        }
    }

    #[test]
    fn credential_of_either_form_is_read_and_never_shown() {
        for text in ["p s\n", r#"{"principal": "p", "secret": "s"}"#] {
            let credential = Credential::parse(text).unwrap();
            assert_eq!((&*credential.principal, &*credential.secret), ("p", "s"));
            assert_eq!(format!("{credential:?}"), "Credential(p)");
        }
        for bad in ["", "p", "p s hidden", "{hidden", r#"{"principal": "hidden"}"#] {
            let error = Credential::parse(bad).unwrap_err().to_string();
            assert!(!error.contains("hidden"), "{error}");
        }
    }
}
