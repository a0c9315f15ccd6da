//! What files containers see.

pub mod beneath;
pub mod linux;
pub mod mounts;
pub mod posix;
pub mod root;
pub mod shared;
pub mod table;
