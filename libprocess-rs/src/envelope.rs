//! What travels between processes.

use bytes::Bytes;

use crate::{MessageName, Pid};

/// One message in transit: sender, receiver, full protobuf type name and encoded body.
#[derive(Clone, PartialEq, Eq)]
pub struct Envelope {
    /// The sender; empty when the peer gave none that could be read.
    pub from: Pid,
    /// The receiver.
    pub to: Pid,
    /// The message's full protobuf name, such as `acme.Ping`. May be empty.
    pub name: MessageName,
    /// The serialised message.
    pub body: Bytes,
}

impl std::fmt::Debug for Envelope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} -> {} {} ({} bytes)", self.from, self.to, self.name, self.body.len())
    }
}

/// A message in its receiver's queue: whose queue it is need not be said again.
pub(crate) struct Letter {
    pub(crate) from: Pid,
    pub(crate) name: MessageName,
    pub(crate) body: Bytes,
}

impl Letter {
    /// The whole message, for handlers that take it undecoded.
    pub(crate) fn to(self, to: &Pid) -> Envelope {
        let Self { from, name, body } = self;
        Envelope { from, to: to.clone(), name, body }
    }
}

impl From<Envelope> for Letter {
    fn from(envelope: Envelope) -> Self {
        let Envelope { from, name, body, .. } = envelope;
        Self { from, name, body }
    }
}
