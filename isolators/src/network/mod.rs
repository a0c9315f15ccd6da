//! Networks of containers.

pub mod ports;
pub mod sockets;
