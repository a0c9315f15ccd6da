//! Names of messages: full protobuf names, cheap to clone and to compare.

use std::any::TypeId;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};

use prost::Name;

/// The full protobuf name of a message, such as `acme.Ping`. May be empty.
///
/// Names of message types are made once for each type; names from the wire are shared by all
/// messages of a connection that carry them.
#[derive(Clone)]
pub struct MessageName(Repr);

#[derive(Clone)]
enum Repr {
    Fixed(&'static str),
    Shared(Arc<str>),
}

impl MessageName {
    /// A name that is known at compile time.
    pub const fn fixed(name: &'static str) -> Self {
        Self(Repr::Fixed(name))
    }

    /// The name of a message type.
    pub fn of<M: Name + 'static>() -> Self {
        Self(Repr::Fixed(type_name::<M>()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Repr::Fixed(name) => name,
            Repr::Shared(name) => name,
        }
    }

    /// True when both are the same text in the same place; names that differ there may be equal.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        std::ptr::eq(self.as_str(), other.as_str())
    }
}

/// Slots of a thread's cache; types whose ids fall into one slot take turns.
const SLOTS: usize = 64;

type Known = RefCell<[Option<(TypeId, &'static str)>; SLOTS]>;

thread_local! {
    static KNOWN: Known = const { RefCell::new([None; SLOTS]) };
}

/// Protobuf joins package and name anew at each call: too slow for each message.
fn type_name<M: Name + 'static>() -> &'static str {
    let id = TypeId::of::<M>();
    // The address of a type's name is as good as a hash.
    let slot = (M::NAME.as_ptr() as usize >> 3) % SLOTS;
    KNOWN.with_borrow_mut(|known| match known[slot] {
        Some((cached, name)) if cached == id => name,
        _ => {
            let name = intern::<M>(id);
            known[slot] = Some((id, name));
            name
        }
    })
}

/// Each type's name is kept for the life of the OS process, as the type itself is.
fn intern<M: Name>(id: TypeId) -> &'static str {
    static NAMES: Mutex<BTreeMap<TypeId, &'static str>> = Mutex::new(BTreeMap::new());
    let mut names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
    names.entry(id).or_insert_with(|| Box::leak(M::full_name().into_boxed_str()))
}

impl Default for MessageName {
    fn default() -> Self {
        Self::fixed("")
    }
}

impl Deref for MessageName {
    type Target = str;
    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl AsRef<str> for MessageName {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl From<&str> for MessageName {
    fn from(name: &str) -> Self {
        Self(Repr::Shared(name.into()))
    }
}

impl From<String> for MessageName {
    fn from(name: String) -> Self {
        Self(Repr::Shared(name.into()))
    }
}

impl From<&String> for MessageName {
    fn from(name: &String) -> Self {
        Self(Repr::Shared(name.as_str().into()))
    }
}

impl From<MessageName> for String {
    fn from(name: MessageName) -> Self {
        name.as_str().to_owned()
    }
}

impl PartialEq for MessageName {
    fn eq(&self, other: &Self) -> bool {
        self.is_same(other) || self.as_str() == other.as_str()
    }
}

impl Eq for MessageName {}

impl PartialEq<str> for MessageName {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

impl PartialEq<&str> for MessageName {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}

impl PartialEq<String> for MessageName {
    fn eq(&self, other: &String) -> bool {
        self.as_str() == other
    }
}

impl PartialEq<MessageName> for String {
    fn eq(&self, other: &MessageName) -> bool {
        self == other.as_str()
    }
}

impl std::hash::Hash for MessageName {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl fmt::Display for MessageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self)
    }
}

impl fmt::Debug for MessageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl slog::Value for MessageName {
    fn serialize(
        &self,
        _: &slog::Record<'_>,
        key: slog::Key,
        serializer: &mut dyn slog::Serializer,
    ) -> slog::Result {
        serializer.emit_str(key, self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_of_a_type_is_made_once_and_equals_its_text() {
        let (first, second) = (MessageName::of::<()>(), MessageName::of::<()>());
        assert!(first.is_same(&second));
        assert_eq!(first, "google.protobuf.Empty");
        assert_eq!(first, MessageName::from("google.protobuf.Empty".to_owned()));
    }
}
