//! Lets virtual time pass: for a while, until a condition holds, until a request is answered.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::{At, World};
use crate::Time;
use crate::http::{Body, Request, Response};

/// How long `World::http` and `World::settle` let virtual time pass at most.
const PATIENCE: Duration = Duration::from_secs(600);

/// A condition did not come true in time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("seed {seed}: not reached within {limit:?} of virtual time (now {now:?})")]
pub struct Timeout {
    /// The world's seed.
    pub seed: u64,
    /// How long it was waited for.
    pub limit: Duration,
    /// When the wait was given up.
    pub now: Time,
}

impl World {
    /// Serves a request on a node and lets the world go on until the answer is there: 503 from a
    /// dead node, 504 when it takes more than ten minutes. File bodies are read.
    pub fn http(&mut self, at: impl At, method: &str, target: &str) -> Response {
        let address = at.at();
        let found = self.shared.with(|state| {
            let life = state.life_at(address)?;
            Some((life, state.lives.get(life)?.node.clone()))
        });
        let Some((life, node)) = found else {
            return Response::status(503);
        };
        let request = match Request::new(method, target) {
            Ok(request) => request,
            Err(error) => return Response::bad_request(error.to_string()),
        };
        let answer = Arc::new(Mutex::new(None));
        let (served, slot) = (node.http(request), answer.clone());
        let put = async move {
            let response = served.await;
            *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(response);
        };
        self.shared.spawn(life, Box::pin(put));
        let mut response = None;
        let _ = self.run_until(PATIENCE, |_| {
            response = answer.lock().unwrap_or_else(PoisonError::into_inner).take();
            response.is_some()
        });
        let mut response = response.unwrap_or_else(|| Response::status(504));
        if let Body::File(path) = &response.body {
            match self.file(address, path) {
                Some(bytes) => response.body = Body::Bytes(bytes),
                None => response = Response::status(404),
            }
        }
        response
    }

    /// Lets `duration` of virtual time pass.
    pub fn run_for(&mut self, duration: Duration) {
        let end = self.now() + duration;
        while self.next_time().is_some_and(|next| next <= end) {
            self.step();
        }
        self.shared.with(|state| state.now = state.now.max(end));
    }

    /// Steps until `reached` is true, which is looked at before the first step and after each.
    ///
    /// # Errors
    /// [`Timeout`] when `limit` of virtual time passes, or nothing is left to happen, before.
    pub fn run_until(
        &mut self,
        limit: Duration,
        mut reached: impl FnMut(&mut World) -> bool,
    ) -> Result<Time, Timeout> {
        let end = self.now() + limit;
        loop {
            if reached(self) {
                return Ok(self.now());
            }
            if self.next_time().is_none_or(|next| next > end) {
                return Err(Timeout { seed: self.seed, limit, now: self.now() });
            }
            self.step();
        }
    }

    /// As [`World::run_until`] for conditions that let time pass themselves, such as those that
    /// ask over [`World::http`]: looked at each `pause` only.
    ///
    /// # Errors
    /// [`Timeout`] when `limit` of virtual time passes before.
    pub fn run_until_each(
        &mut self,
        pause: Duration,
        limit: Duration,
        mut reached: impl FnMut(&mut World) -> bool,
    ) -> Result<Time, Timeout> {
        let end = self.now() + limit;
        while !reached(self) {
            if self.now() >= end {
                return Err(Timeout { seed: self.seed, limit, now: self.now() });
            }
            self.run_for(pause);
        }
        Ok(self.now())
    }

    /// Steps until nothing but timers waits, at most for ten minutes of virtual time.
    pub fn settle(&mut self) {
        let quiet = |world: &mut World| world.shared.with(|state| state.queue.is_quiet());
        // Endless traffic never settles; the caller's own conditions then tell.
        let _ = self.run_until(PATIENCE, quiet);
    }

    fn next_time(&self) -> Option<Time> {
        self.shared.with(|state| state.queue.next_time())
    }
}
