//! Bounds on what peers can make a node hold.

use tokio::net::TcpStream;

/// What a node takes from, and keeps for, its peers. All have defaults that serve clusters of tens
/// of thousands of nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Connections that are served at once; further ones are closed at once.
    pub connections: usize,
    /// The longest head of a request, in bytes. A longer one closes its connection.
    pub head_bytes: usize,
    /// The longest body of a request, in bytes, also when decompressed. A longer one closes its
    /// connection.
    pub body_bytes: usize,
    /// Events that wait for one process before connections that bring more messages for it are
    /// read no further. What local processes send is not held up.
    pub waiting_events: usize,
    /// Bytes that wait for one peer; messages beyond are dropped.
    pub queued_bytes_per_peer: usize,
    /// Bytes that wait for all peers together; beyond, messages are dropped to peers that have more
    /// than [`Limits::queued_bytes_reserved`] waiting and have taken nothing for a second.
    pub queued_bytes: usize,
    /// Bytes that may wait for any peer, whatever waits for others.
    pub queued_bytes_reserved: usize,
    /// Connections end with a reset when they are closed. Otherwise the kernel keeps the port of each
    /// for a minute: where processes come and go in hundreds a second, it runs out of ports, and takes
    /// longer and longer to find one. What was sent and not delivered when a connection is closed is
    /// lost: for processes that end when their peer has confirmed all that they had to say.
    pub reset_on_close: bool,
}

impl Limits {
    /// Sets up a connection that was just opened.
    pub(crate) fn prepare(&self, stream: &TcpStream) -> std::io::Result<()> {
        stream.set_nodelay(true)?;
        if self.reset_on_close { stream.set_zero_linger() } else { Ok(()) }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 100_000,
            head_bytes: 64 << 10,
            body_bytes: 128 << 20,
            waiting_events: 1 << 16,
            queued_bytes_per_peer: 256 << 20,
            queued_bytes: 512 << 20,
            queued_bytes_reserved: 64 << 10,
            reset_on_close: false,
        }
    }
}
