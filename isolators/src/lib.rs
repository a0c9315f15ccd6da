//! What keeps containers apart and measures them: one actor for each isolator.
//!
//! # Purpose
//! A containerizer walks its isolators: each prepares, isolates, measures and cleans up containers
//! in its own way, in a process of its own. A new isolator is one file behind [`Isolator`].
//!
//! # Non-goals
//! Isolators know no slave, task or framework; they start and stop nothing themselves.
//!
//! # Map
//! - [`Isolator`]: the contract; [`front`]: answers it with an actor
//! - [`posix_cpu`], [`posix_mem`]: measure the container's processes
//! - [`tree`]: which processes belong to a container
//! - [`select`]: names of the flag `isolation`
//!
//! # Example
//! ```
//! use isolators::select::select;
//! let names: Vec<_> = select("process").unwrap();
//! assert_eq!(names, ["posix/cpu", "posix/mem"]);
//! assert!(select("posix/nonsense").is_err());
//! ```

pub mod front;
pub mod posix_cpu;
pub mod posix_mem;
pub mod select;
pub mod tree;

use std::sync::Arc;

use futures::future::BoxFuture;
use libprocess::Node;
use protos::ids::ContainerId;
use protos::mesos::ResourceStatistics;
use protos::resources::Resources;

use front::IsolatorProcess;
use posix_cpu::PosixCpu;
use posix_mem::PosixMem;

/// An isolator failed on a container.
#[derive(Debug, Clone, thiserror::Error)]
#[error("isolator {isolator} cannot {operation} container {container}: {reason}")]
pub struct IsolatorError {
    /// The isolator's name, such as `posix/cpu`.
    pub isolator: &'static str,
    /// What was tried.
    pub operation: &'static str,
    /// On which container.
    pub container: ContainerId,
    /// Why it failed.
    pub reason: String,
}

/// An operation under way.
pub type IsolatorFuture<T> = BoxFuture<'static, Result<T, IsolatorError>>;

/// The contract between a containerizer and one isolator. For each container the calls come in the
/// order prepare, isolate, any number of update and usage, cleanup.
pub trait Isolator: Send + Sync {
    /// The name in the flag `isolation`.
    fn name(&self) -> &'static str;
    /// A container is going to be started with these resources.
    fn prepare(&self, container: &ContainerId, resources: Resources) -> IsolatorFuture<()>;
    /// Its first process is there.
    fn isolate(&self, container: &ContainerId, pid: u32) -> IsolatorFuture<()>;
    /// It has other resources from now on.
    fn update(&self, container: &ContainerId, resources: Resources) -> IsolatorFuture<()>;
    /// What it uses; only the fields that this isolator knows.
    fn usage(&self, container: &ContainerId) -> IsolatorFuture<ResourceStatistics>;
    /// It is gone; a container that is not known is no error.
    fn cleanup(&self, container: &ContainerId) -> IsolatorFuture<()>;
}

/// Starts the isolators of the flag `isolation` on a node.
///
/// # Errors
/// As [`select::select`].
pub fn start(node: &Node, isolation: &str) -> Result<Vec<Arc<dyn Isolator>>, select::SelectError> {
    let names = select::select(isolation)?;
    let isolators = names.into_iter().map(|name| match name {
        PosixCpu::NAME => front::start(node, PosixCpu::default()),
        _ => front::start(node, PosixMem::default()),
    });
    Ok(isolators.collect())
}
