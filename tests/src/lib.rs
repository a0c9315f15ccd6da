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
//! - [`cluster`]: clusters of real processes on free ports; [`get`]: their endpoints; [`go`]: foreign
//!   programs; [`recorder`]: a framework that keeps book
//! - [`dockerd`]: a docker daemon; [`images`]: images, and a registry of them
//! - [`ha`]: several real masters over a real ZooKeeper, and what befalls them

pub mod cluster;
pub mod dockerd;
pub mod get;
pub mod go;
pub mod ha;
pub mod images;
pub mod recorder;
pub mod sim;
