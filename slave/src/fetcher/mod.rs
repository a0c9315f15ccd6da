//! Brings what a command needs into its sandbox.
//!
//! The actor starts the helper `mesos-fetcher` as the task's user for each container; the helper
//! does the transfers. The cache is not used yet: every fetch goes to its source.

mod actor;
mod archive;
mod download;
mod helper;

pub use actor::{FetchError, FetchRequest, Fetcher};
pub use archive::ArchiveError;
pub use helper::{FetchItemError, fetch, main};
