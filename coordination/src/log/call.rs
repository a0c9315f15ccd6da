//! One request to all replicas: a process that sends it, counts the answers and ends. Answers to
//! it can be answers to nothing else, since no other process has its name.

use std::collections::BTreeSet;
use std::marker::PhantomData;
use std::time::Duration;

use futures::channel::oneshot;
use libprocess::{Ctx, Node, Pid, Process, Routes, Time};
use prost::{Message, Name};

use super::network::Network;
use super::tally::Tally;

/// A request under way.
struct Call<Q, T: Tally> {
    request: Q,
    tally: T,
    network: Network,
    /// How many replicas must be known before it is sent.
    size: usize,
    limits: Limits,
    targets: BTreeSet<Pid>,
    started: Time,
    done: Option<oneshot::Sender<T::Outcome>>,
    response: PhantomData<fn(T::Response)>,
}

/// How long a request goes on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Answers count so long after it was sent.
    pub(super) total: Duration,
    /// It is sent again so long after it was sent, for requests that may be repeated.
    pub(super) again: Option<Duration>,
}

/// Sends `request` to all replicas of `network` once there are `size` of them, and counts their
/// answers: None when they did not decide in time.
pub(super) fn call<Q, T>(
    node: &Node,
    (network, size): (&Network, usize),
    request: Q,
    tally: T,
    limits: Limits,
) -> impl Future<Output = Option<T::Outcome>> + Send + use<Q, T>
where
    Q: Message + Name + 'static,
    T: Tally,
{
    let (sender, receiver) = oneshot::channel();
    let call = Call {
        request,
        tally,
        network: network.clone(),
        size,
        limits,
        targets: BTreeSet::new(),
        started: Time::EPOCH,
        done: Some(sender),
        response: PhantomData,
    };
    // The name is random, so it is free; were it not, the request would be as good as lost.
    let _ = node.spawn(&format!("log-call-{}", node.random_uuid().simple()), call);
    async move { receiver.await.ok() }
}

impl<Q: Message + Name + 'static, T: Tally> Process for Call<Q, T> {
    fn routes(routes: &mut Routes<Self>) {
        routes.on(Self::answered);
    }

    fn initialize(&mut self, cx: &mut Ctx<Self>) {
        cx.defer(self.network.at_least(self.size), |call: &mut Self, targets, cx| {
            call.targets = targets;
            call.started = cx.now();
            cx.after(call.limits.total, |_, cx| cx.stop());
            call.send(cx);
        });
    }
}

impl<Q: Message + Name + 'static, T: Tally> Call<Q, T> {
    fn send(&mut self, cx: &mut Ctx<Self>) {
        if self.done.as_ref().is_none_or(oneshot::Sender::is_canceled) {
            return cx.stop();
        }
        // Who joined since then is asked, too.
        self.targets.extend(self.network.members());
        for target in &self.targets {
            cx.send(target, &self.request);
        }
        if let Some(again) = self.limits.again {
            cx.after(again, Self::send);
        }
    }

    fn answered(&mut self, response: T::Response, cx: &mut Ctx<Self>) {
        // A host that slept may find answers before it finds out that it is too late for them.
        let late = cx.now().since(self.started) > self.limits.total;
        if late || !self.targets.contains(cx.from()) {
            return;
        }
        let from = cx.from().clone();
        if let Some(outcome) = self.tally.count(&from, response) {
            if let Some(done) = self.done.take() {
                let _ = done.send(outcome);
            }
            cx.stop();
        }
    }
}
