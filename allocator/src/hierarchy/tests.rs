mod fairness;
mod lives;
mod maintenance;
mod quota;
mod reasons;
mod roles;
mod visibility;

use super::*;
use crate::{Question, Reason, SlaveSpec};

const SECOND: Duration = Duration::from_secs(1);

fn r(text: &str) -> Resources {
    text.parse().unwrap()
}

fn spec(role: &str) -> FrameworkSpec {
    FrameworkSpec { roles: BTreeSet::from([role.to_owned()]), ..Default::default() }
}

fn at(seconds: u64) -> Time {
    Time::from_nanos(seconds * 1_000_000_000)
}

struct World {
    hierarchy: Hierarchy,
}

impl World {
    fn new() -> Self {
        Self::with(Config::default())
    }

    fn with(config: Config) -> Self {
        Self { hierarchy: Hierarchy::new(config) }
    }

    fn framework_of(mut self, id: &str, spec: FrameworkSpec) -> Self {
        self.hierarchy.add_framework(id.into(), spec, true, BTreeMap::new());
        self
    }

    fn slave_of(mut self, id: &str, spec: SlaveSpec, total: &str) -> Self {
        self.hierarchy.add_slave(id.into(), spec, r(total), BTreeMap::new());
        self
    }

    fn quota(mut self, role: &str, guarantees: &str, limits: &str) -> Self {
        let of = |text: &str| text.parse::<crate::Minimum>().unwrap().0.pop().unwrap_or_default();
        let quota = Quota { guarantees: of(guarantees), limits: of(limits) };
        self.hierarchy.update_quota(role, &quota);
        self
    }

    /// Gives all that was offered to a framework on a slave back, without a filter.
    fn give_back(&mut self, framework: &str, slave: &str, role: &str, what: &str) {
        let back = r(what).allocated_to(role);
        let (framework, slave) = (framework.into(), slave.into());
        self.hierarchy.recover_resources(&framework, &slave, &back, None, Time::EPOCH);
    }

    fn refuse(&mut self, framework: &str, slave: &str, role: &str, what: &str) {
        let back = r(what).allocated_to(role);
        let (framework, slave) = (framework.into(), slave.into());
        let long = Some(100 * SECOND);
        self.hierarchy.recover_resources(&framework, &slave, &back, long, Time::EPOCH);
    }

    /// Why the framework is not offered the slave, in all its roles.
    fn why(&mut self, framework: &str, slave: &str) -> Vec<&'static str> {
        let question = Question {
            framework: Some(framework.into()),
            slave: Some(slave.into()),
            ..Question::default()
        };
        let answer = self.hierarchy.explain(&question, Time::EPOCH);
        let reasons = answer.standings.iter().flat_map(|standing| &standing.slaves);
        answer.problem.iter().chain(reasons.map(|(_, reason)| reason)).map(Reason::name).collect()
    }

    fn framework(mut self, id: &str, role: &str) -> Self {
        self.hierarchy.add_framework(id.into(), spec(role), true, BTreeMap::new());
        self
    }

    fn slave(mut self, id: &str, total: &str) -> Self {
        self.hierarchy.add_slave(id.into(), SlaveSpec::default(), r(total), BTreeMap::new());
        self
    }

    /// (framework, slave, cpus) of one run over all slaves.
    fn run(&mut self, now: Time) -> Vec<(String, String, f64)> {
        let slaves = self.hierarchy.slave_ids();
        let mut offers = Vec::new();
        for (framework, by_role) in self.hierarchy.allocate(&slaves, now) {
            for (slave, resources) in by_role.values().flatten() {
                offers.push((framework.to_string(), slave.to_string(), resources.cpus()));
            }
        }
        offers
    }
}

fn offer(framework: &str, slave: &str, cpus: f64) -> (String, String, f64) {
    (framework.into(), slave.into(), cpus)
}

#[test]
fn hierarchy_two_frameworks_share_two_slaves() {
    let mut world = World::new().framework("f1", "*").framework("f2", "*");
    world = world.slave("s1", "cpus:4;mem:512").slave("s2", "cpus:4;mem:512");
    assert_eq!(world.run(at(0)), [offer("f1", "s1", 4.0), offer("f2", "s2", 4.0)]);
    assert_eq!(world.run(at(1)), []);
}

#[test]
fn hierarchy_reserved_resources_go_to_their_role_only() {
    let mut world = World::new().framework("f1", "web").framework("f2", "db");
    world = world.slave("s1", "cpus(db):4;mem(db):512");
    assert_eq!(world.run(at(0)), [offer("f2", "s1", 4.0)]);
}

#[test]
fn hierarchy_refused_slave_comes_back_after_the_filter_ran_out() {
    let mut world = World::new().framework("f1", "*").slave("s1", "cpus:4;mem:512");
    world.run(at(0));
    let all = r("cpus:4;mem:512").allocated_to("*");
    world.hierarchy.recover_resources(&"f1".into(), &"s1".into(), &all, Some(5 * SECOND), at(0));
    assert_eq!(world.run(at(4)), []);
    assert_eq!(world.run(at(5)), [offer("f1", "s1", 4.0)]);
}

#[test]
fn hierarchy_filter_outlives_one_interval_and_does_not_hide_more() {
    let mut world = World::new().framework("f1", "*").slave("s1", "cpus:4;mem:512");
    world.run(at(0));
    let part = r("cpus:1").allocated_to("*");
    let short = Some(Duration::from_millis(1));
    world.hierarchy.recover_resources(&"f1".into(), &"s1".into(), &part, short, Time::EPOCH);
    assert_eq!(world.run(Time::EPOCH + Duration::from_millis(500)), []);
    let more = r("cpus:1").allocated_to("*");
    world.hierarchy.recover_resources(&"f1".into(), &"s1".into(), &more, None, at(0));
    assert_eq!(world.run(Time::EPOCH + Duration::from_millis(600)), [offer("f1", "s1", 2.0)]);
}

#[test]
fn hierarchy_revive_forgets_filters_and_suppression() {
    let mut world = World::new().framework("f1", "*").slave("s1", "cpus:4;mem:512");
    world.hierarchy.suppress(&"f1".into(), &BTreeSet::new());
    assert_eq!(world.run(at(0)), []);
    world.hierarchy.revive(&"f1".into(), &BTreeSet::new());
    assert_eq!(world.run(at(0)).len(), 1);
    let all = r("cpus:4;mem:512").allocated_to("*");
    world.hierarchy.recover_resources(&"f1".into(), &"s1".into(), &all, Some(100 * SECOND), at(0));
    assert_eq!(world.run(at(1)), []);
    world.hierarchy.revive(&"f1".into(), &BTreeSet::from(["*".to_owned()]));
    assert_eq!(world.run(at(1)).len(), 1);
}

#[test]
fn hierarchy_inactive_framework_and_slave_are_left_out() {
    let mut world = World::new().framework("f1", "*").slave("s1", "cpus:4;mem:512");
    world.hierarchy.set_framework_active(&"f1".into(), false);
    assert_eq!(world.run(at(0)), []);
    world.hierarchy.set_framework_active(&"f1".into(), true);
    world.hierarchy.set_slave_active(&"s1".into(), false);
    assert_eq!(world.run(at(0)), []);
    world.hierarchy.set_slave_active(&"s1".into(), true);
    world.hierarchy.update_whitelist(Some(BTreeSet::from(["other".to_owned()])));
    assert_eq!(world.run(at(0)), []);
    world.hierarchy.update_whitelist(None);
    assert_eq!(world.run(at(0)).len(), 1);
}

#[test]
fn hierarchy_removed_framework_frees_what_it_held() {
    let mut world = World::new().framework("f1", "*").slave("s1", "cpus:4;mem:512");
    world.run(at(0));
    world.hierarchy.remove_framework(&"f1".into());
    world = world.framework("f2", "*");
    assert_eq!(world.run(at(1)), [offer("f2", "s1", 4.0)]);
}

#[test]
fn hierarchy_crumbs_are_not_offered() {
    let mut world = World::new().framework("f1", "*").slave("s1", "cpus:0.001;mem:31;disk:99");
    assert_eq!(world.run(at(0)), []);
}

#[test]
fn hierarchy_role_that_was_left_is_forgotten_with_the_last_slave_it_held() {
    let mut world = World::new().framework("f1", "a").slave("s1", "cpus:4;mem:512");
    world.run(at(0));
    world.hierarchy.update_framework(&"f1".into(), spec("b"));
    assert!(world.hierarchy.filters_by_role().contains_key("a"));
    world.hierarchy.remove_slave(&"s1".into());
    assert_eq!(world.hierarchy.filters_by_role().into_keys().collect::<Vec<_>>(), ["b"]);
}

#[test]
fn hierarchy_bad_weight_does_not_replace_a_good_one_when_the_role_comes_back() {
    let mut world = World::new();
    world.hierarchy.update_weights(vec![("a".to_owned(), 3.0)]);
    for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        world.hierarchy.update_weights(vec![("a".to_owned(), bad)]);
    }
    world = world.framework("f1", "a").framework("f2", "b");
    for slave in ["s1", "s2", "s3", "s4"] {
        world = world.slave(slave, "cpus:1;mem:64");
    }
    let offers = world.run(at(0));
    assert_eq!(offers.iter().filter(|(framework, _, _)| framework == "f1").count(), 3);
}
