//! Amounts of scalar resources as short vectors: every name has a number.

use std::collections::BTreeMap;
use std::sync::Arc;

use protos::mesos;
use protos::resources::Resources;

/// Amounts by resource name, in thousandths.
pub type Quantities = BTreeMap<String, i64>;

/// Names that nearly every slave has; their numbers never change.
const KNOWN: [&str; 4] = ["cpus", "mem", "disk", "gpus"];

/// The number of a resource's name.
pub(crate) type NameId = usize;

/// Numbers of resource names, given in the order in which they were first seen.
#[derive(Debug, Clone)]
pub(crate) struct Names(Vec<Arc<str>>);

impl Default for Names {
    fn default() -> Self {
        Self(KNOWN.map(Arc::from).to_vec())
    }
}

impl Names {
    pub(crate) fn id(&mut self, name: &str) -> NameId {
        self.find(name).unwrap_or_else(|| {
            self.0.push(name.into());
            self.0.len() - 1
        })
    }

    pub(crate) fn find(&self, name: &str) -> Option<NameId> {
        self.0.iter().position(|known| **known == *name)
    }

    pub(crate) fn name(&self, id: NameId) -> &str {
        self.0.get(id).map_or("", |name| name)
    }

    /// The scalars of `resources` whose message satisfies `keep`.
    pub(crate) fn sum(
        &mut self,
        resources: &Resources,
        mut keep: impl FnMut(&mesos::Resource) -> bool,
    ) -> Amounts {
        let mut sum = Amounts::default();
        for (resource, amount) in resources.scalars() {
            if keep(resource) {
                *sum.at(self.id(&resource.name)) += amount;
            }
        }
        sum
    }

    pub(crate) fn amounts(&mut self, quantities: &Quantities) -> Amounts {
        let mut amounts = Amounts::default();
        for (name, amount) in quantities {
            *amounts.at(self.id(name)) += amount;
        }
        amounts
    }

    pub(crate) fn quantities(&self, amounts: &Amounts) -> Quantities {
        let named = amounts.iter().filter(|(_, amount)| *amount != 0);
        named.map(|(id, amount)| (self.name(id).to_owned(), amount)).collect()
    }
}

/// Amounts by number of name, in thousandths; absent ones are zero.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Amounts {
    known: [i64; KNOWN.len()],
    more: Vec<i64>,
}

impl Amounts {
    pub(crate) fn get(&self, id: NameId) -> i64 {
        let more = || self.more.get(id - KNOWN.len()).copied().unwrap_or(0);
        self.known.get(id).copied().unwrap_or_else(more)
    }

    pub(crate) fn at(&mut self, id: NameId) -> &mut i64 {
        if id < KNOWN.len() {
            return &mut self.known[id];
        }
        let index = id - KNOWN.len();
        if self.more.len() <= index {
            self.more.resize(index + 1, 0);
        }
        &mut self.more[index]
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (NameId, i64)> {
        self.known.iter().chain(&self.more).copied().enumerate()
    }

    pub(crate) fn add(&mut self, other: &Amounts) {
        self.change(other, |mine, theirs| mine + theirs);
    }

    /// Takes away what is there; nothing falls below zero.
    pub(crate) fn subtract(&mut self, other: &Amounts) {
        self.change(other, |mine, theirs| (mine - theirs).max(0));
    }

    /// The larger of both, for each name.
    pub(crate) fn widen(&mut self, other: &Amounts) {
        self.change(other, i64::max);
    }

    fn change(&mut self, other: &Amounts, change: impl Fn(i64, i64) -> i64) {
        for (mine, theirs) in self.known.iter_mut().zip(&other.known) {
            *mine = change(*mine, *theirs);
        }
        if self.more.len() < other.more.len() {
            self.more.resize(other.more.len(), 0);
        }
        for (mine, theirs) in self.more.iter_mut().zip(&other.more) {
            *mine = change(*mine, *theirs);
        }
    }

    pub(crate) fn is_zero(&self) -> bool {
        self.iter().all(|(_, amount)| amount == 0)
    }

    /// The largest part of `total` that these are of any resource: 0 to 1.
    pub(crate) fn dominant_share(&self, total: &Amounts) -> f64 {
        let share = |(id, held): (NameId, i64)| match total.get(id) {
            0 => 0.0,
            total => held as f64 / total as f64,
        };
        self.iter().map(share).fold(0.0, f64::max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_of_any_name_add_up_and_stop_at_zero() {
        let mut names = Names::default();
        let resources: Resources = "cpus:1.5;licences:3;cpus(web):1;ports:[1-2]".parse().unwrap();
        let mut held = names.sum(&resources, |_| true);
        held.add(&names.amounts(&[("licences".to_owned(), 1000)].into()));
        let expected = Quantities::from([("cpus".to_owned(), 2500), ("licences".to_owned(), 4000)]);
        assert_eq!(names.quantities(&held), expected);
        held.subtract(&names.amounts(&[("cpus".to_owned(), 9000)].into()));
        assert_eq!((held.get(0), held.is_zero()), (0, false));
    }

    #[test]
    fn amounts_dominant_share_is_the_largest_and_ignores_what_there_is_not() {
        let mut names = Names::default();
        let total = names.amounts(&[("cpus".to_owned(), 9000), ("mem".to_owned(), 18_000)].into());
        let held = names.amounts(
            &[("cpus".to_owned(), 3000), ("mem".to_owned(), 1000), ("disk".to_owned(), 7)].into(),
        );
        assert_eq!(held.dominant_share(&total), 1.0 / 3.0);
    }
}
