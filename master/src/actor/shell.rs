//! Deciding and doing: carries effects out and brings back what was waited for.

use libprocess::{Ctx, Pid};
use protos::ids::{FrameworkId, SlaveId};

use crate::effects::{AfterRegistry, AllocatorCall, Effect, Effects, Reminder};
use crate::observer::SlaveObserver;
use crate::state::State;
use crate::{Master, calls, slaves};

pub(super) fn refused(cx: &Ctx<Master>, reason: String) {
    slog::warn!(cx.log(), "refused"; "from" => %cx.from(), "reason" => reason);
}

/// Deciding and doing.
impl Master {
    /// Decides, provided that the message comes from the framework's own scheduler.
    pub(super) fn authentic(
        &mut self,
        id: &FrameworkId,
        cx: &mut Ctx<Self>,
        decide: impl FnOnce(&mut State, &mut Effects),
    ) {
        match self.state.frameworks.authentic(id, cx.from()) {
            Ok(_) => self.decide(cx, decide),
            Err(reason) => refused(cx, reason),
        }
    }

    pub(super) fn decide(
        &mut self,
        cx: &mut Ctx<Self>,
        decide: impl FnOnce(&mut State, &mut Effects),
    ) {
        let mut fx = Effects::default();
        decide(&mut self.state, &mut fx);
        for effect in fx.0 {
            self.carry_out(effect, cx);
        }
    }

    pub(super) fn carry_out(&mut self, effect: Effect, cx: &mut Ctx<Self>) {
        match effect {
            Effect::Send { to, name, body } => cx.send_raw(&to, name.into(), body),
            Effect::Link(pid) => cx.link(&pid),
            Effect::Allocator(call) => self.call_allocator(call),
            Effect::Remind(delay, reminder) => {
                cx.after(delay, move |master, cx| master.reminded(reminder, cx));
            }
            Effect::Observe(id, pid) => self.observe(id, pid, cx),
            Effect::ObserverConnected(id, connected) => {
                let pid = self.state.slaves.get(&id).map(|slave| slave.pid.clone());
                if let (Some(observer), Some(pid)) = (self.observers.get(&id), pid) {
                    observer.tell(move |observer, _| observer.set_connected(connected, pid));
                }
            }
            Effect::Unobserve(id) => {
                if let Some(observer) = self.observers.remove(&id) {
                    cx.node().terminate(observer.pid(), true);
                }
            }
            Effect::Registry { operation, then } => {
                let registrar = self.registrar.clone();
                cx.ask(
                    &registrar,
                    move |registrar, _| registrar.apply(operation),
                    move |master, applied, cx| master.registry_answered(then, applied, cx),
                );
            }
            Effect::Note(what) => slog::info!(cx.log(), "{}", what),
            Effect::Refused { reason } => refused(cx, reason),
            Effect::Count(metric) => cx.node().metrics().counter(metric).increment(),
        }
    }

    pub(super) fn observe(&mut self, id: SlaveId, pid: Pid, cx: &mut Ctx<Self>) {
        let config = &self.state.config;
        let (timeout, max) = (config.ping_timeout, config.max_ping_timeouts);
        let observer = SlaveObserver::new(id.clone(), pid, cx.handle(), timeout, max);
        let handle = cx.spawn_numbered("slave-observer", observer);
        if let Some(old) = self.observers.insert(id, handle) {
            cx.node().terminate(old.pid(), true);
        }
    }

    pub(super) fn reminded(&mut self, reminder: Reminder, cx: &mut Ctx<Self>) {
        let now = cx.now();
        self.decide(cx, |state, fx| match reminder {
            Reminder::FrameworkFailover(id, epoch) => {
                calls::disconnect::failover_timed_out(state, &id, epoch, now, fx);
            }
            Reminder::SlaveReregister(id, epoch) => {
                slaves::lost::reregister_timed_out(state, &id, epoch, now, fx);
            }
            Reminder::OfferTimeout(id) => calls::offers::rescind(state, &id, true, fx),
        });
    }

    pub(super) fn registry_answered(
        &mut self,
        then: AfterRegistry,
        applied: Option<bool>,
        cx: &mut Ctx<Self>,
    ) {
        let Some(applied) = applied else {
            // Only at the end of the node: what is not durable must not be seen.
            return slog::crit!(cx.log(), "registrar is gone"; "lost" => ?then);
        };
        if !applied {
            return self.decide(cx, |state, fx| slaves::registry_refused(state, &then, fx));
        }
        let now = cx.now();
        self.decide(cx, |state, fx| match then {
            AfterRegistry::Admitted(from, message) => {
                slaves::register::admitted(state, &from, *message, now, fx);
            }
            AfterRegistry::Readmitted(from, message) => {
                slaves::reregister::readmitted(state, &from, *message, now, fx);
            }
            AfterRegistry::Updated(from, message) => {
                slaves::reregister::updated(state, &from, *message, now, fx);
            }
            AfterRegistry::Unreachable(id) => slaves::lost::unreachable(state, &id, now, fx),
            AfterRegistry::Removed(id, replacement) => {
                slaves::lost::removed(state, &id, now, fx);
                if let Some((from, message)) = replacement {
                    slaves::register::register(state, &from, *message, fx);
                }
            }
        });
    }

    pub(super) fn call_allocator(&self, call: AllocatorCall) {
        let to = &self.allocator;
        match call {
            AllocatorCall::AddFramework { id, spec, active, used } => {
                to.add_framework(id, spec, active, used);
            }
            AllocatorCall::UpdateFramework(id, spec) => to.update_framework(id, spec),
            AllocatorCall::RemoveFramework(id) => to.remove_framework(id),
            AllocatorCall::ActivateFramework(id) => to.activate_framework(id),
            AllocatorCall::DeactivateFramework(id) => to.deactivate_framework(id),
            AllocatorCall::AddSlave { id, spec, total, used } => {
                to.add_slave(id, spec, total, used)
            }
            AllocatorCall::UpdateSlave(id, total) => to.update_slave(id, total),
            AllocatorCall::RemoveSlave(id) => to.remove_slave(id),
            AllocatorCall::ActivateSlave(id) => to.activate_slave(id),
            AllocatorCall::DeactivateSlave(id) => to.deactivate_slave(id),
            AllocatorCall::Recover { framework, slave, resources, refuse_for } => {
                to.recover_resources(framework, slave, resources, refuse_for);
            }
            AllocatorCall::Suppress(id, roles) => to.suppress_offers(id, roles),
            AllocatorCall::Revive(id, roles) => to.revive_offers(id, roles),
        }
    }
}
