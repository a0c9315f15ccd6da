//! Volumes of containers.

pub mod host_path;
pub mod image;
pub mod persistent;
pub mod sandbox_path;
pub mod secret;
pub mod target;
