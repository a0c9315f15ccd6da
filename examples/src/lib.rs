//! Small real actors, a small real framework, an allocator of a different kind.
//!
//! # Purpose
//! Code to start from. Each binary is a whole program, small enough to be read at once.
//!
//! # Non-goals
//! No library: nothing here is meant to be depended on by what is shipped.
//!
//! # Map
//! - `hello-actor`: an actor with a message, an endpoint and a timer
//! - `test-framework`: a scheduler that launches tasks and waits for their end
//! - `test-executor`: the executor that runs them
//! - [`priority`]: an allocator by strict priority with back-filling
//! - [`study`], `allocator-study`: replays a trace through any allocator
//!
//! # Example
//! ```text
//! test-framework 127.0.0.1:5050 /path/to/test-executor 5
//! ```

pub mod priority;
pub mod study;
