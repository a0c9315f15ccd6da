//! Random lives: the books balance, and nothing is left that somebody could have had.

use super::*;
use proptest::prelude::*;

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
    Quota(u8, u8, u8),
    Activate(u8, bool),
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
        (0..3_u8, 0..9_u8, 0..9_u8).prop_map(|(role, g, l)| Step::Quota(role, g, l)),
        (0..4_u8, any::<bool>()).prop_map(|(f, active)| Step::Activate(f, active)),
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
            let ran = matches!(step, Step::Run);
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
                Step::Quota(role, guarantee, limit) => {
                    let of = |cpus: u8| r(&format!("cpus:{cpus}")).quantities();
                    let limits = if limit == 0 { BTreeMap::new() } else { of(limit) };
                    let quota = Quota { guarantees: of(guarantee), limits };
                    hierarchy.update_quota(&format!("r{role}"), &quota);
                }
                Step::Activate(f, active) => hierarchy.set_framework_active(&framework(f), active),
            }
            if ran {
                for role in 0..3 {
                    let role = Some(format!("r{role}"));
                    let asked = Question { role, ..Question::default() };
                    for standing in hierarchy.explain(&asked, now).standings {
                        for (slave, reason) in standing.slaves {
                            let left = matches!(reason, Reason::Next(_));
                            prop_assert!(!left, "{} on {}: {}", standing.framework, slave, reason);
                        }
                    }
                }
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
