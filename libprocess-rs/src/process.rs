//! What every actor implements.

use crate::{Ctx, Pid, Routes};

/// An actor: state, a route table, and plain methods that each handle one event.
///
/// Handlers run one at a time, never concurrently, and never wait; whatever takes time goes through
/// [`Ctx::defer`] or [`Ctx::after`] and comes back as a later event.
pub trait Process: Sized + Send + 'static {
    /// Declares which messages and HTTP paths the process serves. Called once for each spawn.
    fn routes(routes: &mut Routes<Self>);

    /// Runs before the first event.
    fn initialize(&mut self, cx: &mut Ctx<Self>) {
        let _ = cx;
    }

    /// A linked process, or the connection to its node, is gone. One event for each link.
    fn exited(&mut self, pid: &Pid, cx: &mut Ctx<Self>) {
        let _ = (pid, cx);
    }

    /// Runs last, when the process was asked to terminate.
    fn finalize(&mut self, cx: &mut Ctx<Self>) {
        let _ = cx;
    }
}
