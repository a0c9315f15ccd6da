//! Lives and timers, found by their number alone: each event looks for one of each.

use super::queue::LifeId;
use super::state::Life;
use crate::driver::{Fire, TimerId};

/// All lives so far, by number.
#[derive(Default)]
pub(super) struct Lives(Vec<Option<Box<Life>>>);

impl Lives {
    /// Adds a life under a number that none had before.
    pub(super) fn insert(&mut self, life: Life) -> LifeId {
        self.0.push(Some(Box::new(life)));
        self.0.len() as LifeId - 1
    }

    pub(super) fn get(&self, id: LifeId) -> Option<&Life> {
        self.0.get(id as usize)?.as_deref()
    }

    pub(super) fn get_mut(&mut self, id: LifeId) -> Option<&mut Life> {
        self.0.get_mut(id as usize)?.as_deref_mut()
    }

    pub(super) fn remove(&mut self, id: LifeId) -> Option<Box<Life>> {
        self.0.get_mut(id as usize)?.take()
    }
}

/// The armed timers of a life. Slots are used again; how often one was is part of a timer's number.
#[derive(Default)]
pub(super) struct Timers {
    slots: Vec<(u32, Option<Fire>)>,
    free: Vec<u32>,
}

impl Timers {
    pub(super) fn insert(&mut self, fire: Fire) -> TimerId {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push((0, None));
            self.slots.len() as u32 - 1
        });
        let (uses, place) = &mut self.slots[slot as usize];
        *uses = uses.wrapping_add(1);
        *place = Some(fire);
        u64::from(*uses) << 32 | u64::from(slot)
    }

    /// Takes a timer out; None when it fired or was disarmed before.
    pub(super) fn remove(&mut self, id: TimerId) -> Option<Fire> {
        let slot = id as u32;
        let (uses, place) = self.slots.get_mut(slot as usize)?;
        let fire = if u64::from(*uses) == id >> 32 { place.take() } else { None };
        if fire.is_some() {
            self.free.push(slot);
        }
        fire
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timer_that_fired_is_not_found_again_even_when_its_slot_is_used_again() {
        let mut timers = Timers::default();
        let first = timers.insert(Box::new(|| ()));
        assert!(timers.remove(first).is_some());
        assert!(timers.remove(first).is_none());
        let second = timers.insert(Box::new(|| ()));
        assert!(timers.remove(first).is_none());
        assert!(timers.remove(second).is_some());
        assert!(timers.remove(u64::MAX).is_none());
    }
}
