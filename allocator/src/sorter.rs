//! Dominant resource fairness: who holds the smallest share comes first.
//!
//! A client's dominant share is the largest of its shares of any resource (Ghodsi et al., NSDI
//! 2011, section 4), divided by its weight. Ties go to who was given something less often, then to
//! the smaller name, so that the order never depends on chance.

use std::collections::BTreeMap;
use std::sync::Arc;

/// Amounts by resource name, in thousandths.
pub type Quantities = BTreeMap<String, i64>;

#[derive(Debug, Clone)]
struct Client {
    weight: f64,
    active: bool,
    allocated: Quantities,
    /// How often it was given something.
    allocations: u64,
}

/// Orders clients by their weighted dominant share.
#[derive(Debug, Clone, Default)]
pub struct Sorter {
    total: Quantities,
    clients: BTreeMap<Arc<str>, Client>,
}

impl Sorter {
    /// What there is to share.
    pub fn set_total(&mut self, total: Quantities) {
        self.total = total;
    }

    /// Adds a client of weight 1, active, with nothing; one that is known is left alone.
    pub fn add(&mut self, name: &str) {
        if !self.contains(name) {
            let allocated = Quantities::new();
            let client = Client { weight: 1.0, active: true, allocated, allocations: 0 };
            self.clients.insert(name.into(), client);
        }
    }

    /// Forgets a client.
    pub fn remove(&mut self, name: &str) {
        self.clients.remove(name);
    }

    /// True when the client is known.
    pub fn contains(&self, name: &str) -> bool {
        self.clients.contains_key(name)
    }

    /// True when there is no client.
    pub fn is_empty(&self) -> bool {
        self.clients.is_empty()
    }

    /// What the client holds.
    pub fn held(&self, name: &str) -> Quantities {
        self.clients.get(name).map(|client| client.allocated.clone()).unwrap_or_default()
    }

    /// Whether the client takes part.
    pub fn set_active(&mut self, name: &str, active: bool) {
        if let Some(client) = self.clients.get_mut(name) {
            client.active = active;
        }
    }

    /// The client's weight; what is not a positive number is ignored.
    pub fn set_weight(&mut self, name: &str, weight: f64) {
        if let Some(client) = self.clients.get_mut(name)
            && weight.is_finite()
            && weight > 0.0
        {
            client.weight = weight;
        }
    }

    /// The client was given `quantities`.
    pub fn allocated(&mut self, name: &str, quantities: &Quantities) {
        if let Some(client) = self.clients.get_mut(name) {
            client.allocations += 1;
            for (resource, amount) in quantities {
                match client.allocated.get_mut(resource) {
                    Some(held) => *held += amount,
                    None => {
                        client.allocated.insert(resource.clone(), *amount);
                    }
                }
            }
        }
    }

    /// The client gave `quantities` back.
    pub fn recovered(&mut self, name: &str, quantities: &Quantities) {
        if let Some(client) = self.clients.get_mut(name) {
            for (resource, amount) in quantities {
                if let Some(held) = client.allocated.get_mut(resource) {
                    *held = (*held - amount).max(0);
                }
            }
        }
    }

    /// The client's dominant share of the total, unweighted: 0 to 1.
    pub fn share(&self, name: &str) -> f64 {
        self.clients.get(name).map_or(0.0, |client| self.dominant_share(client))
    }

    fn dominant_share(&self, client: &Client) -> f64 {
        let share = |(resource, held): (&String, &i64)| match self.total.get(resource) {
            Some(total) if *total > 0 => *held as f64 / *total as f64,
            _ => 0.0,
        };
        client.allocated.iter().map(share).fold(0.0, f64::max)
    }

    /// Active clients, who deserves most first.
    pub fn sorted(&self) -> Vec<Arc<str>> {
        let mut keyed: Vec<(f64, u64, &Arc<str>)> = self
            .clients
            .iter()
            .filter(|(_, client)| client.active)
            .map(|(name, c)| (self.dominant_share(c) / c.weight, c.allocations, name))
            .collect();
        keyed.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)).then(a.2.cmp(b.2)));
        keyed.into_iter().map(|(_, _, name)| name.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn amounts(cpus: i64, mem: i64) -> Quantities {
        [("cpus".to_owned(), cpus * 1000), ("mem".to_owned(), mem * 1000)].into()
    }

    /// The example of section 4.1 of the paper: 9 CPUs and 18 GB; A's tasks need <1 CPU, 4 GB>,
    /// B's <3 CPUs, 1 GB>. A ends with three tasks, B with two.
    #[test]
    fn sorter_paper_example_gives_three_and_two_tasks() {
        let mut sorter = Sorter::default();
        sorter.set_total(amounts(9, 18));
        let demands = BTreeMap::from([("a", (1, 4)), ("b", (3, 1))]);
        demands.keys().for_each(|name| sorter.add(name));
        let (mut free, mut tasks) = ((9, 18), BTreeMap::new());
        loop {
            let next = sorter.sorted().into_iter().find(|name| {
                let (cpus, mem) = demands[&**name];
                cpus <= free.0 && mem <= free.1
            });
            let Some(name) = next.map(|name| name.to_string()) else { break };
            let (cpus, mem) = demands[name.as_str()];
            free = (free.0 - cpus, free.1 - mem);
            sorter.allocated(&name, &amounts(cpus, mem));
            *tasks.entry(name).or_insert(0) += 1;
        }
        assert_eq!(tasks, BTreeMap::from([("a".to_owned(), 3), ("b".to_owned(), 2)]));
    }

    #[test]
    fn sorter_weight_doubles_the_share_that_counts_as_equal() {
        let mut sorter = Sorter::default();
        sorter.set_total(amounts(10, 10));
        sorter.add("heavy");
        sorter.add("light");
        sorter.set_weight("heavy", 2.0);
        sorter.allocated("heavy", &amounts(3, 0));
        sorter.allocated("light", &amounts(2, 0));
        assert_eq!(sorter.sorted(), ["heavy".into(), "light".into()]);
        sorter.allocated("heavy", &amounts(2, 0));
        assert_eq!(sorter.sorted(), ["light".into(), "heavy".into()]);
    }

    #[test]
    fn sorter_inactive_client_is_left_out_and_keeps_its_share() {
        let mut sorter = Sorter::default();
        sorter.set_total(amounts(10, 10));
        sorter.add("a");
        sorter.allocated("a", &amounts(5, 1));
        sorter.set_active("a", false);
        assert!(sorter.sorted().is_empty());
        sorter.set_active("a", true);
        assert_eq!(sorter.share("a"), 0.5);
        sorter.recovered("a", &amounts(5, 1));
        assert_eq!(sorter.share("a"), 0.0);
    }
}
