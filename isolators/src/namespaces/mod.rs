//! What containers do not see of each other.

pub mod ipc;
pub mod pid;
