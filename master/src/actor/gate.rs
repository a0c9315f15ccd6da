//! What every message passes before it is handled: is this master ready, who is it from, and how fast
//! may they come?

use libprocess::{Ctx, Envelope, Routes};
use prost::{Message, Name};
use protos::mesos::internal::FrameworkErrorMessage;

use crate::Master;
use crate::state::Verdict;

/// Serves messages of the type that `handler` takes, once they have passed.
pub(super) fn on<M>(routes: &mut Routes<Master>, handler: fn(&mut Master, M, &mut Ctx<Master>))
where
    M: Message + Name + Default + 'static,
{
    routes.on_raw(&M::full_name(), move |master, envelope, cx| {
        if !master.passes(&envelope, cx) {
            return;
        }
        match decode::<M>(&envelope, cx) {
            Ok(message) => handler(master, message, cx),
            Err(reason) => slog::warn!(cx.log(), "message dropped";
                "name" => &envelope.name, "from" => %envelope.from, "reason" => reason),
        }
    });
}

fn decode<M: Message + Default>(envelope: &Envelope, cx: &Ctx<Master>) -> Result<M, String> {
    (cx.node().config().schema)(&envelope.name, &envelope.body)?;
    M::decode(envelope.body.clone()).map_err(|error| error.to_string())
}

/// The counter of a message, by the end of its name.
fn counter(name: &str) -> Option<&'static str> {
    Some(match name.rsplit('.').next().unwrap_or_default() {
        "AuthenticateMessage" => "master/messages_authenticate",
        "DeactivateFrameworkMessage" => "master/messages_deactivate_framework",
        "ExecutorToFrameworkMessage" => "master/messages_executor_to_framework",
        "ExitedExecutorMessage" => "master/messages_exited_executor",
        "FrameworkToExecutorMessage" => "master/messages_framework_to_executor",
        "KillTaskMessage" => "master/messages_kill_task",
        "LaunchTasksMessage" => "master/messages_launch_tasks",
        "ReconcileTasksMessage" => "master/messages_reconcile_tasks",
        "RegisterFrameworkMessage" => "master/messages_register_framework",
        "RegisterSlaveMessage" => "master/messages_register_slave",
        "ReregisterFrameworkMessage" => "master/messages_reregister_framework",
        "ReregisterSlaveMessage" => "master/messages_reregister_slave",
        "ResourceRequestMessage" => "master/messages_resource_request",
        "ReviveOffersMessage" => "master/messages_revive_offers",
        "StatusUpdateAcknowledgementMessage" => "master/messages_status_update_acknowledgement",
        "StatusUpdateMessage" => "master/messages_status_update",
        "UnregisterFrameworkMessage" => "master/messages_unregister_framework",
        "UnregisterSlaveMessage" => "master/messages_unregister_slave",
        "UpdateOperationStatusMessage" => "master/messages_operation_status_update",
        "UpdateSlaveMessage" => "master/messages_update_slave",
        _ => return None,
    })
}

/// Messages that wait while their sender proves who it is.
fn waits_for_authentication(name: &str) -> bool {
    [
        "mesos.internal.RegisterSlaveMessage",
        "mesos.internal.ReregisterSlaveMessage",
        "mesos.internal.RegisterFrameworkMessage",
        "mesos.internal.ReregisterFrameworkMessage",
        "mesos.scheduler.Call",
    ]
    .contains(&name)
}

impl Master {
    fn passes(&mut self, envelope: &Envelope, cx: &mut Ctx<Self>) -> bool {
        if self.state.elected.is_none() || !self.may_act(cx) {
            cx.node().metrics().counter("master/dropped_messages").increment();
            return false;
        }
        if waits_for_authentication(&envelope.name) && self.park(envelope) {
            return false;
        }
        if !self.has_its_turn(envelope, cx) {
            return false;
        }
        if let Some(kind) = super::seats::call(&envelope.name) {
            self.count_call(&envelope.from, kind, cx);
        }
        if let Some(name) = counter(&envelope.name) {
            self.tally.count(&name.into(), cx.node().metrics());
        }
        true
    }

    /// Frameworks' messages pass their principal's limiter.
    fn has_its_turn(&mut self, envelope: &Envelope, cx: &mut Ctx<Self>) -> bool {
        let principal = match self.state.frameworks.principal_at(&envelope.from) {
            None => return true,
            Some(None) if self.limiters.are_none() => return true,
            Some(principal) => principal.clone(),
        };
        let metric = |what: &str| {
            if let Some(principal) = &principal {
                let name = format!("frameworks/{principal}/messages_{what}");
                cx.node().metrics().counter(&name).increment();
            }
        };
        let key = || (envelope.from.clone(), envelope.name.to_string());
        if !self.waited.is_empty()
            && let Some(waited) = self.waited.get_mut(&key())
        {
            *waited -= 1;
            if *waited == 0 {
                self.waited.remove(&key());
            }
            self.limiters.passed(principal.as_deref());
            metric("processed");
            return true;
        }
        metric("received");
        match self.limiters.judge(principal.as_deref(), cx.now()) {
            Verdict::Pass => {
                metric("processed");
                true
            }
            Verdict::Wait(turn) => {
                let (key, envelope) = (key(), envelope.clone());
                cx.after(turn, move |master, cx| {
                    *master.waited.entry(key).or_default() += 1;
                    cx.forward(&cx.pid().clone(), envelope);
                });
                false
            }
            Verdict::Refuse(capacity) => {
                let message =
                    format!("Message {} dropped: capacity ({capacity}) exceeded", envelope.name);
                slog::warn!(cx.log(), "message dropped"; "from" => %envelope.from,
                    "reason" => &message);
                cx.send(&envelope.from, &FrameworkErrorMessage { message });
                false
            }
        }
    }
}
