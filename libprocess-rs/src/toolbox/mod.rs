//! What asynchronous programs are put together from: locks, queues, sequences, rate limits, loops.
//!
//! Everything here works over sockets and in the simulator alike: time is the node's, nothing needs
//! a runtime of its own, and **who calls first is served first**: a place in a line is taken by the
//! call, not by the first poll of the future that it returns. Dropping such a future gives the place
//! up; nothing that was on its way to it is lost.
//!
//! ```
//! use std::time::Duration;
//! use libprocess::sim::World;
//! use libprocess::toolbox::{RateLimiter, background};
//! use libprocess::NodeConfig;
//!
//! let mut world = World::new(1);
//! let node = world.node("10.0.0.1:5050".parse().unwrap(), NodeConfig::default());
//! let start = world.now();
//! let limiter = RateLimiter::new(&node, 2.try_into().unwrap(), Duration::from_secs(1));
//! let third = [limiter.acquire(), limiter.acquire(), limiter.acquire()];
//! let all = background(&node, async move {
//!     for permit in third {
//!         permit.await;
//!     }
//! });
//! world.run_until(Duration::from_secs(9), |_| all.is_done()).unwrap();
//! assert_eq!(world.now() - start, Duration::from_secs(1));
//! ```

mod background;
mod combine;
mod latch;
mod limiter;
mod lock;
mod queue;
mod repeat;
mod sequence;
#[cfg(test)]
mod tests;
mod turns;

use std::sync::{Mutex as StdMutex, MutexGuard as StdMutexGuard, PoisonError};

pub use background::{After, Background, Discarded, after, background, run};
pub use combine::{await_all, collect, select};
pub use latch::{CountDownLatch, Doing, Once};
pub use limiter::{Permit, RateLimiter};
pub use lock::{
    Locking, Mutex, MutexGuard, ReadGuard, ReadWriteLock, Reading, WriteGuard, Writing,
};
pub use queue::{Get, Queue};
pub use repeat::{repeat, repeat_in};
pub use sequence::{Sequence, Sequenced};

/// No code of others runs while one of these locks is held, so poison cannot mean half a change.
fn held<T>(mutex: &StdMutex<T>) -> StdMutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
