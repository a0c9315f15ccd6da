//! What a framework links: the scheduler driver and the executor driver.
//!
//! # Purpose
//! A framework is a scheduler, which takes offers and launches tasks, and executors, which run them.
//! The drivers keep its side of the protocol: they find the master, subscribe and subscribe again,
//! tell true senders from false ones, acknowledge and repeat, and call plain methods.
//!
//! # Non-goals
//! No scheduling policy; no HTTP API.
//!
//! # Map
//! - [`scheduler`]: [`scheduler::Scheduler`], [`scheduler::SchedulerDriver`]
//! - [`executor`]: [`executor::Executor`], [`executor::ExecutorDriver`]
//!
//! # Example
//! ```no_run
//! use std::sync::Arc;
//! use coordination::{Leader, StandaloneDetector};
//! use drivers::scheduler::{Config, Scheduler, SchedulerDriver};
//! use protos::mesos::{FrameworkInfo, Offer};
//!
//! struct Decliner;
//!
//! impl Scheduler for Decliner {
//!     fn resource_offers(&mut self, driver: &SchedulerDriver, offers: Vec<Offer>) {
//!         for offer in offers {
//!             println!("{} offers {:?}", offer.hostname, offer.resources);
//!             driver.decline_offer(offer.id.into(), None);
//!         }
//!     }
//! }
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let node = libprocess::real::start(libprocess::real::Config::default()).await?;
//! let framework = FrameworkInfo { user: "me".into(), name: "decliner".into(), ..Default::default() };
//! let master = Leader::of("master@127.0.0.1:5050".parse()?);
//! let detector = Arc::new(StandaloneDetector::new(Some(master)));
//! let driver = SchedulerDriver::start(&node, Config::new(framework, detector), Decliner)?;
//! driver.join().await;
//! # Ok(())
//! # }
//! ```

pub mod executor;
pub mod scheduler;
