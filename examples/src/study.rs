//! A study bench for allocators: a trace of slaves, frameworks and jobs is replayed in virtual time
//! through any allocator; what came of it is told as CSV and drawn as SVG.
//!
//! `docs/allocator-study.md` has the formats.

pub mod convert;
pub mod plot;
pub mod replay;
pub mod report;
pub mod trace;

pub use replay::{Outcome, Study, replay};
pub use trace::Trace;
