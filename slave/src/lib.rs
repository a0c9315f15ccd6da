//! The slave: runs the tasks that frameworks launch on its host.
//!
//! # Purpose
//! It offers the host's resources to the master, starts executors in containers, passes tasks,
//! kills and messages to them, and reports every change of a task until the report is acknowledged.
//!
//! # Non-goals
//! It decides nothing about who gets what, and imports nothing of masters.
//!
//! # Map
//! - [`start`], [`Slave`]: the actor, its route table, the shell that carries effects out
//! - `state`: frameworks and executors; `calls`: what is asked of the slave, one thing a file
//! - `registration`: how it finds and keeps its master
//! - `recovery`: what an earlier run left on disk, and what is made of it
//! - [`status_updates`]: streams of updates, each on disk before it is sent
//! - [`containerizer`], [`logger`], [`fetcher`], [`executor`]: containers, what goes into them, what runs commands
//! - [`provisioner`]: images, and the roots of containers that are made of them
//! - [`checkpoint`], [`paths`]: what is on disk, and where
//! - [`oversubscription`]: what may be offered once more, and who yields for it
//! - [`detection`]: what the host has; [`gc`]: what is over and old goes
//! - [`security`]: who may ask what
//! - [`flags`], [`Config`]: how a slave is told what to do
//!
//! # Example
//! ```
//! let mut flags = slave::Config::default();
//! flags.resources = "cpus:2;mem:512".parse().unwrap();
//! assert_eq!(flags.resources.cpus(), 2.0);
//! ```

mod actor;
mod calls;
pub mod checkpoint;
mod config;
pub mod containerizer;
pub mod detection;
pub mod effects;
mod environment;
pub mod executor;
pub mod fetcher;
pub mod flags;
pub mod gc;
mod http;
pub mod logger;
mod metrics;
pub mod modules;
pub mod oversubscription;
pub mod paths;
pub mod provisioner;
mod recovery;
mod registration;
mod run;
pub mod security;
mod state;
pub mod status_updates;

pub use actor::{Slave, start};
pub use config::{Config, ExitCallback, Helpers, Recover, VERSION};
pub use recovery::ReconfigurationPolicy;
pub use run::{node_config, run, start_with};
