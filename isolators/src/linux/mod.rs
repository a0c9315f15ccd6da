//! What a container's processes may do.

pub mod answer;
pub mod capabilities;
pub mod devices;
pub mod filter;
pub mod nnp;
pub mod seccomp;
pub mod syscalls;
