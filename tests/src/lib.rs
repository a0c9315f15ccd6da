//! Simulated clusters, multi-process clusters, foreign clients.
//!
//! # Purpose
//! What the tests of whole clusters share: actors that play users, stand-ins for programs, and
//! checkers that know the protocol's promises but none of the code that keeps them.
//!
//! # Non-goals
//! Nothing here is linked into what is shipped; parts with tests of their own stay in their crates.
//!
//! # Map
//! - [`sim`]: clusters in virtual time
//! - [`ha`]: several real masters over a real ZooKeeper, and what befalls them
//! - [`cluster`]: clusters of real processes on free ports; [`get`]: their endpoints

pub mod cluster;
pub mod get;
pub mod ha;
pub mod sim;
