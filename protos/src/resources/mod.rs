//! What a host has and a task needs.
//!
//! A [`Resources`] is a sum: amounts that differ only in quantity are merged; those that differ in
//! name, reservation, disk, provider, revocability or allocation stay apart. Persistent volumes and
//! exclusive disks are taken whole; a shared volume is counted, once for each that holds it.

mod convert;
mod entry;
mod parse;
mod render;
mod value;

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;

use crate::mesos;
use crate::mesos::resource::ReservationInfo;
use value::{Amount, coalesce, from_fixed};

pub use convert::is_volume;
pub use value::AmountError;
pub(crate) use value::{parse_amount, print_amount};

/// A resource is not valid.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ResourceError {
    /// A text does not follow `name[(role)]:amount;...`.
    #[error("resource '{0}': expected name:amount or name(role):amount")]
    Syntax(String),
    /// The amount cannot be read.
    #[error("resource '{name}': {source}")]
    Amount {
        /// Which resource.
        name: String,
        /// What is wrong.
        source: AmountError,
    },
    /// A message lacks its amount, has a bad one, or contradicts itself.
    #[error("resource '{name}': {problem}")]
    Invalid {
        /// Which resource.
        name: String,
        /// What is wrong.
        problem: String,
    },
    /// A JSON list cannot be read.
    #[error("resources: {0}")]
    Json(String),
}

/// Everything of a resource but its amount.
#[derive(Clone, Debug)]
struct Template {
    /// The message without amount, reservations as a stack.
    message: mesos::Resource,
    /// What decides whether two may be merged, besides the name: the message, encoded.
    identity: Box<[u8]>,
}

#[derive(Clone, PartialEq, Debug)]
struct Entry {
    /// Shared, as most operations change nothing but amounts.
    template: Arc<Template>,
    amount: Amount,
    /// How many times it is here: more than once only for shared volumes that several hold.
    count: u32,
}

/// A sum of resources.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Resources {
    /// Sorted by template; no two are the same.
    entries: Vec<Entry>,
}

impl Resources {
    /// Nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads wire resources; those with the same identity are merged.
    ///
    /// # Errors
    /// [`ResourceError::Invalid`] naming the first resource that breaks a rule.
    pub fn from_wire(wire: &[mesos::Resource]) -> Result<Self, ResourceError> {
        let mut resources = Self::new();
        for resource in wire {
            let entry = Entry::from_wire(resource)?;
            resources.add_entry(entry);
        }
        Ok(resources)
    }

    /// The wire form; reservations in the old fields whenever those can express them.
    pub fn to_wire(&self) -> Vec<mesos::Resource> {
        self.each(Entry::to_wire)
    }

    /// The form of the endpoints: once-reserved and unreserved resources carry the old and the new
    /// fields, refined ones just the new.
    pub fn to_endpoint(&self) -> Vec<mesos::Resource> {
        self.each(Entry::to_endpoint)
    }

    /// The form for peers that know refined reservations: just the new fields.
    pub fn to_refined(&self) -> Vec<mesos::Resource> {
        self.each(Entry::with_amount)
    }

    fn each(&self, form: fn(&Entry) -> mesos::Resource) -> Vec<mesos::Resource> {
        let mut wire = Vec::with_capacity(self.entries.len());
        for entry in &self.entries {
            wire.extend((0..entry.count).map(|_| form(entry)));
        }
        wire
    }

    fn add_entry(&mut self, entry: Entry) {
        if entry.amount.is_empty() {
            return;
        }
        match self.place(&entry.template) {
            Ok(at) => self.entries[at].add(&entry),
            Err(at) => self.entries.insert(at, entry),
        }
    }

    /// Where the entry of that template is, or belongs.
    fn place(&self, template: &Arc<Template>) -> Result<usize, usize> {
        self.entries.binary_search_by(|entry| match Arc::ptr_eq(&entry.template, template) {
            true => Ordering::Equal,
            false => entry.template.cmp(template),
        })
    }

    /// True when there is nothing of anything.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// True when all of `other` is in here.
    pub fn contains(&self, other: &Resources) -> bool {
        other.entries.iter().all(|entry| {
            self.place(&entry.template).is_ok_and(|at| self.entries[at].contains(entry))
        })
    }

    /// The rest after taking `other` away; None unless all of it is here.
    pub fn checked_sub(&self, other: &Resources) -> Option<Resources> {
        self.contains(other).then(|| self.minus(other))
    }

    /// The rest after taking away what of `other` is here.
    pub fn minus(&self, other: &Resources) -> Resources {
        let mut rest = self.clone();
        rest -= other;
        rest
    }

    /// Both together.
    pub fn plus(&self, other: &Resources) -> Resources {
        let mut sum = self.clone();
        sum += other;
        sum
    }

    /// The total of a scalar over all roles and kinds; 0 when there is none.
    pub fn scalar(&self, name: &str) -> f64 {
        let total = self.entries.iter().filter(|e| e.template.name == name).map(Entry::fixed);
        from_fixed(total.sum())
    }

    /// CPUs.
    pub fn cpus(&self) -> f64 {
        self.scalar("cpus")
    }

    /// Memory in MB.
    pub fn mem(&self) -> f64 {
        self.scalar("mem")
    }

    /// Disk in MB.
    pub fn disk(&self) -> f64 {
        self.scalar("disk")
    }

    /// GPUs.
    pub fn gpus(&self) -> f64 {
        self.scalar("gpus")
    }

    /// Ports as sorted, disjoint ranges with both ends.
    pub fn ports(&self) -> Vec<(u64, u64)> {
        let mut all = Vec::new();
        for entry in self.entries.iter().filter(|entry| entry.template.name == "ports") {
            if let Amount::Ranges(ranges) = &entry.amount {
                all.extend(ranges);
            }
        }
        coalesce(all)
    }

    /// Scalars by name, in thousandths: what fair shares are computed from.
    pub fn quantities(&self) -> BTreeMap<String, i64> {
        let mut quantities = BTreeMap::new();
        for entry in &self.entries {
            if let Amount::Scalar(_) = entry.amount {
                *quantities.entry(entry.template.name.clone()).or_insert(0) += entry.fixed();
            }
        }
        quantities
    }

    /// Each scalar's message (without amount) and amount in thousandths; a shared volume once.
    pub fn scalars(&self) -> impl Iterator<Item = (&mesos::Resource, i64)> {
        let scalars = self.entries.iter().filter(|e| matches!(e.amount, Amount::Scalar(_)));
        scalars.map(|entry| (&entry.template.message, entry.fixed()))
    }

    /// Those whose message (without amount) satisfies `keep`.
    pub fn filter(&self, mut keep: impl FnMut(&mesos::Resource) -> bool) -> Resources {
        let entries = self.entries.iter().filter(|entry| keep(&entry.template));
        Resources { entries: entries.cloned().collect() }
    }

    /// Those that no role reserves.
    pub fn unreserved(&self) -> Resources {
        self.filter(|resource| resource.reservations.is_empty())
    }

    /// Those reserved to `role`.
    pub fn reserved_to(&self, role: &str) -> Resources {
        self.filter(|resource| reservation_role(resource) == Some(role))
    }

    /// Reserved ones by role.
    pub fn reservations(&self) -> BTreeMap<String, Resources> {
        let mut by_role: BTreeMap<String, Resources> = BTreeMap::new();
        for entry in &self.entries {
            if let Some(role) = reservation_role(&entry.template) {
                by_role.entry(role.to_owned()).or_default().add_entry(entry.clone());
            }
        }
        by_role
    }

    /// What `role` may be given: unreserved, reserved to it, or reserved to an ancestor of it.
    pub fn available_to(&self, role: &str) -> Resources {
        self.filter(|resource| match reservation_role(resource) {
            None => true,
            Some(owner) => {
                owner == role || role.strip_prefix(owner).is_some_and(|rest| rest.starts_with('/'))
            }
        })
    }

    /// Those that may be taken back at any time.
    pub fn revocable(&self) -> Resources {
        self.filter(|resource| resource.revocable.is_some())
    }

    /// Those that may not be taken back.
    pub fn non_revocable(&self) -> Resources {
        self.filter(|resource| resource.revocable.is_none())
    }

    /// The same, allocated to `role`.
    #[must_use]
    pub fn allocated_to(&self, role: &str) -> Resources {
        let info = mesos::resource::AllocationInfo { role: Some(role.to_owned()) };
        self.map(|resource| resource.allocation_info = Some(info.clone()))
    }

    /// The same, allocated to nobody.
    #[must_use]
    pub fn unallocated(&self) -> Resources {
        if self.entries.iter().all(|entry| entry.template.allocation_info.is_none()) {
            return self.clone();
        }
        self.map(|resource| resource.allocation_info = None)
    }

    /// The same without any reservation.
    #[must_use]
    pub fn to_unreserved(&self) -> Resources {
        self.map(|resource| resource.reservations.clear())
    }

    /// Parts by the role they are allocated to; unallocated ones under the empty role.
    pub fn allocations(&self) -> BTreeMap<String, Resources> {
        let mut by_role: BTreeMap<String, Resources> = BTreeMap::new();
        for entry in &self.entries {
            let info = entry.template.allocation_info.as_ref();
            let role = info.and_then(|info| info.role.clone()).unwrap_or_default();
            by_role.entry(role).or_default().add_entry(entry.clone());
        }
        by_role
    }

    fn map(&self, mut change: impl FnMut(&mut mesos::Resource)) -> Resources {
        let mut changed = Resources::new();
        for entry in &self.entries {
            let mut message = entry.template.message.clone();
            change(&mut message);
            let entry = Entry::new(message, entry.amount.clone(), entry.count);
            if !entry.is_whole() && entry.count > 1 {
                // What was a volume is a plain amount now.
                let one = Entry { count: 1, ..entry };
                (0..entry.count).for_each(|_| changed.add_entry(one.clone()));
                continue;
            }
            changed.add_entry(entry);
        }
        changed
    }

    /// Picks `wanted` (whose roles do not matter) out of these: reserved ones first, then
    /// unreserved. None when there is not enough.
    pub fn find(&self, wanted: &Resources) -> Option<Resources> {
        let mut found = Resources::new();
        for want in &wanted.entries {
            let mut missing = want.amount.clone();
            let same_name = |entry: &&Entry| {
                entry.template.name == want.template.name
                    && entry.amount.kind() == want.amount.kind()
                    && entry.template.revocable == want.template.revocable
                    && entry.template.disk == want.template.disk
            };
            let mut candidates: Vec<&Entry> = self.entries.iter().filter(same_name).collect();
            candidates.sort_by_key(|entry| entry.template.reservations.is_empty());
            for candidate in candidates {
                if candidate.is_whole() && candidate.amount != want.amount {
                    continue;
                }
                let taken = candidate.amount.common(&missing);
                missing.subtract(&taken);
                let template = candidate.template.clone();
                found.add_entry(Entry { template, amount: taken, count: 1 });
            }
            if !missing.is_empty() {
                return None;
            }
        }
        Some(found)
    }
}

/// The role of the innermost reservation; None for unreserved resources.
pub fn reservation_role(resource: &mesos::Resource) -> Option<&str> {
    resource.reservations.last().map(ReservationInfo::role)
}

impl std::ops::AddAssign<&Resources> for Resources {
    fn add_assign(&mut self, other: &Resources) {
        for entry in &other.entries {
            self.add_entry(entry.clone());
        }
    }
}

impl std::ops::SubAssign<&Resources> for Resources {
    /// Takes away what of `other` is here.
    fn sub_assign(&mut self, other: &Resources) {
        for entry in &other.entries {
            if let Ok(at) = self.place(&entry.template)
                && self.entries[at].subtract(entry)
            {
                self.entries.remove(at);
            }
        }
    }
}

impl std::iter::Sum for Resources {
    fn sum<I: Iterator<Item = Resources>>(parts: I) -> Resources {
        let mut total = Resources::new();
        parts.for_each(|part| total += &part);
        total
    }
}

#[cfg(test)]
mod tests;
