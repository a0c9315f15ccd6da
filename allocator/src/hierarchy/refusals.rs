//! Who refused what of a slave, and until when.
//!
//! A refusal hides what is a part of what was refused. Most frameworks refuse the same thing, all
//! that was left; so what was refused is kept once for each slave, and whether it covers what is left
//! now is found out once, not once for each framework.

use std::sync::Arc;

use libprocess::Time;
use protos::resources::Resources;

use super::ClientIx;

/// Distinct things refused that are looked through before another copy is kept.
const SCAN: usize = 64;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Refusal {
    client: u32,
    set: u32,
    until: Time,
}

/// What was refused, and what is known of it since the slave last changed: of which views it is
/// known, and which it covers.
#[derive(Debug)]
struct Refused {
    resources: Arc<Resources>,
    users: usize,
    known: u64,
    covers: u64,
}

/// The refusals on one slave.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    /// By client.
    list: Vec<Refusal>,
    sets: Vec<Option<Refused>>,
    /// The earliest end of a refusal.
    pub(super) next_end: Option<Time>,
}

impl Refusals {
    fn range(&self, client: ClientIx) -> std::ops::Range<usize> {
        let key = u32::try_from(client).unwrap_or(u32::MAX);
        let start = self.list.partition_point(|refusal| refusal.client < key);
        let mut end = start;
        while self.list.get(end).is_some_and(|refusal| refusal.client == key) {
            end += 1;
        }
        start..end
    }

    pub(super) fn add(&mut self, client: ClientIx, resources: &Resources, until: Time) {
        let place = self.range(client).end;
        let set = self.intern(resources);
        let client = u32::try_from(client).unwrap_or(u32::MAX);
        self.list.insert(place, Refusal { client, set, until });
        self.next_end = Some(self.next_end.map_or(until, |end| end.min(until)));
    }

    fn intern(&mut self, resources: &Resources) -> u32 {
        let same = |set: &Option<Refused>| set.as_ref().is_some_and(|s| *s.resources == *resources);
        let found = self.sets.iter().take(SCAN).position(same);
        let ix =
            found.or_else(|| self.sets.iter().position(Option::is_none)).unwrap_or_else(|| {
                self.sets.push(None);
                self.sets.len() - 1
            });
        let new = || Refused { resources: resources.clone().into(), users: 0, known: 0, covers: 0 };
        self.sets[ix].get_or_insert_with(new).users += 1;
        u32::try_from(ix).unwrap_or(u32::MAX)
    }

    fn drop_user(&mut self, set: u32) {
        if let Some(slot) = self.sets.get_mut(set as usize)
            && let Some(refused) = slot
        {
            refused.users -= 1;
            if refused.users == 0 {
                *slot = None;
            }
        }
    }

    /// The slave changed: what is known of coverage is void.
    pub(super) fn changed(&mut self) {
        for refused in self.sets.iter_mut().flatten() {
            (refused.known, refused.covers) = (0, 0);
        }
    }

    /// The refusal that hides all of the view with that number (below 64, if it is to be
    /// remembered) from the client: until when.
    pub(super) fn covering(
        &mut self,
        client: ClientIx,
        view: usize,
        resources: &Resources,
        now: Time,
    ) -> Option<Time> {
        let bit = if view < 64 { 1_u64 << view } else { 0 };
        for place in self.range(client) {
            let Refusal { set, until, .. } = self.list[place];
            let Some(Some(refused)) = self.sets.get_mut(set as usize) else { continue };
            if until <= now {
                continue;
            }
            if refused.known & bit == 0 {
                let covers = refused.resources.contains(resources);
                refused.known |= bit;
                refused.covers = if covers { refused.covers | bit } else { refused.covers & !bit };
                if covers {
                    return Some(until);
                }
            } else if refused.covers & bit != 0 {
                return Some(until);
            }
        }
        None
    }

    /// The refusal that hides `offer` from the client: until when.
    pub(super) fn hiding(&self, client: ClientIx, offer: &Resources, now: Time) -> Option<Time> {
        let refusals = self.list[self.range(client)].iter().filter(|refusal| now < refusal.until);
        let hides = |refusal: &&Refusal| {
            let set = self.sets.get(refusal.set as usize).and_then(Option::as_ref);
            set.is_some_and(|refused| refused.resources.contains(offer))
        };
        refusals.filter(hides).map(|refusal| refusal.until).max()
    }

    /// Forgets those of a client; how many there were.
    pub(super) fn forget(&mut self, client: ClientIx) -> usize {
        let range = self.range(client);
        let gone: Vec<Refusal> = self.list.drain(range).collect();
        gone.iter().for_each(|refusal| self.drop_user(refusal.set));
        gone.len()
    }

    /// Drops what has run out, telling the client of each.
    pub(super) fn expire(&mut self, now: Time, mut gone: impl FnMut(ClientIx)) {
        if self.next_end.is_none_or(|end| now < end) {
            return;
        }
        let list = std::mem::take(&mut self.list);
        self.next_end = None;
        for refusal in list {
            if now < refusal.until {
                self.next_end =
                    Some(self.next_end.map_or(refusal.until, |end| end.min(refusal.until)));
                self.list.push(refusal);
            } else {
                gone(refusal.client as ClientIx);
                self.drop_user(refusal.set);
            }
        }
    }

    /// The clients of all refusals, one for each.
    pub(super) fn clients(&self) -> impl Iterator<Item = ClientIx> {
        self.list.iter().map(|refusal| refusal.client as ClientIx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn r(text: &str) -> Resources {
        text.parse().unwrap()
    }

    fn at(seconds: u64) -> Time {
        Time::from_nanos(seconds * 1_000_000_000)
    }

    #[test]
    fn refusals_of_the_same_thing_are_kept_once() {
        let mut refusals = Refusals::default();
        for client in [3, 1, 2, 1] {
            refusals.add(client, &r("cpus:2"), at(5));
        }
        assert_eq!((refusals.list.len(), refusals.sets.len()), (4, 1));
        assert_eq!(refusals.clients().collect::<Vec<_>>(), [1, 1, 2, 3]);
        assert_eq!((refusals.forget(1), refusals.forget(1)), (2, 0));
        refusals.forget(2);
        refusals.forget(3);
        assert!(refusals.sets[0].is_none());
    }

    #[test]
    fn refusal_covers_until_the_slave_changes_or_time_is_up() {
        let mut refusals = Refusals::default();
        refusals.add(1, &r("cpus:2"), at(5));
        for _ in 0..2 {
            assert_eq!(refusals.covering(1, 0, &r("cpus:2"), at(0)), Some(at(5)));
        }
        assert_eq!(refusals.covering(1, 1, &r("cpus:3"), at(0)), None);
        assert_eq!(refusals.covering(2, 0, &r("cpus:2"), at(0)), None);
        refusals.changed();
        assert_eq!(refusals.covering(1, 0, &r("cpus:3"), at(0)), None);
        assert_eq!(refusals.hiding(1, &r("cpus:1"), at(4)), Some(at(5)));
        assert_eq!(refusals.hiding(1, &r("cpus:1"), at(5)), None);
        let mut gone = Vec::new();
        refusals.expire(at(4), |client| gone.push(client));
        refusals.expire(at(5), |client| gone.push(client));
        assert_eq!((gone, refusals.next_end), (vec![1], None));
    }
}
