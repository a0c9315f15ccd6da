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
//! - [`limits`]: what tasks' limits add up to; [`limitation`]: how a limit ends a container
//! - [`options`]: what isolators are told once; [`flags`]: the slave's flags that say it
//! - [`posix_cpu`], [`posix_mem`], [`disk_du`]: measure a container; [`posix_rlimits`] limits it
//! - [`cgroups`]: control groups, versions 1 and 2, and what isolates by them
//! - [`filesystem`], [`volume`]: what files it sees; [`namespaces`], [`mod@linux`]: what else it sees
//!   and may do; [`environment_secret`], [`secret`]: what it alone knows
//! - [`images`]: where roots come from; [`docker`]: what images want
//! - [`network`]: where it listens, and its own networks
//! - [`preparer`]: hosts isolators that only decide at the start
//! - [`tree`]: which processes belong to a container; [`marks`]: by what they are known again
//! - [`select`]: names of the flag `isolation`; [`start`](mod@start): starts what they name
//!
//! # Example
//! An isolator of one's own is an actor; under a name in [`Options::modules`], the flag `isolation`
//! may name it.
//! ```
//! use std::sync::Arc;
//!
//! use isolators::front::{self, IsolatorProcess, Later, now};
//! use isolators::{ContainerSetup, LaunchInfo, Options, Recovered};
//! use libprocess::{Ctx, Process, Routes};
//! use protos::ids::ContainerId;
//!
//! /// Tells containers which of them they are.
//! #[derive(Default)]
//! struct Counter(u64);
//!
//! impl Process for Counter {
//!     fn routes(_: &mut Routes<Self>) {}
//! }
//!
//! impl IsolatorProcess for Counter {
//!     const NAME: &'static str = "counter";
//!
//!     fn recover(&mut self, _: &Recovered, _: &mut Ctx<Self>) -> Result<(), String> {
//!         self.0 += 1;
//!         Ok(())
//!     }
//!
//!     fn prepare(
//!         &mut self,
//!         _: &ContainerId,
//!         _: &Arc<ContainerSetup>,
//!         _: &mut Ctx<Self>,
//!     ) -> Later<LaunchInfo> {
//!         self.0 += 1;
//!         let mut info = LaunchInfo::default();
//!         info.environment.get_or_insert_default().variables.push(
//!             protos::mesos::environment::Variable {
//!                 name: "NTH".to_owned(),
//!                 value: Some(self.0.to_string()),
//!                 ..Default::default()
//!             },
//!         );
//!         now(Ok(info))
//!     }
//!
//!     fn cleanup(&mut self, _: &ContainerId, _: &mut Ctx<Self>) -> Later<()> {
//!         now(Ok(()))
//!     }
//! }
//!
//! let mut options = Options::new("counter,posix/cpu");
//! let factory = |node: &libprocess::Node, _: &Options| Ok(front::start(node, Counter::default()));
//! options.modules.0.insert("counter".to_owned(), Arc::new(factory));
//!
//! let mut world = libprocess::sim::World::new(1);
//! let node = world.node("10.0.0.1:5051".parse().unwrap(), libprocess::NodeConfig::default());
//! let started = isolators::start(&node, &options).unwrap();
//! let names: Vec<_> = started.iter().map(|isolator| isolator.name()).collect();
//! assert!(names.contains(&"posix/cpu"));
//! assert_eq!(names.last(), Some(&"counter"));
//! ```

pub mod cgroups;
pub mod disk_du;
pub mod docker;
pub mod environment_secret;
pub mod filesystem;
pub mod flags;
pub mod front;
pub mod images;
pub mod launch;
pub mod limitation;
pub mod limits;
pub mod linux;
pub mod marks;
pub mod namespaces;
pub mod network;
pub mod options;
pub mod posix_cpu;
pub mod posix_mem;
pub mod posix_rlimits;
pub mod preparer;
pub mod secret;
pub mod select;
pub mod setup;
pub mod start;
pub mod tree;
pub mod volume;

use std::sync::Arc;

use futures::future::BoxFuture;
use prost::Message;
use protos::ids::ContainerId;
use protos::mesos::{ContainerStatus, ResourceStatistics};

pub use flags::Flags;
pub use launch::{LaunchInfo, Limitation};
pub use options::Options;
pub use setup::{Allocation, ContainerSetup, Limits, Recovered};
pub use start::start;

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
