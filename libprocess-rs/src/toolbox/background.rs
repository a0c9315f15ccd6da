//! Work that goes on beside the processes, and time for it.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use futures::channel::oneshot;

use crate::driver::TimerId;
use crate::{Ctx, Node, Process, Routes};

/// What was asked for was given up before it was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("given up before it was done")]
pub struct Discarded;

/// The result of work that goes on whether or not anybody waits for it.
pub struct Background<T> {
    result: oneshot::Receiver<T>,
    done: Arc<AtomicBool>,
}

/// Where the result is put.
struct Slot<T> {
    result: oneshot::Sender<T>,
    done: Done,
}

/// Tells that no result will come any more, or that it has come.
struct Done(Arc<AtomicBool>);

impl Drop for Done {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

impl<T> Background<T> {
    fn new() -> (Slot<T>, Self) {
        let (sender, result) = oneshot::channel();
        let done = Arc::new(AtomicBool::new(false));
        (Slot { result: sender, done: Done(done.clone()) }, Self { result, done })
    }

    /// True once the result is there, or never will be.
    pub fn is_done(&self) -> bool {
        self.done.load(Ordering::Acquire)
    }

    /// The result, when it is there and was not taken before.
    pub fn take(&mut self) -> Option<T> {
        self.result.try_recv().ok().flatten()
    }
}

impl<T> Slot<T> {
    fn put(self, value: T) {
        // Nobody may be waiting any more.
        let _ = self.result.send(value);
        drop(self.done);
    }
}

impl<T> Future for Background<T> {
    type Output = Result<T, Discarded>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.result).poll(cx).map(|result| result.map_err(|_| Discarded))
    }
}

impl<T> fmt::Debug for Background<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Background")
    }
}

/// Polls `future` on the node to its end, whatever becomes of what is returned.
///
/// The result is [`Discarded`] when the node ends first.
pub fn background<T: Send + 'static>(
    node: &Node,
    future: impl Future<Output = T> + Send + 'static,
) -> Background<T> {
    let (slot, background) = Background::new();
    node.driver().spawn(Box::pin(async move { slot.put(future.await) }));
    background
}

/// A process that does one thing.
struct Throwaway;

impl Process for Throwaway {
    fn routes(_: &mut Routes<Self>) {}
}

/// Runs `work` as an event of a process of its own, `__async__(N)`, which ends with it: a panic
/// ends nothing else.
pub fn run<T: Send + 'static>(
    node: &Node,
    work: impl FnOnce() -> T + Send + 'static,
) -> Background<T> {
    let (slot, background) = Background::new();
    let process = node.spawn_numbered("__async__", Throwaway);
    process.tell(move |_, cx: &mut Ctx<Throwaway>| {
        cx.stop();
        slot.put(work());
    });
    background
}

/// The future of [`after`].
#[must_use = "dropping it gives it up"]
pub struct After {
    node: Node,
    timer: TimerId,
    fired: oneshot::Receiver<()>,
}

/// Ready after `delay` of the node's time. Dropping it takes its timer back, unlike
/// [`Node::sleep`], so that long timeouts that are rarely reached cost nothing once they are gone.
pub fn after(node: &Node, delay: Duration) -> After {
    let (sender, fired) = oneshot::channel();
    let timer = node.driver().arm(delay, Box::new(move || drop(sender)));
    After { node: node.clone(), timer, fired }
}

impl Future for After {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        // The timer only ever drops its end.
        Pin::new(&mut self.fired).poll(cx).map(drop)
    }
}

impl Drop for After {
    fn drop(&mut self) {
        self.node.driver().disarm(self.timer);
    }
}

impl fmt::Debug for After {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("After")
    }
}
