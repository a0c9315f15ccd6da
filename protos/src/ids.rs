//! Typed identifiers. Each wraps the text of its wire message and is cheap to clone.

use std::fmt;
use std::sync::Arc;

use crate::mesos;

/// An identifier's text breaks the rules.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("id '{id}' {problem}")]
pub struct IdError {
    /// The text.
    pub id: String,
    /// What is wrong with it.
    pub problem: &'static str,
}

/// The rules for framework, slave, executor and task ids: 1 to 255 bytes, neither `.` nor `..`, no
/// control characters, no slash or backslash, as they become path components.
///
/// # Errors
/// [`IdError`] with the first rule broken.
pub fn validate(id: &str) -> Result<(), IdError> {
    let problem = match id {
        "" => "is empty",
        "." | ".." => "is a relative path",
        _ if id.len() > 255 => "is longer than 255 bytes",
        _ if id.chars().any(char::is_control) => "has a control character",
        _ if id.contains(['/', '\\']) => "has a slash or backslash",
        _ => return Ok(()),
    };
    Err(IdError { id: id.to_owned(), problem })
}

/// The rules for container ids: 1 to 242 bytes, besides those of other ids neither dot nor blank, as
/// nested ones are joined by dots.
///
/// # Errors
/// [`IdError`] with the first rule broken.
pub fn validate_container(id: &str) -> Result<(), IdError> {
    validate(id)?;
    let problem = match id {
        _ if id.len() > 242 => "is longer than 242 bytes",
        _ if id.contains('.') => "has a dot",
        _ if id.contains(char::is_whitespace) => "has a blank",
        _ => return Ok(()),
    };
    Err(IdError { id: id.to_owned(), problem })
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// An id of the given text.
            pub fn new(text: impl Into<Arc<str>>) -> Self {
                Self(text.into())
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// The wire form.
            #[allow(clippy::needless_update, reason = "container ids have a parent")]
            pub fn wire(&self) -> mesos::$name {
                mesos::$name { value: self.0.to_string(), ..Default::default() }
            }
        }

        impl From<&mesos::$name> for $name {
            fn from(id: &mesos::$name) -> Self {
                Self::new(id.value.as_str())
            }
        }

        impl From<mesos::$name> for $name {
            fn from(id: mesos::$name) -> Self {
                Self::new(id.value)
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self::new(text)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.0)
            }
        }

    };
}

id!(
    /// A framework: `<master id>-NNNN`.
    FrameworkId
);
id!(
    /// A slave: `<master id>-S<n>`.
    SlaveId
);
id!(
    /// An executor, chosen by its framework; unique within the framework and slave.
    ExecutorId
);
id!(
    /// A task, chosen by its framework; unique among the framework's active tasks.
    TaskId
);
id!(
    /// An offer: `<master id>-O<n>`.
    OfferId
);
id!(
    /// A container: a random UUID. Nested containers' parents are left out.
    ContainerId
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn container_ids_have_stricter_rules() {
        assert_eq!(validate_container("b2f1-4"), Ok(()));
        let long = "x".repeat(243);
        for bad in ["", "a.b", "a b", "a/b", &long] {
            assert!(validate_container(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn id_rules_are_told_apart() {
        for good in ["a", "task-1", "a.b", "x y"] {
            assert_eq!(validate(good), Ok(()), "{good}");
        }
        let long = "x".repeat(256);
        for bad in ["", ".", "..", "a/b", "a\\b", "a\nb", &long] {
            assert!(validate(bad).is_err(), "{bad}");
        }
    }
}
