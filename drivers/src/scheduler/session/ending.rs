//! How a driver ends: by an error, by its scheduler, or for another scheduler to follow.

use libprocess::Pid;
use protos::mesos::internal::DeactivateFrameworkMessage;

use super::Session;
use crate::scheduler::calls;
use crate::scheduler::effects::{Effect, Event};

impl Session {
    /// `FrameworkErrorMessage`: the driver aborts. It may come before the subscription stands.
    pub(in crate::scheduler) fn error(&mut self, from: &Pid, text: String) -> Vec<Effect> {
        if self.aborted || self.master.as_ref() != Some(from) {
            return self.refuse("framework error", from);
        }
        let mut effects = self.abort();
        effects.insert(0, Effect::Tell(Event::Error(text)));
        effects
    }

    /// Deactivates the framework and ends all callbacks; its tasks go on.
    pub(in crate::scheduler) fn abort(&mut self) -> Vec<Effect> {
        if self.aborted {
            return Vec::new();
        }
        self.aborted = true;
        let mut effects = vec![Effect::StopRetrying];
        if let (true, Some(master), Some(id)) = (self.connected, &self.master, self.id()) {
            let message = DeactivateFrameworkMessage { framework_id: id.wire() };
            effects.push(Effect::Deactivate(master.clone(), message));
        }
        effects.push(Effect::Abort);
        effects
    }

    /// Ends the framework, or only this scheduler of it (`failover`).
    pub(in crate::scheduler) fn stop(&mut self, failover: bool) -> Vec<Effect> {
        let effects = if failover { Vec::new() } else { self.send(calls::teardown()) };
        self.aborted = true;
        effects
    }
}
