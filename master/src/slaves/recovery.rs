//! Slaves of an earlier master: known from the registry, expected back.

use libprocess::Time;
use protos::ids::SlaveId;

use super::removal;
use crate::effects::{AfterRegistry, Effect, Effects, Reminder};
use crate::registrar::{Operation, Registry, expired};
use crate::state::State;

/// Takes over what the registry held when this master was elected.
pub(crate) fn recovered(state: &mut State, registry: Registry, now: Time) {
    let mut admitted = std::collections::BTreeMap::new();
    for (id, slave) in registry.slaves {
        let slave = slave.read();
        state.slaves.plan(&id, slave.drain_info, slave.deactivated());
        admitted.insert(id, slave.info);
    }
    for (id, away) in &registry.unreachable {
        state.slaves.plan(id, away.drain_info, away.deactivated);
    }
    let unreachable = registry.unreachable.into_iter().map(|(id, away)| (id, away.since)).collect();
    state.slaves.recover(admitted, unreachable, registry.gone);
    state.maintenance.schedule = registry.schedule;
    state.maintenance.machines = registry.machines;
    state.quotas = registry.quotas;
    if !registry.weights.is_empty() {
        state.weights = registry.weights;
    }
    state.elected = Some(now);
}

/// The time that they had to come back is over: those still absent are unreachable, unless they are so
/// many that something else must be wrong.
pub(crate) fn timed_out(state: &mut State, now: Time, fx: &mut Effects) {
    let absent: Vec<SlaveId> = state.slaves.recovered().keys().cloned().collect();
    let all = state.slaves.recovered_at_first();
    if all == 0 || absent.is_empty() {
        return;
    }
    let share = absent.len() as f64 / all as f64;
    if share > state.config.recovery_agent_removal_limit {
        let (count, limit) = (absent.len(), state.config.recovery_agent_removal_limit * 100.0);
        let why = format!(
            "{count} of {all} slaves did not come back after the failover, more than {limit}%"
        );
        return fx.push(Effect::GiveUp(why));
    }
    for id in absent {
        fx.count("master/recovery_slave_removals");
        removal::schedule(state, &id, now, fx);
    }
}

/// Forgets slaves that have been unreachable or gone for long.
pub(crate) fn collect(state: &mut State, now: Time, fx: &mut Effects) {
    let config = &state.config;
    fx.push(Effect::Remind(config.registry_gc_interval, Reminder::RegistryGc));
    let lists = [state.slaves.unreachable(), state.slaves.gone()];
    let due = expired(lists, now, config.registry_max_agent_age, config.registry_max_agent_count);
    if !due.is_empty() {
        fx.note(format!("{} slaves are forgotten", due.len()));
        let then = AfterRegistry::Pruned(due.clone());
        fx.registry(Operation::Prune(due), then);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::*;
    use protos::mesos::internal::LostSlaveMessage;

    /// A master that found `count` slaves in the registry.
    fn found(count: usize) -> State {
        let mut state = cluster();
        let mut registry = Registry::default();
        for number in 0..count {
            let id = SlaveId::new(format!("old{number}"));
            registry.slaves.insert(id, Default::default());
        }
        super::recovered(&mut state, registry, NOW);
        state
    }

    #[test]
    fn slaves_absent_after_a_failover_become_unreachable() {
        let mut state = found(2);
        let fx = decide(&mut state, |state, fx| timed_out(state, NOW, fx));
        let marked = fx.0.iter().filter(|effect| matches!(effect, Effect::Registry { .. }));
        assert_eq!(marked.count(), 2);
        let id = SlaveId::new("old0");
        let fx = decide(&mut state, |state, fx| {
            crate::slaves::lost::unreachable(state, &id, NOW, fx);
        });
        assert_eq!(fx.sent::<LostSlaveMessage>().len(), 1);
        assert!(state.slaves.unreachable_since(&id).is_some());
    }

    #[test]
    fn too_many_absent_slaves_end_the_master_instead() {
        let mut state = found(2);
        std::sync::Arc::make_mut(&mut state.config).recovery_agent_removal_limit = 0.5;
        let fx = decide(&mut state, |state, fx| timed_out(state, NOW, fx));
        assert!(matches!(fx.0[..], [Effect::GiveUp(_)]));
    }

    #[test]
    fn slaves_long_unreachable_are_forgotten_by_the_registry_first() {
        let mut state = cluster();
        state.slaves.lose(&s(), NOW);
        let later = NOW + state.config.registry_max_agent_age * 2;
        let fx = decide(&mut state, |state, fx| collect(state, later, fx));
        let pruned = AfterRegistry::Pruned(vec![s()]);
        let operation = Box::new(Operation::Prune(vec![s()]));
        assert!(fx.0.contains(&Effect::Registry { operation, then: pruned }));
        assert!(state.slaves.unreachable_since(&s()).is_some());
    }
}
