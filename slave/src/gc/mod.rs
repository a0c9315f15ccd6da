//! Sandboxes and checkpoints of what is over are removed when they are old, or sooner when the disk
//! fills: nothing that is older than `gc_delay × max(0, 1 − gc_disk_headroom − usage)` is kept.

mod actor;
mod leftovers;
mod schedule;

pub use actor::{GarbageCollector, Limits};
pub(crate) use leftovers::leftovers;
pub use schedule::{Schedule, max_age};
