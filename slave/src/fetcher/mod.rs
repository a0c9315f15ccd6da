//! Brings what a command needs into its sandbox.
//!
//! The actor starts the helper `mesos-fetcher` as the task's user for each container; the helper
//! does the transfers. What may be cached is downloaded once for all who want it.

mod actor;
mod archive;
mod budget;
pub mod cache;
mod curl;
mod download;
mod hadoop;
mod helper;
pub(crate) mod ours;
mod room;

pub use actor::{FetchError, FetchRequest, Fetcher, FetcherOptions};
pub use archive::ArchiveError;
pub(crate) use budget::{Budget, too_large};
pub(crate) use curl::Transfer;
pub use helper::{FetchItemError, fetch, main};
pub use ours::NotOursError;
pub use room::prepare;
