//! `/roles`.

use std::collections::{BTreeMap, BTreeSet};

use libprocess::Ctx;
use libprocess::http::{Answer, Request};
use protos::resources::Resources;
use serde_json::{Map, Value, json};

use super::render::{Job, Writer};
use crate::Master;
use crate::state::State;

impl Master {
    pub(super) fn http_roles(&mut self, request: Request, cx: &mut Ctx<Self>) -> Answer {
        self.guarded(request, cx, |master, request, cx| master.document(request, cx, render))
    }
}

/// What a role and all below it hold.
#[derive(Default)]
struct Held {
    allocated: Resources,
    offered: Resources,
    reserved: Resources,
    frameworks: BTreeSet<String>,
}

async fn render(job: Job) -> Writer {
    let (state, viewer) = (&*job.state, &job.viewer);
    let held = held(state);
    let names = names(state, &held);
    let roles = names.iter().filter(|role| viewer.role(role)).map(|role| entry(state, role, &held));
    let mut writer = Writer::object();
    writer.list("roles", roles).await;
    writer.close()
}

fn held(state: &State) -> BTreeMap<String, Held> {
    let mut by_role: BTreeMap<String, Held> = BTreeMap::new();
    for framework in state.frameworks.iter() {
        for role in framework.roles() {
            let held = by_role.entry(role).or_default();
            held.frameworks.insert(framework.id.to_string());
        }
        let used: Resources = framework.used().into_values().sum();
        for (role, part) in used.allocations() {
            let held = by_role.entry(role).or_default();
            held.allocated += &part;
            held.frameworks.insert(framework.id.to_string());
        }
        for offer in framework.offers.iter().filter_map(|id| state.offers.get(id)) {
            by_role.entry(offer.role.clone()).or_default().offered += &offer.resources;
        }
    }
    for slave in state.slaves.iter() {
        for (role, part) in slave.total.reservations() {
            by_role.entry(role).or_default().reserved += &part;
        }
    }
    by_role.remove("");
    by_role
}

/// With a whitelist just its roles, else all that matter and their ancestors.
fn names(state: &State, held: &BTreeMap<String, Held>) -> BTreeSet<String> {
    if let Some(listed) = &state.config.roles {
        return listed.clone();
    }
    let known = held.keys().chain(state.weights.keys()).chain(state.quotas.keys());
    let mut names = BTreeSet::new();
    for role in known {
        names.insert(role.clone());
        for (at, _) in role.match_indices('/') {
            names.insert(role[..at].to_owned());
        }
    }
    names
}

fn quantities(resources: &Resources) -> Map<String, Value> {
    let amounts = resources.quantities().into_iter().filter(|(_, amount)| *amount > 0);
    amounts.map(|(name, amount)| (name, (amount as f64 / 1000.0).into())).collect()
}

fn scalars(amounts: &BTreeMap<String, protos::mesos::value::Scalar>) -> Map<String, Value> {
    amounts.iter().map(|(name, scalar)| (name.clone(), scalar.value.into())).collect()
}

fn entry(state: &State, role: &str, by_role: &BTreeMap<String, Held>) -> Value {
    let below = format!("{role}/");
    let here = by_role.iter().filter(|(name, _)| *name == role || name.starts_with(&below));
    let (mut allocated, mut offered) = (Resources::new(), Resources::new());
    let (mut reserved, mut consumed) = (Resources::new(), Resources::new());
    for (_, held) in here {
        allocated += &held.allocated;
        offered += &held.offered;
        reserved += &held.reserved;
        // Quota counts what is allocated and what is reserved without being allocated.
        consumed += &held.allocated.unreserved().unallocated();
        consumed += &held.reserved.to_unreserved();
    }
    let own = by_role.get(role);
    let frameworks: Vec<&String> = own.into_iter().flat_map(|held| &held.frameworks).collect();
    let quota = state.quotas.get(role).cloned().unwrap_or_default();
    json!({
        "name": role,
        "weight": state.weights.get(role).copied().unwrap_or(1.0),
        "quota": {
            "role": role,
            "guarantee": scalars(&quota.guarantees),
            "limit": scalars(&quota.limits),
            "consumed": quantities(&consumed),
        },
        "resources": quantities(&allocated.plus(&offered)),
        "allocated": quantities(&allocated),
        "offered": quantities(&offered),
        "reserved": quantities(&reserved),
        "frameworks": frameworks,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::*;

    #[test]
    fn role_counts_what_is_below_it() {
        let mut state = cluster();
        state.frameworks.get_mut(&f()).unwrap().info.role = Some("eng/web".into());
        state.quotas.insert("eng".into(), Default::default());
        state.weights.insert("ops/a".into(), 2.0);
        let held = held(&state);
        let names: Vec<_> = names(&state, &held).into_iter().collect();
        assert_eq!(names, ["eng", "eng/web", "ops", "ops/a"]);
        running(&mut state, "t");
        let entry = entry(&state, "*", &super::held(&state));
        assert_eq!(entry["allocated"], json!({"cpus": 1.0}));
        assert_eq!(entry["quota"]["consumed"], json!({"cpus": 1.0}));
        assert_eq!(entry["weight"], json!(1.0));
    }
}
