use super::*;
use crate::SlaveSpec;
use proptest::prelude::*;

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
        Self { hierarchy: Hierarchy::new(Config::default()) }
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

#[derive(Debug, Clone)]
enum Step {
    AddFramework(u8, u8),
    RemoveFramework(u8),
    AddSlave(u8, u8),
    RemoveSlave(u8),
    Run,
    Decline(u8),
    Suppress(u8),
    Revive(u8),
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0..4_u8, 0..3_u8).prop_map(|(f, role)| Step::AddFramework(f, role)),
        (0..4_u8).prop_map(Step::RemoveFramework),
        (0..4_u8, 1..9_u8).prop_map(|(s, cpus)| Step::AddSlave(s, cpus)),
        (0..4_u8).prop_map(Step::RemoveSlave),
        Just(Step::Run),
        (0..16_u8).prop_map(Step::Decline),
        (0..4_u8).prop_map(Step::Suppress),
        (0..4_u8).prop_map(Step::Revive),
    ]
}

proptest! {
    /// Whatever happens: total = held + available on every slave, and a run leaves nothing behind
    /// that an unfiltered framework could have.
    #[test]
    fn hierarchy_resources_are_conserved(steps in prop::collection::vec(any_step(), 0..60)) {
        let mut hierarchy = Hierarchy::new(Config::default());
        let mut given: Vec<(FrameworkId, SlaveId, Resources)> = Vec::new();
        for (number, step) in steps.into_iter().enumerate() {
            let now = at(number as u64);
            let framework = |f: u8| FrameworkId::new(format!("f{f}"));
            let slave = |s: u8| SlaveId::new(format!("s{s}"));
            match step {
                Step::AddFramework(f, role) => {
                    hierarchy.remove_framework(&framework(f));
                    given.retain(|(id, _, _)| *id != framework(f));
                    hierarchy.add_framework(framework(f), spec(&format!("r{role}")), true, BTreeMap::new());
                }
                Step::RemoveFramework(f) => {
                    hierarchy.remove_framework(&framework(f));
                    given.retain(|(id, _, _)| *id != framework(f));
                }
                Step::AddSlave(s, cpus) => {
                    given.retain(|(_, id, _)| *id != slave(s));
                    let total = r(&format!("cpus:{cpus};mem:100;cpus(r1):1"));
                    hierarchy.add_slave(slave(s), SlaveSpec::default(), total, BTreeMap::new());
                }
                Step::RemoveSlave(s) => {
                    given.retain(|(_, id, _)| *id != slave(s));
                    hierarchy.remove_slave(&slave(s));
                }
                Step::Run => {
                    let all = hierarchy.slave_ids();
                    for (id, by_role) in hierarchy.allocate(&all, now) {
                        for (slave, resources) in by_role.into_values().flatten() {
                            given.push((id.clone(), slave, resources));
                        }
                    }
                }
                Step::Decline(at) if !given.is_empty() => {
                    let (id, slave, resources) = given.remove(usize::from(at) % given.len());
                    hierarchy.recover_resources(&id, &slave, &resources, Some(3 * SECOND), now);
                }
                Step::Decline(_) => {}
                Step::Suppress(f) => hierarchy.suppress(&framework(f), &BTreeSet::new()),
                Step::Revive(f) => hierarchy.revive(&framework(f), &BTreeSet::new()),
            }
            for id in hierarchy.slave_ids() {
                let (total, held, available) = hierarchy.slave(&id).unwrap();
                prop_assert_eq!(&held.plus(&available), &total);
                let known: Resources = given
                    .iter()
                    .filter(|(_, slave, _)| *slave == id)
                    .map(|(_, _, resources)| resources.unallocated())
                    .sum();
                prop_assert_eq!(known, held);
            }
        }
    }
}
