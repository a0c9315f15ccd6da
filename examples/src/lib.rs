//! Small real actors and a small real framework.
//!
//! # Purpose
//! Code to start from. Each binary is a whole program, small enough to be read at once.
//!
//! # Non-goals
//! No library: nothing here is meant to be depended on.
//!
//! # Map
//! - `hello-actor`: an actor with a message, an endpoint and a timer, in 30 lines
//! - `ping-pong`: round trips between two OS processes
//! - `test-framework`: a scheduler that launches tasks and waits for their end
//! - `test-executor`: the executor that runs them
//!
//! # Example
//! ```text
//! test-framework 127.0.0.1:5050 /path/to/test-executor 5
//! ```
