//! One thing after another.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures::StreamExt;
use futures::channel::{mpsc, oneshot};
use futures::future::{AbortHandle, Abortable, BoxFuture};

use super::Discarded;
use crate::Node;

/// Runs pieces of asynchronous work in the order they were added, each after the one before is
/// over, however that ended. Dropping the sequence gives up what is not over yet.
pub struct Sequence {
    work: mpsc::UnboundedSender<BoxFuture<'static, ()>>,
    worker: AbortHandle,
}

/// The result of a piece of work in a [`Sequence`]. Dropping it changes nothing: the work is done
/// all the same.
pub struct Sequenced<T> {
    result: oneshot::Receiver<T>,
    abort: AbortHandle,
}

impl Sequence {
    /// A sequence whose work is polled beside the node's processes.
    pub fn new(node: &Node) -> Self {
        let (work, mut queue) = mpsc::unbounded::<BoxFuture<'static, ()>>();
        let (worker, registration) = AbortHandle::new_pair();
        let serve = async move {
            while let Some(next) = queue.next().await {
                next.await;
            }
        };
        let serve = Abortable::new(serve, registration);
        node.driver().spawn(Box::pin(async move {
            // Either the sequence was dropped, or nothing can be added any more.
            let _ = serve.await;
        }));
        Self { work, worker }
    }

    /// Adds work: `start` is called when all that was added before is over.
    pub fn add<T, F>(&self, start: impl FnOnce() -> F + Send + 'static) -> Sequenced<T>
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        let (sender, result) = oneshot::channel();
        let (abort, registration) = AbortHandle::new_pair();
        let work = Abortable::new(async move { start().await }, registration);
        let job = async move {
            if let Ok(value) = work.await {
                // Nobody may want to know.
                let _ = sender.send(value);
            }
        };
        // A node that has ended refuses it; the result shows that.
        let _ = self.work.unbounded_send(Box::pin(job));
        Sequenced { result, abort }
    }
}

impl Drop for Sequence {
    fn drop(&mut self) {
        self.worker.abort();
    }
}

impl<T> Sequenced<T> {
    /// Gives the work up: it is not started, or dropped where it stands, and the next follows.
    pub fn discard(&self) {
        self.abort.abort();
    }
}

impl<T> Future for Sequenced<T> {
    type Output = Result<T, Discarded>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.result).poll(cx).map(|result| result.map_err(|_| Discarded))
    }
}

impl fmt::Debug for Sequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sequence")
    }
}

impl<T> fmt::Debug for Sequenced<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sequenced")
    }
}
