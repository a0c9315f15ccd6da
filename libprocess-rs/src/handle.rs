//! Typed handles to local processes.

use std::sync::Arc;

use futures::channel::oneshot;
use futures::future::BoxFuture;

use crate::inbox::{Event, Inbox};
use crate::{Ctx, Pid, Process};

/// The process was terminated before it answered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("process {0} is gone")]
pub struct Gone(pub Pid);

/// A handle to a process on the same node or another node of the same OS process: calls run there
/// as events of their own, in order for each caller.
pub struct Handle<P: Process> {
    pid: Pid,
    inbox: Arc<Inbox<P>>,
}

impl<P: Process> Clone for Handle<P> {
    fn clone(&self) -> Self {
        Self { pid: self.pid.clone(), inbox: self.inbox.clone() }
    }
}

impl<P: Process> std::fmt::Debug for Handle<P> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Handle({})", self.pid)
    }
}

impl<P: Process> Handle<P> {
    pub(crate) fn new(pid: Pid, inbox: Arc<Inbox<P>>) -> Self {
        Self { pid, inbox }
    }

    /// The process's PID.
    pub fn pid(&self) -> &Pid {
        &self.pid
    }

    /// How many messages, calls and requests wait for the process, besides those that it is at.
    pub fn queued(&self) -> [usize; 3] {
        self.inbox.kinds()
    }

    /// Queues a call; false when the process is gone.
    pub fn tell(&self, call: impl FnOnce(&mut P, &mut Ctx<P>) + Send + 'static) -> bool {
        self.inbox.push(Event::Dispatch(Box::new(call)))
    }

    /// Queues a call and hands its result to a future.
    pub fn ask<R: Send + 'static>(
        &self,
        call: impl FnOnce(&mut P, &mut Ctx<P>) -> R + Send + 'static,
    ) -> BoxFuture<'static, Result<R, Gone>> {
        let (sender, receiver) = oneshot::channel();
        self.tell(move |process, cx| {
            // The asker may have lost interest; the call has happened all the same.
            let _ = sender.send(call(process, cx));
        });
        let pid = self.pid.clone();
        Box::pin(async move { receiver.await.map_err(|_| Gone(pid)) })
    }

    /// As [`Handle::ask`] for a call whose result is itself a future: waits for both.
    pub fn ask_later<R, F>(
        &self,
        call: impl FnOnce(&mut P, &mut Ctx<P>) -> F + Send + 'static,
    ) -> BoxFuture<'static, Result<R, Gone>>
    where
        R: Send + 'static,
        F: Future<Output = R> + Send + 'static,
    {
        let asked = self.ask(call);
        Box::pin(async move { Ok(asked.await?.await) })
    }
}
