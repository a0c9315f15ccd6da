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
//! - [`setup`]: what isolators are told; [`launch`]: what they ask a launcher to do inside
//! - [`options`]: the slave's flags that concern isolators
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
pub mod launch;
pub mod options;
pub mod posix_cpu;
pub mod posix_mem;
pub mod select;
pub mod setup;
pub mod tree;

use std::sync::Arc;

use futures::future::BoxFuture;
use libprocess::Node;
use prost::Message;
use protos::ids::ContainerId;
use protos::mesos::{ContainerStatus, ResourceStatistics};

use front::IsolatorProcess;
pub use launch::{LaunchInfo, Limitation};
pub use options::Options;
use posix_cpu::PosixCpu;
use posix_mem::PosixMem;
use select::SelectError;
pub use setup::{Allocation, ContainerSetup, Limits, Recovered};

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
/// order prepare, isolate, watch, any number of update and usage, cleanup.
pub trait Isolator: Send + Sync {
    /// The name in the flag `isolation`.
    fn name(&self) -> &'static str;
    /// Takes over containers that an earlier slave started; comes once, before anything else, also
    /// when there are none. What is left of other containers is destroyed. Answers for which
    /// containers this failed.
    fn recover(&self, containers: Vec<Recovered>) -> BoxFuture<'static, Vec<IsolatorError>>;
    /// A container is going to be started. Answers what is to be done inside of it.
    fn prepare(
        &self,
        container: &ContainerId,
        setup: Arc<ContainerSetup>,
    ) -> IsolatorFuture<LaunchInfo>;
    /// Its first process is there, and held back before it runs anything.
    fn isolate(&self, container: &ContainerId, pid: u32) -> IsolatorFuture<()>;
    /// Ready with why the container must be destroyed, when it exceeds a limit; with None when that
    /// will not happen (any more).
    fn watch(&self, container: &ContainerId) -> BoxFuture<'static, Option<Limitation>>;
    /// It may use something else from now on.
    fn update(&self, container: &ContainerId, allocation: Allocation) -> IsolatorFuture<()>;
    /// What it uses; only the fields that this isolator knows. See [`merge_statistics`].
    fn usage(&self, container: &ContainerId) -> IsolatorFuture<ResourceStatistics>;
    /// Its addresses and cgroups; only the fields that this isolator knows. See [`merge_status`].
    fn status(&self, container: &ContainerId) -> IsolatorFuture<ContainerStatus>;
    /// It is gone; a container that is not known is no error. Comes in reverse order of isolators.
    fn cleanup(&self, container: &ContainerId) -> IsolatorFuture<()>;
}

/// Adds the fields that one isolator measured.
pub fn merge_statistics(into: &mut ResourceStatistics, part: &ResourceStatistics) {
    // Merging is what decoding over a message does; what was encoded here cannot fail to decode.
    let _ = into.merge(part.encode_to_vec().as_slice());
}

/// Adds the fields that one isolator knows.
pub fn merge_status(into: &mut ContainerStatus, part: &ContainerStatus) {
    let _ = into.merge(part.encode_to_vec().as_slice());
}

/// Starts the isolators that options name, on a node, in the order in which they run.
///
/// # Errors
/// As [`select::select`].
pub fn start(node: &Node, options: &Options) -> Result<Vec<Arc<dyn Isolator>>, SelectError> {
    let names = select::select(&options.isolation)?;
    let isolators = names.into_iter().map(|name| match name {
        PosixCpu::NAME => front::start(node, PosixCpu::default()),
        _ => front::start(node, PosixMem::default()),
    });
    Ok(isolators.collect())
}
