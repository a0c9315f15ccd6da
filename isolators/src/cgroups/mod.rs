//! Control groups of Linux, versions 1 and 2, and the isolators that work through them.
//!
//! [`Hierarchies`] finds the controllers, [`Group`] is one container's cgroup; both work over any
//! root, so that a directory can stand in for the kernel. A [`Controller`] says what is written and
//! read; [`CgroupIsolator`] is the actor that hosts one.

pub mod blkio;
pub mod bpf;
pub mod controller;
pub mod cpu;
pub mod devices;
pub mod group;
pub mod hierarchies;
pub mod host;
pub mod killer;
pub mod mem;
pub mod net_cls;
pub mod oom;
pub mod perf_event;
pub mod plain;

#[cfg(test)]
pub(crate) mod fake;

use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use controller::Controller;
pub use group::Group;
pub use hierarchies::{Hierarchies, Version};
pub use host::CgroupIsolator;

/// An operation on a cgroup failed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CgroupError {
    /// The controller is in no hierarchy.
    #[error("cgroup controller '{0}' is not available on this host")]
    NotMounted(String),
    /// A value could not be written.
    #[error("cannot write '{value}' to {path}: {source}")]
    Write {
        /// The control file.
        path: PathBuf,
        /// What was to be written.
        value: String,
        /// Why not.
        source: Arc<std::io::Error>,
    },
    /// Another operation failed.
    #[error("cannot {operation} {path}: {source}")]
    Io {
        /// What was tried, such as `create`.
        operation: &'static str,
        /// On which file or directory.
        path: PathBuf,
        /// Why not.
        source: Arc<std::io::Error>,
    },
    /// A control file holds something unexpected.
    #[error("{path} holds '{text}', which is not understood")]
    Content {
        /// The control file.
        path: PathBuf,
        /// What it holds.
        text: String,
    },
    /// Something else is wrong.
    #[error("{0}")]
    Other(String),
}

impl CgroupError {
    pub(crate) fn new(operation: &'static str, path: &Path, source: std::io::Error) -> Self {
        Self::Io { operation, path: path.to_owned(), source: Arc::new(source) }
    }
}
