//! How a slave or a scheduler proves to a master who it is: CRAM-MD5 over messages (RFC 2195). The
//! client does so before it registers, and again whenever its connection to a master is a new one.

use std::time::Duration;

use futures::channel::oneshot;
use libprocess::{Ctx, Node, Pid, Process, Routes};
use protos::cram_md5;
use protos::mesos;
use protos::mesos::internal::{
    AuthenticateMessage, AuthenticationCompletedMessage, AuthenticationErrorMessage,
    AuthenticationFailedMessage, AuthenticationMechanismsMessage, AuthenticationStartMessage,
    AuthenticationStepMessage,
};

/// The only mechanism known here.
const MECHANISM: &str = "CRAM-MD5";

/// A name and what proves it. Its debug form keeps the secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Credential {
    /// Who.
    pub principal: String,
    /// Known to the client and the master only.
    pub secret: String,
}

impl std::fmt::Debug for Credential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Credential({})", self.principal)
    }
}

impl Credential {
    /// Reads either form: JSON with `principal` and `secret`, or both on a line.
    ///
    /// # Errors
    /// Text that says what was expected, and nothing of the input: it may be secret.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        if text.trim_start().starts_with('{') {
            let bad = "expected JSON with principal and secret";
            let value = serde_json::from_str(text).map_err(|_| bad)?;
            let wire: mesos::Credential = protos::json::from_json(&value).map_err(|_| bad)?;
            let secret = wire.secret.ok_or(bad)?;
            return Ok(Self { principal: wire.principal, secret });
        }
        match text.split_whitespace().collect::<Vec<_>>()[..] {
            [principal, secret] => {
                Ok(Self { principal: principal.to_owned(), secret: secret.to_owned() })
            }
            _ => Err("expected a principal and a secret"),
        }
    }
}

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
        self.end(Outcome::Refused, cx);
    }

    fn broken(&mut self, m: AuthenticationErrorMessage, cx: &mut Ctx<Self>) {
        self.end(Outcome::Failed(m.error.unwrap_or_default()), cx);
    }

    /// Goes from a stage to the next; a message out of turn ends the attempt.
    fn follows(&mut self, expected: Stage, next: Stage, cx: &mut Ctx<Self>) -> bool {
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
    fn credential_of_either_form_is_read_and_never_shown() {
        for text in ["p s\n", r#"{"principal": "p", "secret": "s"}"#] {
            let credential = Credential::parse(text).unwrap();
            assert_eq!((&*credential.principal, &*credential.secret), ("p", "s"));
            assert_eq!(format!("{credential:?}"), "Credential(p)");
        }
        for bad in ["", "p", "p s t", "{", r#"{"principal": "p"}"#] {
            assert!(Credential::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn attempts_may_take_longer_each_up_to_the_longest() {
        let seconds = |attempt| {
            let (min, max) = Patience::default().timeouts(attempt);
            (min.as_secs(), max.as_secs())
        };
        assert_eq!([0, 1, 3, 30].map(seconds), [(5, 6), (5, 7), (5, 13), (5, 60)]);
    }
}
