//! How fast slaves are marked unreachable: flag `agent_removal_rate_limit`.

use std::time::Duration;

use libprocess::Time;
use protos::ids::SlaveId;

use crate::effects::{AfterRegistry, Effect, Effects, Reminder};
use crate::registrar::Operation;
use crate::state::State;

/// A slave is to be marked unreachable, at once or when its turn comes.
pub(crate) fn schedule(state: &mut State, id: &SlaveId, now: Time, fx: &mut Effects) {
    if state.slaves.is_changing(id) {
        return;
    }
    let Some(bucket) = &mut state.removals else {
        fx.count("master/slave_unreachable_scheduled");
        fx.count("master/slave_shutdowns_scheduled");
        return mark(state, id, now, fx);
    };
    if !state.slaves.doom(id) {
        return;
    }
    fx.count("master/slave_unreachable_scheduled");
    fx.count("master/slave_shutdowns_scheduled");
    match bucket.turn(now) {
        Duration::ZERO => turn_came(state, id, now, fx),
        wait => fx.push(Effect::Remind(wait, Reminder::SlaveDoomed(id.clone()))),
    }
}

/// The slave's turn has come, unless it was heard of meanwhile.
pub(crate) fn turn_came(state: &mut State, id: &SlaveId, now: Time, fx: &mut Effects) {
    if state.slaves.spare(id) {
        mark(state, id, now, fx);
    }
}

/// The slave was heard of while it waited for its turn.
pub(crate) fn spared(state: &mut State, id: &SlaveId, fx: &mut Effects) {
    if state.slaves.spare(id) {
        fx.note(format!("slave {id} answers again and is not marked unreachable"));
        fx.count("master/slave_unreachable_canceled");
        fx.count("master/slave_shutdowns_canceled");
    }
}

fn mark(state: &mut State, id: &SlaveId, now: Time, fx: &mut Effects) {
    let known = state.slaves.get(id).is_some() || state.slaves.is_recovered(id);
    if known && state.slaves.begin_change(id) {
        let operation = Operation::MarkUnreachable(id.clone(), now);
        fx.registry(operation, AfterRegistry::Unreachable(id.clone()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::Bucket;
    use crate::testing::*;

    #[test]
    fn slaves_wait_for_their_turn_and_may_be_spared() {
        let mut state = cluster();
        let mut bucket = Bucket::new(1.0 / 600.0);
        bucket.turn(NOW);
        state.removals = Some(bucket);
        let fx = decide(&mut state, |state, fx| {
            schedule(state, &s(), NOW, fx);
            schedule(state, &s(), NOW, fx);
        });
        let reminder = Reminder::SlaveDoomed(s());
        let waits: Vec<_> = fx.0.iter().filter(|e| matches!(e, Effect::Remind(..))).collect();
        assert_eq!(waits, [&Effect::Remind(Duration::from_secs(600), reminder)]);
        decide(&mut state, |state, fx| spared(state, &s(), fx));
        assert!(decide(&mut state, |state, fx| turn_came(state, &s(), NOW, fx)).0.is_empty());
        state.removals = None;
        let fx = decide(&mut state, |state, fx| schedule(state, &s(), NOW, fx));
        assert!(fx.0.iter().any(|effect| matches!(effect, Effect::Registry { .. })));
    }
}
