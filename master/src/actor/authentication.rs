//! Peers that prove who they are before they register.

use libprocess::{Ctx, Envelope, Pid};
use protos::mesos::internal::{AuthenticateMessage, AuthenticationErrorMessage};

use crate::Master;
use crate::security::{Attempt, Session};

/// Attempts under way at once; more are refused.
const MAX_ATTEMPTS: usize = 10_000;
/// Messages of a peer that wait for the end of its attempt; more are dropped.
const MAX_PARKED: usize = 16;

/// An attempt under way.
pub(crate) struct Authentication {
    attempt: Attempt,
    session: Pid,
    /// Messages that came meanwhile.
    parked: Vec<Envelope>,
}

impl Master {
    pub(super) fn authenticate(&mut self, m: AuthenticateMessage, cx: &mut Ctx<Self>) {
        let authenticatee = cx.from().clone();
        let Ok(client) = m.pid.parse::<Pid>() else {
            return self.cannot_authenticate(&m.pid, "the pid cannot be read", cx);
        };
        // What it proved before counts no more.
        self.state.authenticated.remove(&client);
        let parked = match self.authentications.remove(&client) {
            Some(old) => {
                cx.node().terminate(&old.session, true);
                old.parked
            }
            None => Vec::new(),
        };
        if self.authentications.len() >= MAX_ATTEMPTS {
            return self.cannot_authenticate(&m.pid, "too many attempts are under way", cx);
        }
        self.attempts += 1;
        let attempt = self.attempts;
        let credentials = self.state.config.credentials.clone();
        let session =
            Session::new(cx.handle(), attempt, client.clone(), authenticatee, credentials);
        let session = cx.spawn_numbered("crammd5-authenticator-session", session).pid().clone();
        self.authentications.insert(client.clone(), Authentication { attempt, session, parked });
        cx.link(&client);
        let timeout = self.state.config.authentication_timeout;
        cx.after(timeout, move |master, cx| {
            master.authentication_ended(&client, attempt, None, cx);
        });
    }

    fn cannot_authenticate(&self, pid: &str, why: &str, cx: &Ctx<Self>) {
        slog::warn!(cx.log(), "authentication refused"; "pid" => pid, "reason" => why);
        cx.reply(&AuthenticationErrorMessage { error: Some(why.to_owned()) });
    }

    /// An attempt succeeded, failed, or took too long.
    pub(crate) fn authentication_ended(
        &mut self,
        client: &Pid,
        attempt: Attempt,
        principal: Option<String>,
        cx: &mut Ctx<Self>,
    ) {
        if self.authentications.get(client).is_none_or(|known| known.attempt != attempt) {
            return;
        }
        let Some(ended) = self.authentications.remove(client) else { return };
        cx.node().terminate(&ended.session, true);
        match principal {
            Some(principal) => {
                slog::info!(cx.log(), "authenticated"; "pid" => %client, "principal" => &principal);
                self.state.authenticated.insert(client.clone(), principal);
            }
            None => slog::warn!(cx.log(), "authentication failed"; "pid" => %client),
        }
        for envelope in ended.parked {
            cx.forward(&cx.pid().clone(), envelope);
        }
    }

    /// Keeps a message back while its sender proves who it is; true when it is kept.
    pub(super) fn park(&mut self, envelope: &Envelope) -> bool {
        let Some(running) = self.authentications.get_mut(&envelope.from) else { return false };
        if running.parked.len() < MAX_PARKED {
            running.parked.push(envelope.clone());
        }
        true
    }

    /// The link to a peer broke: what it proved is forgotten.
    pub(super) fn forget_authentication(&mut self, pid: &Pid) {
        self.state.authenticated.remove(pid);
    }
}
