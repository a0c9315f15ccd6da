//! Wire messages, ids, resource and attribute algebra, durations and bytes.
//!
//! # Purpose
//! What every other crate needs to speak of: the protobuf messages of the v0 protocol under their
//! real names and numbers, and the small values that travel inside them.
//!
//! # Non-goals
//! No IO, no clock, no actors: this crate only computes.
//!
//! # Map
//! - [`mesos`]: generated messages, one module for each protobuf package
//! - [`ids`]: typed identifiers
//! - [`resources`]: what a host has and a task needs, with its arithmetic
//! - [`attributes`], [`duration`], [`size`]: texts of flags and documents
//! - [`required`]: refuses messages whose required fields are absent
//! - [`json`]: protobuf to JSON and back; [`documents`]: shapes that endpoints share
//! - [`cram_md5`], [`credentials`]: what proves who somebody is
//! - [`forge`]: messages made of arbitrary bytes, for tests
//! - [`task_state`], [`status`]: rules and builders for task states and statuses
//!
//! # Example
//! ```
//! use protos::resources::Resources;
//! let total: Resources = "cpus:4;mem:8192;ports:[31000-32000]".parse().unwrap();
//! let used: Resources = "cpus:0.5;mem:128".parse().unwrap();
//! let free = total.checked_sub(&used).unwrap();
//! assert_eq!(free.to_string(), "cpus:3.5;mem:8064;ports:[31000-32000]");
//! ```

#[allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic, rustdoc::all)]
mod generated {
    include!(concat!(env!("OUT_DIR"), "/modules.rs"));
}

pub use generated::{appc, docker, mesos};

pub mod attributes;
pub mod cram_md5;
pub mod credentials;
pub mod documents;
pub mod duration;
pub mod forge;
pub mod ids;
pub mod json;
pub mod required;
pub mod resources;
pub mod size;
pub mod status;
pub mod task_state;

/// The compiled schema, for reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
