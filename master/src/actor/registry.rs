//! The master and its registrar: recovery, and what waits for changes.

use libprocess::Ctx;
use protos::ids::SlaveId;

use crate::effects::{AfterRegistry, Effect, Effects, Reminder};
use crate::registrar::{Operation, Registry};
use crate::{Master, slaves};

impl Master {
    /// Asks the registrar for what earlier masters left. Until that is known nobody is heard.
    pub(super) fn recover(&mut self, cx: &mut Ctx<Self>) {
        let info = self.state.info.clone();
        let recovered = self.registrar.ask_later(move |registrar, cx| registrar.recover(info, cx));
        cx.defer(recovered, |master, recovered, cx| match recovered {
            Ok(Ok(registry)) => master.elected(registry, cx),
            _ => master.give_up("the registry cannot be recovered", cx),
        });
    }

    fn elected(&mut self, registry: Registry, cx: &mut Ctx<Self>) {
        let now = cx.now();
        let stored = !registry.weights.is_empty();
        slaves::recovery::recovered(&mut self.state, registry, now);
        self.views.stale();
        if !stored && !self.state.weights.is_empty() {
            let weights = self.state.weights.iter().map(|(role, weight)| {
                protos::mesos::WeightInfo { weight: *weight, role: Some(role.clone()) }
            });
            let operation = Operation::UpdateWeights(weights.collect());
            self.register(operation, cx, |_, _, _| {});
        }
        let weights = self.state.weights.clone().into_iter().collect();
        self.allocator.update_weights(weights);
        let quotas = self.state.quotas.iter();
        let quotas = quotas.map(|(role, config)| (role.clone(), allocator::Quota::from(config)));
        self.allocator.recover(self.state.slaves.recovered().len(), quotas.collect());
        let slaves = self.state.slaves.recovered().len();
        slog::info!(cx.log(), "registry recovered"; "slaves" => slaves);
        let (wait, gc) =
            (self.state.config.reregister_timeout, self.state.config.registry_gc_interval);
        if slaves > 0 {
            self.carry_out(Effect::Remind(wait, Reminder::SlavesRecovered), cx);
        }
        self.carry_out(Effect::Remind(gc, Reminder::RegistryGc), cx);
        self.watch_whitelist(cx);
    }

    /// Changes the registry; `then` learns whether the change took effect once that is durable.
    pub(crate) fn register(
        &mut self,
        operation: Operation,
        cx: &mut Ctx<Self>,
        then: impl FnOnce(&mut Self, bool, &mut Ctx<Self>) + Send + 'static,
    ) {
        let applied = self.registrar.ask_later(move |registrar, cx| registrar.apply(operation, cx));
        cx.defer(applied, move |master, applied, cx| match applied {
            Ok(Ok(applied)) => then(master, applied, cx),
            _ => master.give_up("the registrar has failed", cx),
        });
    }

    /// What is not durable must not be seen: a master without its registry ends.
    pub(super) fn give_up(&mut self, why: &str, cx: &mut Ctx<Self>) {
        if std::mem::replace(&mut self.over, true) {
            return;
        }
        slog::crit!(cx.log(), "master ends"; "reason" => why);
        (self.state.config.fatal.0)(why);
        cx.stop();
    }

    pub(super) fn registry_answered(
        &mut self,
        then: AfterRegistry,
        applied: bool,
        cx: &mut Ctx<Self>,
    ) {
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
            AfterRegistry::Gone(id) => slaves::gone::gone(state, &id, now, fx),
            AfterRegistry::Drained(id) => slaves::drain::drained(state, &id, fx),
            AfterRegistry::Pruned(ids) => state.slaves.prune(&ids),
            AfterRegistry::Removed(id, replacement) => {
                slaves::lost::removed(state, &id, replacement.is_some(), now, fx);
                if let Some((from, message)) = replacement {
                    slaves::register::register(state, &from, *message, fx);
                }
            }
        });
    }

    /// An observer heard of a slave again that it had called silent.
    pub(crate) fn slave_spoke(&mut self, id: &SlaveId, cx: &mut Ctx<Self>) {
        self.decide(cx, |state, fx: &mut Effects| slaves::removal::spared(state, id, fx));
    }
}
