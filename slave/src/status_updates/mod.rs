//! Streams of status updates: each update is on disk before it is sent, and is sent again until its
//! acknowledgement is on disk (invariant I3).

mod actor;
mod stream;

pub use actor::{Forward, RecoveredStream, StatusUpdateManager};
pub use stream::{Acknowledged, Retry, Stream};
