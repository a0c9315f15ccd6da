//! Who comes first: siblings by weighted dominant share, level by level.
//!
//! A dominant share is the largest share of any resource (Ghodsi et al., NSDI 2011, section 4). Ties
//! go to who was given something less often, then to the smaller name, so that the order never
//! depends on chance. A role's own frameworks together stand beside the roles below it.

use super::roles::{ROOT, Role, RoleIx, Roles};
use super::{Client, ClientIx};
use crate::amounts::Amounts;
use crate::config::Order;

/// What stands below a role.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Slot {
    /// Its own frameworks.
    Own,
    /// Another role.
    Below(RoleIx),
}

/// Chance for lots, from a seed: xorshift64*.
#[derive(Debug, Clone)]
pub(super) struct Lots(pub(super) u64);

impl Lots {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    /// From above 0 to 1.
    fn fraction(&mut self) -> f64 {
        ((self.next() >> 11) + 1) as f64 / (1_u64 << 53) as f64
    }

    pub(super) fn shuffle<T>(&mut self, items: &mut [T]) {
        for end in (1..items.len()).rev() {
            let other = self.next() % (end as u64 + 1);
            items.swap(end, usize::try_from(other).unwrap_or(0));
        }
    }

    /// Each comes first in proportion to its weight (Efraimidis and Spirakis, 2006).
    fn weighted_shuffle<T: Copy>(&mut self, items: &mut [T], weight: impl Fn(T) -> f64) {
        let mut keyed: Vec<(f64, T)> =
            items.iter().map(|item| (-self.fraction().ln() / weight(*item), *item)).collect();
        keyed.sort_by(|a, b| a.0.total_cmp(&b.0));
        items.iter_mut().zip(keyed).for_each(|(item, (_, drawn))| *item = drawn);
    }
}

/// What decides between siblings.
type Rank = (f64, u64);

fn by_rank(a: Rank, b: Rank) -> std::cmp::Ordering {
    a.0.total_cmp(&b.0).then(a.1.cmp(&b.1))
}

impl Roles {
    fn rank(&self, of: RoleIx, slot: Slot) -> Rank {
        let role = self.get(of);
        match slot {
            Slot::Own => (role.own.dominant_share(&self.total), role.own_grants),
            Slot::Below(ix) => {
                let below = self.get(ix);
                (below.held.fair.dominant_share(&self.total) / self.weight(ix), below.grants)
            }
        }
    }

    fn slot_name(&self, slot: Slot) -> &str {
        match slot {
            Slot::Own => "",
            Slot::Below(ix) => &self.get(ix).name,
        }
    }

    fn client_rank(clients: &[Client], total: &Amounts, ix: ClientIx) -> Rank {
        (clients[ix].held.fair.dominant_share(total), clients[ix].grants)
    }

    /// Sorts what is not sorted, below `ix`; true when somebody there takes part.
    fn sort(&mut self, ix: RoleIx, clients: &[Client]) -> bool {
        if self.get(ix).is_sorted {
            return !self.get(ix).order.is_empty();
        }
        let children: Vec<RoleIx> = self.get(ix).children.values().copied().collect();
        let mut order: Vec<Slot> = Vec::new();
        for child in children {
            if self.sort(child, clients) {
                order.push(Slot::Below(child));
            }
        }
        let mut own: Vec<(Rank, ClientIx)> = Vec::new();
        for client in self.get(ix).members.values().filter(|client| clients[**client].active) {
            own.push((Self::client_rank(clients, &self.total, *client), *client));
        }
        // Members come sorted by name, and the sort is stable.
        own.sort_by(|a, b| by_rank(a.0, b.0));
        if !own.is_empty() {
            order.push(Slot::Own);
        }
        let mut ranked: Vec<(Rank, Slot)> =
            order.into_iter().map(|slot| (self.rank(ix, slot), slot)).collect();
        ranked.sort_by(|a, b| {
            let names = || self.slot_name(a.1).cmp(self.slot_name(b.1));
            by_rank(a.0, b.0).then_with(names)
        });
        let role = self.get_mut(ix);
        role.order = ranked.into_iter().map(|(_, slot)| slot).collect();
        role.own_order = own.into_iter().map(|(_, client)| client).collect();
        role.is_sorted = true;
        !role.order.is_empty()
    }

    /// All clients that take part, in order.
    pub(super) fn flatten(&mut self, clients: &[Client], lots: &mut Lots) {
        let by_lot = self.order == Order::Random || self.framework_order == Order::Random;
        if self.is_flat && !by_lot {
            return;
        }
        self.note_stale();
        self.sort(ROOT, clients);
        let mut flat = std::mem::take(&mut self.flat);
        flat.clear();
        self.walk(ROOT, lots, &mut flat);
        (self.flat, self.is_flat) = (flat, true);
    }

    fn walk(&self, ix: RoleIx, lots: &mut Lots, flat: &mut Vec<ClientIx>) {
        let role = self.get(ix);
        let drawn: Vec<Slot>;
        let mut order = &role.order;
        if self.order == Order::Random && order.len() > 1 {
            let mut slots = order.clone();
            lots.weighted_shuffle(&mut slots, |slot| match slot {
                Slot::Own => 1.0,
                Slot::Below(ix) => self.weight(ix),
            });
            drawn = slots;
            order = &drawn;
        }
        for slot in order {
            match slot {
                Slot::Below(below) => self.walk(*below, lots, flat),
                Slot::Own => {
                    let start = flat.len();
                    flat.extend(&role.own_order);
                    if self.framework_order == Order::Random {
                        lots.shuffle(&mut flat[start..]);
                    }
                }
            }
        }
    }

    /// A client was given something: it, its role and those above move back among their siblings.
    pub(super) fn move_back(&mut self, client: ClientIx, clients: &[Client]) {
        self.is_flat = false;
        if self.is_stale {
            return;
        }
        let (mut ix, total) = (clients[client].role, self.total.clone());
        if self.get(ix).is_sorted {
            let role = self.get_mut(ix);
            let Role { own_order, .. } = role;
            let rank = |ix: ClientIx| Self::client_rank(clients, &total, ix);
            let name = |ix: ClientIx| &clients[ix].framework_id;
            let after = |a: ClientIx, b: ClientIx| {
                by_rank(rank(a), rank(b)).then_with(|| name(a).cmp(name(b))).is_lt()
            };
            reposition(own_order, client, after);
        }
        let mut slot = Slot::Own;
        loop {
            if self.get(ix).is_sorted {
                let mut order = std::mem::take(&mut self.get_mut(ix).order);
                reposition(&mut order, slot, |a, b| {
                    let names = || self.slot_name(a).cmp(self.slot_name(b));
                    by_rank(self.rank(ix, a), self.rank(ix, b)).then_with(names).is_lt()
                });
                self.get_mut(ix).order = order;
            }
            if ix == ROOT {
                return;
            }
            slot = Slot::Below(ix);
            ix = self.get(ix).parent;
        }
    }
}

/// Moves `item` behind those that come before it now; the others are in order.
fn reposition<T: Copy + PartialEq>(order: &mut [T], item: T, is_before: impl Fn(T, T) -> bool) {
    let Some(at) = order.iter().position(|other| *other == item) else { return };
    let behind = order[at + 1..].partition_point(|other| is_before(*other, item));
    order[at..=at + behind].rotate_left(1);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lots_fall_in_proportion_to_weights() {
        let mut lots = Lots(7);
        let mut firsts = [0_u32; 2];
        for _ in 0..4000 {
            let mut items = [0, 1];
            lots.weighted_shuffle(&mut items, |item| if item == 0 { 3.0 } else { 1.0 });
            firsts[items[0]] += 1;
        }
        assert!((2900..3100).contains(&firsts[0]), "{firsts:?}");
    }

    #[test]
    fn reposition_moves_one_item_to_where_it_belongs() {
        let keys = [5, 1, 3, 4];
        let mut order = [0, 1, 2, 3];
        reposition(&mut order, 0, |a: usize, b: usize| keys[a] < keys[b]);
        assert_eq!(order, [1, 2, 3, 0]);
        reposition(&mut order, 2, |a: usize, b: usize| keys[a] < keys[b]);
        assert_eq!(order, [1, 2, 3, 0]);
    }
}
