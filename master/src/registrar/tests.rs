use super::*;
use libprocess::Time;
use protos::ids::SlaveId;
use protos::mesos::machine_info::Mode;

fn info(id: &str) -> mesos::SlaveInfo {
    mesos::SlaveInfo {
        id: Some(SlaveId::new(id).wire()),
        hostname: "h".into(),
        ..Default::default()
    }
}

fn machine(name: &str) -> mesos::MachineId {
    mesos::MachineId { hostname: Some(name.into()), ip: None }
}

fn run(registry: &mut Registry, operations: Vec<Operation>) -> Vec<bool> {
    operations.into_iter().map(|operation| operation.apply(registry)).collect()
}

#[test]
fn registry_contradicting_operations_change_nothing() {
    let (mut registry, id) = (Registry::default(), SlaveId::new("S0"));
    let admit = Operation::Admit(id.clone(), info("S0"));
    let results = run(
        &mut registry,
        vec![
            Operation::Remove(id.clone()),
            admit.clone(),
            admit.clone(),
            Operation::MarkUnreachable(id.clone(), Time::EPOCH),
            Operation::Update(id.clone(), info("S0")),
            Operation::MarkReachable(id.clone(), info("S0")),
            Operation::MarkGone(id.clone(), Time::EPOCH),
            Operation::MarkReachable(id.clone(), info("S0")),
            admit,
        ],
    );
    assert_eq!(results, [false, true, false, true, false, true, true, false, false]);
    assert!(registry.slaves.is_empty() && registry.gone.contains_key(&id));
}

#[test]
fn registry_draining_survives_being_unreachable() {
    let (mut registry, id) = (Registry::default(), SlaveId::new("S0"));
    run(
        &mut registry,
        vec![
            Operation::Admit(id.clone(), info("S0")),
            Operation::Drain(id.clone(), Default::default()),
            Operation::MarkUnreachable(id.clone(), Time::EPOCH),
            Operation::MarkReachable(id.clone(), info("S0")),
            Operation::MarkDrained(id.clone()),
        ],
    );
    let slave = registry.slaves[&id].read();
    assert!(slave.deactivated());
    assert_eq!(slave.drain_info.as_ref().unwrap().state(), mesos::DrainState::Drained);
    assert!(registry.capabilities.contains("AGENT_DRAINING"));
    assert!(Operation::Reactivate(id.clone()).apply(&mut registry));
    assert_eq!(registry.slaves[&id].read().drain_info, None);
}

#[test]
fn registry_machines_follow_the_schedule() {
    let mut registry = Registry::default();
    let window = mesos::maintenance::Window {
        machine_ids: vec![machine("a"), machine("b")],
        ..Default::default()
    };
    let schedule = mesos::maintenance::Schedule { windows: vec![window] };
    run(
        &mut registry,
        vec![
            Operation::UpdateSchedule(schedule.clone()),
            Operation::StartMaintenance(vec![machine("A")]),
        ],
    );
    let modes: Vec<_> = registry.machines.iter().map(|m| m.mode()).collect();
    assert_eq!(modes, [Mode::Down, Mode::Draining]);
    run(&mut registry, vec![Operation::UpdateSchedule(schedule)]);
    assert_eq!(registry.machines[0].mode(), Mode::Down);
    run(&mut registry, vec![Operation::StopMaintenance(vec![machine("a")])]);
    assert_eq!(registry.machines.len(), 1);
    run(&mut registry, vec![Operation::UpdateSchedule(Default::default())]);
    assert_eq!((registry.machines.len(), &registry.schedule), (0, &None));
}

#[test]
fn registry_wire_form_is_read_back() {
    let mut registry = Registry::default();
    let weight = mesos::WeightInfo { weight: 2.0, role: Some("web".into()) };
    let amount = mesos::value::Scalar { value: 4.0 };
    let quota = mesos::quota::QuotaConfig {
        role: "web".into(),
        guarantees: [("cpus".to_owned(), amount)].into(),
        ..Default::default()
    };
    run(
        &mut registry,
        vec![
            Operation::Recover(Box::default()),
            Operation::Admit("S0".into(), info("S0")),
            Operation::Admit("S1".into(), info("S1")),
            Operation::Admit("S2".into(), info("S2")),
            Operation::MarkUnreachable("S1".into(), Time::from_nanos(5)),
            Operation::MarkGone("S2".into(), Time::from_nanos(6)),
            Operation::UpdateQuotas(vec![quota]),
            Operation::UpdateWeights(vec![weight]),
        ],
    );
    let stored = wire::Registry::decode(&*registry.encode()).unwrap();
    assert_eq!(stored.slaves.as_ref().unwrap().slaves.len(), 1);
    assert_eq!(Registry::from_wire(stored), registry);
    assert_eq!(registry.lacking(), None);
    registry.require("FLYING");
    assert_eq!(registry.lacking(), Some("FLYING"));
}

#[test]
fn slaves_too_old_or_too_many_are_due() {
    let list = |times: &[u64]| -> std::collections::BTreeMap<SlaveId, Time> {
        let id = |n: &u64| (SlaveId::new(format!("S{n}")), Time::from_nanos(*n));
        times.iter().map(id).collect()
    };
    let (unreachable, gone) = (list(&[1, 50, 90]), list(&[]));
    let due = |age: u64, count| {
        let age = Duration::from_nanos(age);
        let due = expired([&unreachable, &gone], Time::from_nanos(100), age, count);
        due.iter().map(|id| id.as_str().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(due(60, 10), ["S1"]);
    assert_eq!(due(1000, 1), ["S1", "S50"]);
    assert!(due(1000, 3).is_empty());
}
