//! How a slave or a scheduler proves to a master who it is: CRAM-MD5 over messages (RFC 2195). The
//! client does so before it registers, and again whenever its connection to a master is a new one.

use std::time::Duration;

use futures::channel::oneshot;
use libprocess::{Ctx, Node, Pid, Process, Routes};
use protos::cram_md5;
use protos::credentials::Credential;
use protos::mesos::internal::{
    AuthenticateMessage, AuthenticationCompletedMessage, AuthenticationErrorMessage,
    AuthenticationFailedMessage, AuthenticationMechanismsMessage, AuthenticationStartMessage,
    AuthenticationStepMessage,
};

/// The only mechanism known here.
const MECHANISM: &str = "CRAM-MD5";

/// How attempts are made (flags `authentication_*`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// Longest wait before an attempt after the first (flag `authentication_backoff_factor`).
    pub backoff: Duration,
    /// An attempt lasts as long at least (flag `authentication_timeout_min`).
    pub min: Duration,
    /// And as long at most (flag `authentication_timeout_max`).
    pub max: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self { backoff: seconds(1), min: seconds(5), max: seconds(60) }
    }
}

impl Patience {
    /// Bounds of how long attempt number `attempt`, from 0, may take: they widen with each.
    pub fn timeouts(&self, attempt: u32) -> (Duration, Duration) {
        let growth = self.backoff.saturating_mul(1 << attempt.min(16));
        (self.min, self.min.saturating_add(growth).min(self.max.max(self.min)))
    }
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The master knows who the client is.
    Proved,
    /// It knows no such principal and secret: another attempt ends the same.
    Refused,
    /// It broke off, or did not answer in time: another attempt may do better.
    Failed(String),
}

/// The process `crammd5-authenticatee(N)`: one attempt.
struct Authenticatee {
    client: Pid,
    master: Pid,
    credential: Credential,
    stage: Stage,
    reply: Option<oneshot::Sender<Outcome>>,
    limit: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Asked,
    Started,
    Answered,
}

impl Process for Authenticatee {
    fn routes(routes: &mut Routes<Self>) {
        routes
            .on(Self::mechanisms)
            .on(Self::step)
            .on(Self::completed)
            .on(Self::failed)
            .on(Self::broken);
    }

    fn initialize(&mut self, cx: &mut Ctx<Self>) {
        cx.send(&self.master, &AuthenticateMessage { pid: self.client.to_string() });
        cx.after(self.limit, |this, cx| {
            this.end(Outcome::Failed("the master does not answer".to_owned()), cx);
        });
    }
}

impl Authenticatee {
    fn mechanisms(&mut self, m: AuthenticationMechanismsMessage, cx: &mut Ctx<Self>) {
        if !self.follows(Stage::Asked, Stage::Started, cx) {
            return;
        }
        if m.mechanisms.iter().all(|mechanism| mechanism != MECHANISM) {
            return self.end(Outcome::Failed(format!("the master knows no {MECHANISM}")), cx);
        }
        let mechanism = MECHANISM.to_owned();
        cx.reply(&AuthenticationStartMessage { mechanism, data: Some(bytes::Bytes::new()) });
    }

    fn step(&mut self, m: AuthenticationStepMessage, cx: &mut Ctx<Self>) {
        if !self.follows(Stage::Started, Stage::Answered, cx) {
            return;
        }
        let Credential { principal, secret } = &self.credential;
        let data = cram_md5::answer(principal, secret, &m.data).into_bytes().into();
        cx.reply(&AuthenticationStepMessage { data });
    }

    fn completed(&mut self, _: AuthenticationCompletedMessage, cx: &mut Ctx<Self>) {
        if self.follows(Stage::Answered, Stage::Answered, cx) {
            self.end(Outcome::Proved, cx);
        }
    }

    fn failed(&mut self, _: AuthenticationFailedMessage, cx: &mut Ctx<Self>) {
        if !self.is_forged(cx) {
            self.end(Outcome::Refused, cx);
        }
    }

    fn broken(&mut self, m: AuthenticationErrorMessage, cx: &mut Ctx<Self>) {
        if !self.is_forged(cx) {
            self.end(Outcome::Failed(m.error.unwrap_or_default()), cx);
        }
    }

    /// A session has a process of its own, on the master's node. What comes from elsewhere is forged:
    /// it must neither end the attempt nor be answered, as each answer helps to guess the secret.
    fn is_forged(&self, cx: &Ctx<Self>) -> bool {
        let forged = cx.from().address() != self.master.address();
        if forged {
            slog::warn!(cx.log(), "ignored: not from the master"; "from" => %cx.from());
        }
        forged
    }

    /// Goes from a stage to the next; a message out of turn ends the attempt.
    fn follows(&mut self, expected: Stage, next: Stage, cx: &mut Ctx<Self>) -> bool {
        if self.is_forged(cx) {
            return false;
        }
        if self.stage != expected {
            self.end(Outcome::Failed("a message came out of turn".to_owned()), cx);
            return false;
        }
        self.stage = next;
        true
    }

    fn end(&mut self, outcome: Outcome, cx: &mut Ctx<Self>) {
        if let Some(reply) = self.reply.take() {
            // Who asked may have turned to another master.
            let _ = reply.send(outcome);
        }
        cx.stop();
    }
}

/// Proves to `master` that the process `client` is who the credential says, within `limit`.
pub fn authenticate(
    node: &Node,
    client: Pid,
    master: Pid,
    credential: Credential,
    limit: Duration,
) -> impl Future<Output = Outcome> + Send + use<> {
    let (sender, receiver) = oneshot::channel();
    let (stage, reply) = (Stage::Asked, Some(sender));
    let attempt = Authenticatee { client, master, credential, stage, reply, limit };
    node.spawn_numbered("crammd5-authenticatee", attempt);
    async move {
        let ended = || Outcome::Failed("this process ends".to_owned());
        receiver.await.unwrap_or_else(|_| ended())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_may_take_longer_each_up_to_the_longest() {
        let seconds = |attempt| {
            let (min, max) = Patience::default().timeouts(attempt);
            (min.as_secs(), max.as_secs())
        };
        assert_eq!([0, 1, 3, 30].map(seconds), [(5, 6), (5, 7), (5, 13), (5, 60)]);
    }
}
