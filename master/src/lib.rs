//! The master: offers a cluster's resources to frameworks and keeps track of what runs where.
//!
//! # Purpose
//! Slaves register and report, frameworks subscribe and accept offers, operators ask. Every
//! message is decided by a pure function from state to effects; the actor carries the effects out.
//!
//! # Non-goals
//! It runs no tasks and imports nothing of slaves. Who is offered what is the allocator's business.
//!
//! # Map
//! - [`start`], [`Master`]: the actor, its route table, the shell that carries effects out
//! - `state`: frameworks, slaves, offers, tasks: parts with invariants of their own
//! - `calls`: what frameworks ask for, one call a file
//! - `slaves`: slaves' life
//! - `validation`: what is accepted from others; `operations`: what becomes of resources
//! - [`effects`]: decisions as data
//! - [`registrar`], [`observer`]: actors of their own
//! - `http`: operators' endpoints
//! - [`security`]: authentication and authorisation
//! - [`flags`], [`Config`]: how a master is told what to do
//!
//! # Example
//! ```
//! use libprocess::sim::World;
//! let mut world = World::new(1);
//! let node = world.node("10.0.0.1:5050".parse().unwrap(), libprocess::NodeConfig::default());
//! let master = master::start(&node, master::Config::default()).unwrap();
//! assert_eq!(master.pid().to_string(), "master@10.0.0.1:5050");
//! ```

mod actor;
#[cfg(test)]
mod books;
mod calls;
mod config;
mod coordinate;
pub mod effects;
pub mod flags;
mod http;
mod metrics;
pub mod observer;
mod operations;
pub mod registrar;
mod run;
pub mod security;
mod slaves;
mod state;
#[cfg(test)]
mod testing;
mod validation;

pub use actor::{Master, start};
pub use config::{Config, Election, Fatal, RateLimit, RateLimits, VERSION, Whitelist};
pub use run::{node_config, run};
