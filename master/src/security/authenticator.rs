//! One attempt of a peer to prove who it is: CRAM-MD5 over messages.

use libprocess::{Ctx, Handle, Pid, Process, Routes};
use protos::cram_md5;
use protos::mesos::internal::*;

use super::Credentials;
use crate::Master;

/// How an attempt may be told apart: its number.
pub(crate) type Attempt = u64;

/// The process `crammd5-authenticator-session(N)`.
pub(crate) struct Session {
    master: Handle<Master>,
    attempt: Attempt,
    /// Who wants to be known: a slave or scheduler.
    client: Pid,
    /// Who speaks for it.
    authenticatee: Pid,
    credentials: Option<Credentials>,
    stage: Stage,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Stage {
    /// The mechanisms were told.
    Offered,
    /// The challenge was sent.
    Challenged(String),
    Done,
}

impl Process for Session {
    fn routes(routes: &mut Routes<Self>) {
        routes.on(Self::start).on(Self::step);
    }

    fn initialize(&mut self, cx: &mut Ctx<Self>) {
        let mechanisms = vec!["CRAM-MD5".to_owned()];
        cx.send(&self.authenticatee, &AuthenticationMechanismsMessage { mechanisms });
    }
}

impl Session {
    pub(crate) fn new(
        master: Handle<Master>,
        attempt: Attempt,
        client: Pid,
        authenticatee: Pid,
        credentials: Option<Credentials>,
    ) -> Self {
        Self { master, attempt, client, authenticatee, credentials, stage: Stage::Offered }
    }

    fn start(&mut self, m: AuthenticationStartMessage, cx: &mut Ctx<Self>) {
        if *cx.from() != self.authenticatee {
            return;
        }
        if self.stage != Stage::Offered || m.mechanism != "CRAM-MD5" {
            return self.break_off("unexpected start of authentication", cx);
        }
        let (a, b) = (cx.uuid().as_u128() as u64, cx.now().as_nanos());
        let challenge = format!("<{a}.{b}@{}>", cx.node().address().ip());
        let data = challenge.clone().into_bytes().into();
        cx.send(&self.authenticatee, &AuthenticationStepMessage { data });
        self.stage = Stage::Challenged(challenge);
    }

    fn step(&mut self, m: AuthenticationStepMessage, cx: &mut Ctx<Self>) {
        if *cx.from() != self.authenticatee {
            return;
        }
        let Stage::Challenged(challenge) = self.stage.clone() else {
            return self.break_off("unexpected step of authentication", cx);
        };
        self.stage = Stage::Done;
        match prove(self.credentials.as_ref(), &challenge, &m.data) {
            Some(principal) => {
                cx.send(&self.authenticatee, &AuthenticationCompletedMessage {});
                self.tell(Some(principal), cx);
            }
            None => {
                cx.send(&self.authenticatee, &AuthenticationFailedMessage {});
                self.tell(None, cx);
            }
        }
    }

    fn break_off(&mut self, why: &str, cx: &mut Ctx<Self>) {
        let error = Some(why.to_owned());
        cx.send(&self.authenticatee, &AuthenticationErrorMessage { error });
        self.tell(None, cx);
    }

    fn tell(&self, principal: Option<String>, cx: &mut Ctx<Self>) {
        let (client, attempt) = (self.client.clone(), self.attempt);
        self.master.tell(move |master, cx| {
            master.authentication_ended(&client, attempt, principal, cx);
        });
        cx.stop();
    }
}

/// The principal that an answer to the challenge proves.
fn prove(credentials: Option<&Credentials>, challenge: &str, answer: &[u8]) -> Option<String> {
    let (principal, digest) = cram_md5::claim(answer)?;
    let secret = credentials?.secret(principal)?;
    cram_md5::verify(secret, challenge.as_bytes(), &digest).then(|| principal.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_right_secret_proves_a_principal() {
        let credentials = Credentials::parse("p s").unwrap();
        let answer =
            |principal, secret| cram_md5::answer(principal, secret, b"<1.2@h>").into_bytes();
        let prove = |answer: Vec<u8>| prove(Some(&credentials), "<1.2@h>", &answer);
        assert_eq!(prove(answer("p", "s")), Some("p".to_owned()));
        assert_eq!(prove(answer("p", "x")), None);
        assert_eq!(prove(answer("q", "s")), None);
        assert_eq!(prove(b"p".to_vec()), None);
        assert_eq!(super::prove(None, "<1.2@h>", &answer("p", "s")), None);
    }
}
