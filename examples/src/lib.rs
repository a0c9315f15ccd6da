//! Small real actors, a small real framework, an allocator of a different kind.
//!
//! # Purpose
//! Code to start from, and to teach with. Each example is read at once: few files have more than 200 lines.
//!
//! # Non-goals
//! No library: nothing here is meant to be depended on. The actors of the larger examples stand here
//! rather than in their programs so that tests can put the same ones into a simulated cluster.
//!
//! # Map
//! - `hello-actor`: an actor with a message, an endpoint and a timer, in 30 lines
//! - `ping-pong`: round trips between two OS processes
//! - `chat`, [`chat`]: links, and what becomes of who is linked
//! - `heartbeat`, [`heartbeat`]: a failure detector, what it promises and what it cannot
//! - `raft-register`, `raft-sim`, [`raft`]: a register replicated by Raft, over sockets and in
//!   simulated storms; a judge of what its clients saw; bugs to plant and find
//! - `test-framework`: a scheduler that launches tasks and waits for their end
//! - `test-executor`: the executor that runs them
//! - [`priority`]: an allocator by strict priority with back-filling
//! - [`study`], `allocator-study`: replays a trace through any allocator
//!
//! # Example
//! ```text
//! test-framework 127.0.0.1:5050 /path/to/test-executor 5
//! ```

/// Gives messages their full protobuf names, `<package>.<type>`, which the wire carries.
macro_rules! named {
    ($package:literal: $($message:ident),+) => {
        $(impl prost::Name for $message {
            const PACKAGE: &'static str = $package;
            const NAME: &'static str = stringify!($message);
        })+
    };
}
pub(crate) use named;

pub mod chat;
pub mod heartbeat;
pub mod priority;
pub mod raft;
pub mod study;
