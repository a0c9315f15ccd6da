//! Proving to a master who this slave is, before it registers.

use coordination::authenticatee::{Outcome, authenticate};
use libprocess::Ctx;

use super::Slave;

impl Slave {
    /// Goes to the master of `epoch`: with a credential, first to be known, else to register at once.
    pub(super) fn approach(&mut self, epoch: u64, tried: u32, cx: &mut Ctx<Self>) {
        if !self.registration.wants(epoch) {
            return;
        }
        let Some(master) = self.registration.master.clone() else { return };
        let Some(credential) = self.state.config.credential.clone() else {
            return self.attempt(epoch, cx);
        };
        // What is proved holds for as long as this connection.
        cx.link(&master);
        let (min, max) = self.state.config.authentication.timeouts(tried);
        let limit = min + cx.random_within(max.saturating_sub(min));
        let proving = authenticate(cx.node(), cx.pid().clone(), master, credential, limit);
        cx.defer(proving, move |slave, outcome, cx| slave.approached(epoch, tried, outcome, cx));
    }

    fn approached(&mut self, epoch: u64, tried: u32, outcome: Outcome, cx: &mut Ctx<Self>) {
        if !self.registration.wants(epoch) {
            return;
        }
        match outcome {
            Outcome::Proved => self.attempt(epoch, cx),
            Outcome::Refused => {
                let reason = "the master refused the credential of this slave".to_owned();
                self.exit(1, reason, cx);
            }
            Outcome::Failed(reason) => {
                slog::warn!(cx.log(), "authentication failed, trying again"; "reason" => reason);
                let (min, max) = self.state.config.authentication.timeouts(tried);
                let wait = cx.random_within(max.saturating_sub(min));
                cx.after(wait, move |slave, cx| slave.approach(epoch, tried + 1, cx));
            }
        }
    }
}
