//! Deciding and doing: carries effects out and brings back what was waited for.

use std::collections::BTreeSet;

use libprocess::{Ctx, Pid};
use protos::ids::{FrameworkId, SlaveId};

use crate::effects::{Effect, Effects, Reminder};
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

    pub(crate) fn decide(
        &mut self,
        cx: &mut Ctx<Self>,
        decide: impl FnOnce(&mut State, &mut Effects),
    ) {
        if !self.may_act(cx) {
            return;
        }
        let mut fx = Effects::default();
        decide(&mut self.state, &mut fx);
        self.views.stale();
        let mut stale = BTreeSet::new();
        for effect in fx.0 {
            match effect {
                Effect::Resync(slave) => {
                    stale.insert(slave);
                }
                effect => self.carry_out(effect, cx),
            }
        }
        for slave in stale {
            self.resync(&slave);
        }
        self.drain_on(cx);
    }

    /// Slaves that are to be emptied and are empty now go on.
    fn drain_on(&mut self, cx: &mut Ctx<Self>) {
        let now = cx.now();
        let mut fx = Effects::default();
        for id in self.state.slaves.draining() {
            slaves::drain::check(&mut self.state, &id, now, &mut fx);
        }
        for effect in fx.0 {
            self.carry_out(effect, cx);
        }
    }

    pub(super) fn carry_out(&mut self, effect: Effect, cx: &mut Ctx<Self>) {
        match effect {
            Effect::Send { to, name, body } => {
                self.count_event(&to, &name, cx);
                cx.send_raw(&to, name, body);
            }
            Effect::Link(pid) => cx.link(&pid),
            Effect::Allocator(call) => self.call_allocator(*call),
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
            Effect::SettleFrameworks => self.settle_seats(cx),
            Effect::Unobserve(id) => {
                if let Some(observer) = self.observers.remove(&id) {
                    cx.node().terminate(observer.pid(), true);
                }
            }
            Effect::Registry { operation, then } => {
                self.register(*operation, cx, move |master, applied, cx| {
                    master.registry_answered(then, applied, cx);
                });
            }
            Effect::GiveUp(why) => self.give_up(&why, cx),
            Effect::Note(what) => slog::info!(cx.log(), "{}", what),
            Effect::Refused { reason } => refused(cx, reason),
            Effect::Count(metric) => self.tally.count(&metric, cx.node().metrics()),
            Effect::CountOf(id, what) => self.count_of(&id, &[what], cx),
            Effect::Resync(slave) => self.resync(&slave),
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
            Reminder::SlaveDoomed(id) => slaves::removal::turn_came(state, &id, now, fx),
            Reminder::SlavesRecovered => slaves::recovery::timed_out(state, now, fx),
            Reminder::RegistryGc => slaves::recovery::collect(state, now, fx),
        });
    }
}
