//! Actors with PIDs that speak protobuf over HTTP.
//!
//! # Purpose
//! A process (actor) has a name on a node and an inbox. Messages are protobufs that travel as
//! `POST /<id>/<full name>` and are answered `202 Accepted` before they are handled. The same
//! processes run over sockets and threads ([`real`]) or in a deterministic simulator ([`sim`]).
//!
//! # Non-goals
//! No request/response on the wire, no delivery guarantees beyond "at most once, in order on one
//! connection", no supervision trees, no registry across nodes: protocols above bring their own.
//!
//! # Map
//! - [`Process`], [`Routes`], [`Ctx`]: what an actor is, serves and may do
//! - [`Pid`], [`Envelope`], [`Handle`]: names, messages, typed local calls
//! - [`Node`]: a runtime as a value
//! - [`http`]: requests and responses as processes see them
//! - [`disk`], [`subprocess`]: the operating system behind a seam
//! - [`real`], [`sim`]: the two drivers
//! - [`flags`]: command-line flags and their environment variables
//! - [`metrics`]: counters, gauges, timers
//! - [`toolbox`]: locks, queues, sequences, rate limits, loops for asynchronous work
//! - [`authentication`], [`Authorize`]: who may ask
//! - [`recordio`]: records in streams
//! - [`logging`]: how much is logged
//! - [`files`]: a process that serves files under virtual paths
//!
//! # Example
//! ```
//! use libprocess::{Ctx, Help, Process, Routes, http::{Request, Response}};
//!
//! struct Greeter { greeted: u64 }
//!
//! impl Process for Greeter {
//!     fn routes(routes: &mut Routes<Self>) {
//!         routes.get("/hello", Help::new("Greets", ""), Self::hello);
//!     }
//! }
//!
//! impl Greeter {
//!     fn hello(&mut self, _request: Request, _cx: &mut Ctx<Self>) -> Response {
//!         self.greeted += 1;
//!         Response::ok("text/plain", format!("hello number {}", self.greeted))
//!     }
//! }
//! ```

pub mod authentication;
mod builtin;
mod ctx;
pub mod disk;
mod driver;
mod duration;
mod envelope;
pub mod files;
pub mod flags;
mod gate;
mod handle;
pub mod http;
mod inbox;
pub mod logging;
pub mod metrics;
mod name;
mod node;
mod pid;
mod process;
pub mod real;
pub mod recordio;
mod routes;
mod runner;
pub mod sim;
pub mod subprocess;
mod table;
mod time;
pub mod toolbox;

pub use ctx::{Ctx, Timer};
pub use driver::LinkMode;
pub use envelope::Envelope;
pub use gate::Authorize;
pub use handle::{Gone, Handle};
pub use name::MessageName;
pub use node::{Node, NodeConfig, SchemaCheck, Seen, SpawnError};
pub use pid::{Pid, PidError};
pub use process::Process;
pub use routes::{Help, Routes, message_names};
pub use time::Time;

pub use slog;
pub use uuid::Uuid;

/// The guide's programs are compiled with the documentation's tests.
#[cfg(doctest)]
#[doc = include_str!("../../docs/libprocess.md")]
struct Guide;
