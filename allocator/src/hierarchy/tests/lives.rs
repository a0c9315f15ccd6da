//! Random lives: the books balance, and nothing is left that somebody could have had.

use super::*;
use proptest::prelude::*;

const ROLES: [&str; 4] = ["a", "a/x", "a/x/y", "b"];

#[derive(Debug, Clone)]
enum Step {
    AddFramework(u8, u8),
    MoveFramework(u8, u8),
    RemoveFramework(u8),
    AddSlave(u8, u8),
    RemoveSlave(u8),
    Run(bool),
    Decline(u8, u8),
    Free(u8),
    Reserve(u8),
    Suppress(u8),
    Revive(u8),
    Quota(u8, u8, u8),
    Activate(u8, bool),
    ActivateSlave(u8, bool),
}

fn any_step() -> impl Strategy<Value = Step> {
    let role = || 0..ROLES.len() as u8;
    prop_oneof![
        (0..4_u8, role()).prop_map(|(f, role)| Step::AddFramework(f, role)),
        (0..4_u8, role()).prop_map(|(f, role)| Step::MoveFramework(f, role)),
        (0..4_u8).prop_map(Step::RemoveFramework),
        (0..4_u8, 1..9_u8).prop_map(|(s, cpus)| Step::AddSlave(s, cpus)),
        (0..4_u8).prop_map(Step::RemoveSlave),
        any::<bool>().prop_map(Step::Run),
        Just(Step::Run(true)),
        (0..16_u8, 0..4_u8).prop_map(|(at, seconds)| Step::Decline(at, seconds)),
        (0..16_u8).prop_map(Step::Free),
        (0..16_u8).prop_map(Step::Reserve),
        (0..4_u8).prop_map(Step::Suppress),
        (0..4_u8).prop_map(Step::Revive),
        (role(), 0..9_u8, 0..9_u8).prop_map(|(role, g, l)| Step::Quota(role, g, l)),
        (0..4_u8, any::<bool>()).prop_map(|(f, active)| Step::Activate(f, active)),
        (0..4_u8, any::<bool>()).prop_map(|(s, active)| Step::ActivateSlave(s, active)),
    ]
}

fn framework(number: u8) -> FrameworkId {
    FrameworkId::new(format!("f{number}"))
}

fn slave(number: u8) -> SlaveId {
    SlaveId::new(format!("s{number}"))
}

fn of_role(number: u8) -> FrameworkSpec {
    FrameworkSpec { refined: number % 2 == 0, ..spec(ROLES[usize::from(number)]) }
}

struct Life {
    hierarchy: Hierarchy,
    /// What was offered and did not come back; allocated.
    given: Vec<(FrameworkId, SlaveId, Resources)>,
}

impl Life {
    fn take(&mut self, at: u8) -> Option<(FrameworkId, SlaveId, Resources)> {
        let count = self.given.len();
        (count > 0).then(|| self.given.remove(usize::from(at) % count))
    }

    fn step(&mut self, step: Step, now: Time) {
        let hierarchy = &mut self.hierarchy;
        match step {
            Step::AddFramework(f, role) => {
                hierarchy.remove_framework(&framework(f));
                self.given.retain(|(id, _, _)| *id != framework(f));
                hierarchy.add_framework(framework(f), of_role(role), true, BTreeMap::new());
            }
            Step::MoveFramework(f, role) => {
                hierarchy.update_framework(&framework(f), of_role(role))
            }
            Step::RemoveFramework(f) => {
                hierarchy.remove_framework(&framework(f));
                self.given.retain(|(id, _, _)| *id != framework(f));
            }
            Step::AddSlave(s, cpus) => {
                self.given.retain(|(_, id, _)| *id != slave(s));
                let total = r(&format!("cpus:{cpus};mem:100;cpus(a/x):1;ports:[1-9]"));
                hierarchy.add_slave(slave(s), SlaveSpec::default(), total, BTreeMap::new());
            }
            Step::RemoveSlave(s) => {
                self.given.retain(|(_, id, _)| *id != slave(s));
                hierarchy.remove_slave(&slave(s));
            }
            Step::Run(periodic) => self.run(periodic, now),
            Step::Decline(at, seconds) => {
                let refuse_for = Some(u32::from(seconds) * SECOND);
                if let Some((id, slave, resources)) = self.take(at) {
                    self.hierarchy.recover_resources(&id, &slave, &resources, refuse_for, now);
                }
            }
            Step::Free(at) => {
                if let Some((id, slave, resources)) = self.take(at) {
                    self.hierarchy.recover_resources(&id, &slave, &resources, None, now);
                }
            }
            Step::Reserve(at) => self.reserve(at),
            Step::Suppress(f) => hierarchy.suppress(&framework(f), &BTreeSet::new()),
            Step::Revive(f) => hierarchy.revive(&framework(f), &BTreeSet::new()),
            Step::Quota(role, guarantee, limit) => {
                let of = |cpus: u8| r(&format!("cpus:{cpus}")).quantities();
                let limits = if limit == 0 { BTreeMap::new() } else { of(limit) };
                let quota = Quota { guarantees: of(guarantee), limits };
                hierarchy.update_quota(ROLES[usize::from(role)], &quota);
            }
            Step::Activate(f, active) => hierarchy.set_framework_active(&framework(f), active),
            Step::ActivateSlave(s, active) => hierarchy.set_slave_active(&slave(s), active),
        }
    }

    fn run(&mut self, periodic: bool, now: Time) {
        let given = if periodic {
            self.hierarchy.allocate_all(now)
        } else {
            self.hierarchy.allocate_between(now)
        };
        for (id, by_role) in given {
            for (slave, resources) in by_role.into_values().flatten() {
                self.given.push((id.clone(), slave, resources));
            }
        }
    }

    /// Puts a reservation on what somebody holds, as an operation does.
    fn reserve(&mut self, at: u8) {
        let Some((id, slave, before)) = self.take(at) else { return };
        let role = before.allocations().into_keys().next().unwrap();
        let bare = before.unallocated();
        let plain = bare.unreserved();
        let reservation = protos::mesos::resource::ReservationInfo {
            r#type: Some(protos::mesos::resource::reservation_info::Type::Dynamic.into()),
            role: Some(role.clone()),
            ..Default::default()
        };
        let after = bare.minus(&plain).plus(&plain.push_reservation(&reservation));
        let (total, _, _) = self.hierarchy.slave(&slave).unwrap();
        let total = total.minus(&bare).plus(&after);
        let after = after.allocated_to(&role);
        self.hierarchy.update_allocation(&id, &slave, total, &before, &after);
        self.given.push((id, slave, after));
    }

    /// What a cycle decided against stays decided: with everything given, nobody could have more.
    fn nobody_is_next(&mut self, now: Time) -> Result<(), TestCaseError> {
        for role in ROLES {
            let question = Question { role: Some(role.to_owned()), ..Question::default() };
            for standing in self.hierarchy.explain(&question, now).standings {
                for (slave, reason) in standing.slaves {
                    let next = matches!(reason, Reason::Next(_));
                    prop_assert!(!next, "{} on {slave}: {reason}", standing.framework);
                }
            }
        }
        Ok(())
    }

    fn books_balance(&self) -> Result<(), TestCaseError> {
        for id in self.hierarchy.slave_ids() {
            let (total, held, available) = self.hierarchy.slave(&id).unwrap();
            prop_assert_eq!(&held.plus(&available), &total);
            let here = self.given.iter().filter(|(_, slave, _)| *slave == id);
            let known: Resources = here.map(|(_, _, resources)| resources.unallocated()).sum();
            prop_assert_eq!(known, held);
        }
        let figures = self.hierarchy.roles();
        for role in ROLES.into_iter().filter(|role| figures.contains_key(*role)) {
            let below = |of: &str| of == role || of.starts_with(&format!("{role}/"));
            let parts = self.given.iter().flat_map(|(_, _, resources)| resources.allocations());
            let held = parts.filter(|(of, _)| below(of)).map(|(_, part)| part);
            let held: Resources = held.collect::<Vec<_>>().into_iter().sum();
            let plain = held.unreserved().quantities();
            prop_assert_eq!(&plain, &figures[role].offered_or_allocated, "{}", role);
        }
        Ok(())
    }
}

proptest! {
    /// Whatever happens: total = held + available on every slave, roles count what those below them
    /// hold, and a run leaves nothing behind that somebody could have.
    #[test]
    fn hierarchy_resources_are_conserved(steps in prop::collection::vec(any_step(), 0..80)) {
        let hierarchy = Hierarchy::new(Config::default());
        let mut life = Life { hierarchy, given: Vec::new() };
        for (number, step) in steps.into_iter().enumerate() {
            let now = at(number as u64);
            let ran = matches!(step, Step::Run(_));
            life.step(step, now);
            if ran {
                life.nobody_is_next(now)?;
            }
            life.books_balance()?;
        }
    }
}
