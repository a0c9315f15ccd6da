//! The detector that is told who leads.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::channel::oneshot;
use futures::future::BoxFuture;

use crate::{Detector, Leader};

#[derive(Default)]
struct State {
    leader: Option<Leader>,
    waiting: Vec<oneshot::Sender<Option<Leader>>>,
}

/// Answers with whom it was told of; clones share what they were told.
#[derive(Clone, Default)]
pub struct StandaloneDetector {
    state: Arc<Mutex<State>>,
}

impl StandaloneDetector {
    /// A detector that knows `leader`.
    pub fn new(leader: Option<Leader>) -> Self {
        let state = State { leader, waiting: Vec::new() };
        Self { state: Arc::new(Mutex::new(state)) }
    }

    /// Tells it of another leader, or of none; whoever waits is answered when that is news.
    pub fn appoint(&self, leader: Option<Leader>) {
        let mut state = self.lock();
        if state.leader == leader {
            return;
        }
        state.leader = leader.clone();
        for waiting in std::mem::take(&mut state.waiting) {
            // Who asked may be gone.
            let _ = waiting.send(leader.clone());
        }
    }

    /// No panic can happen while the state is half-changed, so poison is ignored.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Detector for StandaloneDetector {
    fn detect(&self, previous: Option<Leader>) -> BoxFuture<'static, Option<Leader>> {
        let mut state = self.lock();
        if state.leader != previous {
            let leader = state.leader.clone();
            return Box::pin(async move { leader });
        }
        let (sender, receiver) = oneshot::channel();
        state.waiting.retain(|waiting| !waiting.is_canceled());
        state.waiting.push(sender);
        drop(state);
        // A detector that is gone has no news: who asked keeps what it knows.
        Box::pin(async move { receiver.await.unwrap_or(previous) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;

    fn leader(port: u16) -> Option<Leader> {
        Some(Leader::of(format!("master@127.0.0.1:{port}").parse().unwrap()))
    }

    #[test]
    fn detector_answers_only_with_news() {
        let detector = StandaloneDetector::new(leader(1));
        assert_eq!(detector.detect(None).now_or_never(), Some(leader(1)));
        let mut waiting = detector.detect(leader(1));
        assert_eq!((&mut waiting).now_or_never(), None);
        detector.appoint(leader(1));
        assert_eq!((&mut waiting).now_or_never(), None);
        detector.appoint(None);
        assert_eq!(waiting.now_or_never(), Some(None));
    }
}
