//! What travels between processes.

use bytes::Bytes;

use crate::Pid;

/// One message in transit: sender, receiver, full protobuf type name and encoded body.
#[derive(Clone, PartialEq, Eq)]
pub struct Envelope {
    /// The sender; empty when the peer gave none that could be read.
    pub from: Pid,
    /// The receiver.
    pub to: Pid,
    /// The message's full protobuf name, such as `acme.Ping`. May be empty.
    pub name: String,
    /// The serialised message.
    pub body: Bytes,
}

impl std::fmt::Debug for Envelope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} -> {} {} ({} bytes)", self.from, self.to, self.name, self.body.len())
    }
}
