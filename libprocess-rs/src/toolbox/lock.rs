//! Locks that are waited for without holding a thread.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::pin::Pin;
use std::sync::{Arc, Mutex as StdMutex};
use std::task::{Context, Poll};

use super::held;
use super::turns::{Pass, Share, Turns, Wait};

/// An asynchronous lock, served first come, first served. Clones are the same lock.
///
/// It may be held across awaits and even across events of a process; what it protects is taken out
/// of it meanwhile, so it needs no `Sync`.
pub struct Mutex<T = ()> {
    turns: Turns,
    value: Arc<StdMutex<Option<T>>>,
}

/// Holds a [`Mutex`]; dropping it lets the next one in.
pub struct MutexGuard<T> {
    value: Option<T>,
    home: Arc<StdMutex<Option<T>>>,
    // Dropped after the value is back, by the guard's own drop running before its fields'.
    _pass: Pass,
}

/// The future of [`Mutex::lock`].
#[must_use = "the place in the line is given up when this is dropped"]
pub struct Locking<T> {
    wait: Wait,
    home: Arc<StdMutex<Option<T>>>,
}

impl<T> Mutex<T> {
    /// A lock over `value`; `()` when order is all that matters.
    pub fn new(value: T) -> Self {
        Self { turns: Turns::default(), value: Arc::new(StdMutex::new(Some(value))) }
    }

    /// Takes a place in the line; ready when the lock is held.
    pub fn lock(&self) -> Locking<T> {
        Locking { wait: self.turns.wait(Share::Write), home: self.value.clone() }
    }

    /// Holds the lock at once; None when it is held or waited for.
    pub fn try_lock(&self) -> Option<MutexGuard<T>> {
        self.turns.enter(Share::Write).map(|pass| MutexGuard::new(pass, self.value.clone()))
    }
}

impl<T> MutexGuard<T> {
    fn new(pass: Pass, home: Arc<StdMutex<Option<T>>>) -> Self {
        let value = held(&home).take();
        Self { value, home, _pass: pass }
    }
}

impl<T> Future for Locking<T> {
    type Output = MutexGuard<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<MutexGuard<T>> {
        let pass = std::task::ready!(Pin::new(&mut self.wait).poll(cx));
        Poll::Ready(MutexGuard::new(pass, self.home.clone()))
    }
}

impl<T> Deref for MutexGuard<T> {
    type Target = T;

    #[expect(clippy::expect_used, reason = "one guard at a time, and it gives the value back last")]
    fn deref(&self) -> &T {
        self.value.as_ref().expect("the value is with the guard until its end")
    }
}

impl<T> DerefMut for MutexGuard<T> {
    #[expect(clippy::expect_used, reason = "one guard at a time, and it gives the value back last")]
    fn deref_mut(&mut self) -> &mut T {
        self.value.as_mut().expect("the value is with the guard until its end")
    }
}

impl<T> Drop for MutexGuard<T> {
    fn drop(&mut self) {
        *held(&self.home) = self.value.take();
    }
}

/// An asynchronous lock that many may read or one may write, served first come, first served: who
/// wants to read waits behind a writer that came before. Clones are the same lock.
pub struct ReadWriteLock<T = ()> {
    turns: Turns,
    value: Arc<StdMutex<Option<Arc<T>>>>,
}

/// Holds a [`ReadWriteLock`] together with other readers.
pub struct ReadGuard<T> {
    // Fields are dropped in order: a writer that the pass lets in finds no reader's share.
    value: Arc<T>,
    _pass: Pass,
}

/// Holds a [`ReadWriteLock`] alone.
pub struct WriteGuard<T> {
    value: Option<Arc<T>>,
    home: Arc<StdMutex<Option<Arc<T>>>>,
    _pass: Pass,
}

/// The future of [`ReadWriteLock::read`].
#[must_use = "the place in the line is given up when this is dropped"]
pub struct Reading<T> {
    wait: Wait,
    home: Arc<StdMutex<Option<Arc<T>>>>,
}

/// The future of [`ReadWriteLock::write`].
#[must_use = "the place in the line is given up when this is dropped"]
pub struct Writing<T> {
    wait: Wait,
    home: Arc<StdMutex<Option<Arc<T>>>>,
}

impl<T> ReadWriteLock<T> {
    /// A lock over `value`.
    pub fn new(value: T) -> Self {
        let value = Arc::new(StdMutex::new(Some(Arc::new(value))));
        Self { turns: Turns::default(), value }
    }

    /// Takes a place in the line; ready when the lock is held with other readers.
    pub fn read(&self) -> Reading<T> {
        Reading { wait: self.turns.wait(Share::Read), home: self.value.clone() }
    }

    /// Takes a place in the line; ready when the lock is held alone.
    pub fn write(&self) -> Writing<T> {
        Writing { wait: self.turns.wait(Share::Write), home: self.value.clone() }
    }
}

impl<T> Future for Reading<T> {
    type Output = ReadGuard<T>;

    #[expect(clippy::expect_used, reason = "only a writer takes the value, and none is inside")]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<ReadGuard<T>> {
        let pass = std::task::ready!(Pin::new(&mut self.wait).poll(cx));
        let value = held(&self.home).clone().expect("no writer is inside");
        Poll::Ready(ReadGuard { value, _pass: pass })
    }
}

impl<T> Future for Writing<T> {
    type Output = WriteGuard<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<WriteGuard<T>> {
        let pass = std::task::ready!(Pin::new(&mut self.wait).poll(cx));
        let home = self.home.clone();
        let value = held(&home).take();
        Poll::Ready(WriteGuard { value, home, _pass: pass })
    }
}

impl<T> Deref for ReadGuard<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> Deref for WriteGuard<T> {
    type Target = T;

    #[expect(
        clippy::expect_used,
        reason = "one writer at a time, and it gives the value back last"
    )]
    fn deref(&self) -> &T {
        self.value.as_ref().expect("the value is with the guard until its end")
    }
}

impl<T> DerefMut for WriteGuard<T> {
    #[expect(clippy::expect_used, reason = "one writer at a time, and no reader beside it")]
    fn deref_mut(&mut self) -> &mut T {
        let value = self.value.as_mut().and_then(Arc::get_mut);
        value.expect("no reader holds a share while the writer is inside")
    }
}

impl<T> Drop for WriteGuard<T> {
    fn drop(&mut self) {
        *held(&self.home) = self.value.take();
    }
}

impl<T> Clone for Mutex<T> {
    fn clone(&self) -> Self {
        Self { turns: self.turns.clone(), value: self.value.clone() }
    }
}

impl<T> Clone for ReadWriteLock<T> {
    fn clone(&self) -> Self {
        Self { turns: self.turns.clone(), value: self.value.clone() }
    }
}

impl<T: Default> Default for Mutex<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T: Default> Default for ReadWriteLock<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T> fmt::Debug for Mutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Mutex")
    }
}

impl<T> fmt::Debug for ReadWriteLock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ReadWriteLock")
    }
}
