//! Random lives of a small cluster: after each step the allocator's books must agree with the
//! master's (invariant I4), whatever happened.

use std::collections::BTreeMap;
use std::time::Duration;

use libprocess::Time;
use protos::ids::{ExecutorId, FrameworkId, OfferId, SlaveId, TaskId};
use protos::mesos::internal::{
    ExitedExecutorMessage, RegisterSlaveMessage, ReregisterSlaveMessage, StatusUpdateMessage,
};
use protos::mesos::{self, TaskState};
use protos::resources::Resources;
use protos::status;

use crate::calls::subscribe::Subscribe;
use crate::calls::{self, accept::Accept};
use crate::effects::{AfterRegistry, AllocatorCall, Effect, Effects};
use crate::slaves;
use crate::state::State;
use crate::testing::*;

/// xorshift: enough chance for a test, and the same on every machine.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(sides.max(1)).unwrap()).unwrap()
    }

    fn pick<T: Clone>(&mut self, from: &[T]) -> Option<T> {
        let index = self.roll(from.len());
        from.get(index).cloned()
    }
}

/// What an allocator would have in its books.
#[derive(Default)]
struct Books {
    total: BTreeMap<SlaveId, Resources>,
    held: BTreeMap<(SlaveId, FrameworkId), Resources>,
}

impl Books {
    fn note(&mut self, call: &AllocatorCall) {
        match call {
            AllocatorCall::AddSlave { id, total, used, .. } => {
                self.total.insert(id.clone(), total.clone());
                self.held.retain(|(slave, _), _| slave != id);
                for (framework, resources) in used {
                    self.held.insert((id.clone(), framework.clone()), resources.clone());
                }
            }
            AllocatorCall::UpdateSlave(id, total) => {
                self.total.insert(id.clone(), total.clone());
            }
            AllocatorCall::RemoveSlave(id) => {
                self.total.remove(id);
                self.held.retain(|(slave, _), _| slave != id);
            }
            AllocatorCall::Recover { framework, slave, resources, .. } => {
                if let Some(held) = self.held.get_mut(&(slave.clone(), framework.clone())) {
                    assert!(held.contains(resources), "{resources} of {held} come back");
                    *held = held.minus(resources);
                }
            }
            AllocatorCall::Convert { framework, slave, total, before, after } => {
                self.total.insert(slave.clone(), total.clone());
                if let Some(framework) = framework {
                    let held = self.held.entry((slave.clone(), framework.clone())).or_default();
                    assert!(held.contains(before), "{before} of {held} change");
                    *held = held.minus(before).plus(after);
                }
            }
            _ => {}
        }
    }

    fn free(&self, slave: &SlaveId) -> Resources {
        let held = self.held.iter().filter(|((at, _), _)| at == slave);
        let held = held.map(|(_, held)| held.unallocated()).sum();
        self.total.get(slave).cloned().unwrap_or_default().minus(&held)
    }
}

struct Life {
    state: State,
    books: Books,
    dice: Dice,
    waiting: Vec<AfterRegistry>,
    next: u32,
    now: Time,
}

impl Life {
    fn decide(&mut self, run: impl FnOnce(&mut State, &mut Effects)) {
        let mut fx = Effects::default();
        run(&mut self.state, &mut fx);
        let mut stale = Vec::new();
        for effect in fx.0 {
            match effect {
                Effect::Allocator(call) => self.books.note(&call),
                Effect::Registry { then, .. } => self.waiting.push(then),
                Effect::Resync(slave) => stale.push(slave),
                _ => {}
            }
        }
        for id in stale {
            let Some(slave) = self.state.slaves.get(&id) else { continue };
            let (spec, total, used) = (slave.spec(), slave.total.clone(), self.state.held_on(&id));
            self.books.note(&AllocatorCall::AddSlave { id, spec, total, used });
        }
    }

    fn a_slave(&mut self) -> Option<SlaveId> {
        let ids: Vec<_> = self.state.slaves.iter().map(|slave| slave.id.clone()).collect();
        self.dice.pick(&ids)
    }

    fn a_framework(&mut self) -> Option<FrameworkId> {
        let ids = self.state.frameworks.ids();
        self.dice.pick(&ids)
    }

    fn a_task(&mut self) -> Option<(FrameworkId, TaskId, SlaveId)> {
        let framework = self.a_framework()?;
        let tasks = &self.state.frameworks.get(&framework)?.tasks;
        let tasks: Vec<_> =
            tasks.active().iter().map(|(id, task)| (id.clone(), task.slave.clone())).collect();
        let (task, slave) = self.dice.pick(&tasks)?;
        Some((framework, task, slave))
    }

    fn an_offer(&mut self) -> Option<(FrameworkId, OfferId, SlaveId)> {
        let offers: Vec<_> = self
            .state
            .offers
            .iter()
            .map(|offer| (offer.framework.clone(), offer.id.clone(), offer.slave.clone()))
            .collect();
        self.dice.pick(&offers)
    }

    fn register(&mut self) {
        let number = self.dice.roll(4);
        let from = pid(&format!("slave(1)@10.0.1.{number}:5051"));
        let slave = mesos::SlaveInfo { id: None, ..slave_info() };
        let version = Some("1.11.0".to_owned());
        let message = RegisterSlaveMessage { slave, version, ..Default::default() };
        self.decide(|state, fx| slaves::register::register(state, &from, message, fx));
    }

    fn subscribe(&mut self) {
        let number = self.dice.roll(3);
        let from = pid(&format!("scheduler(1)@10.0.2.{number}:1"));
        let mut info = framework_info();
        info.checkpoint = Some(number == 0);
        info.role = Some("web".into());
        info.id = match self.dice.roll(2) {
            0 => None,
            _ => self.a_framework().map(|id| id.wire()),
        };
        let (force, suppressed) = (self.dice.roll(2) == 0, Default::default());
        let (call, now) = (Subscribe { info, force, suppressed, constraints: None }, self.now);
        self.decide(|state, fx| calls::subscribe::subscribe(state, &from, call, now, fx));
    }

    /// What an allocator does: gives something free to a framework.
    fn allocate(&mut self) -> Option<()> {
        let (slave, framework) = (self.a_slave()?, self.a_framework()?);
        let free = self.books.free(&slave);
        let mut part = resources("cpus:2;mem:128").plus(&free.reserved_to("web"));
        part = part.allocated_to("web");
        if !self.books.free(&slave).contains(&part.unallocated()) {
            return None;
        }
        *self.books.held.entry((slave.clone(), framework.clone())).or_default() += &part;
        let allocation = [("web".to_owned(), [(slave, part)].into())].into();
        self.decide(|state, fx| calls::offers::offer(state, &framework, allocation, fx));
        Some(())
    }

    fn accept(&mut self) -> Option<()> {
        let (framework, offer, slave) = self.an_offer()?;
        self.next += 1;
        let mut task =
            mesos::TaskInfo { slave_id: slave.wire(), ..task_info(&format!("t{}", self.next)) };
        if self.dice.roll(2) == 0 {
            task.command = None;
            task.executor = Some(Box::new(executor_info(["e", "f"][self.dice.roll(2)])));
        }
        let offers = match self.dice.roll(6) {
            0 => vec![offer.clone(), offer],
            _ => vec![offer],
        };
        let mut operations = vec![launch(vec![task])];
        if self.dice.roll(3) == 0 {
            operations.insert(0, self.reserve());
        }
        let refuse_for = Some(Duration::from_secs(5));
        let (call, now) = (Accept { framework, offers, operations, refuse_for }, self.now);
        self.decide(|state, fx| calls::accept::accept(state, call, now, fx));
        Some(())
    }

    /// A reservation, or the end of one.
    fn reserve(&mut self) -> mesos::offer::Operation {
        use mesos::offer::{Operation, operation};
        use mesos::resource::{ReservationInfo, reservation_info::Type as Kind};
        let info = ReservationInfo {
            r#type: Some(Kind::Dynamic.into()),
            role: Some("web".into()),
            ..Default::default()
        };
        let part = ["cpus:1", "mem:64"][self.dice.roll(2)];
        let resources = resources(part).push_reservation(&info).to_wire();
        match self.dice.roll(2) {
            0 => Operation {
                r#type: Some(operation::Type::Reserve.into()),
                reserve: Some(operation::Reserve { resources, source: vec![] }),
                ..Default::default()
            },
            _ => Operation {
                r#type: Some(operation::Type::Unreserve.into()),
                unreserve: Some(operation::Unreserve { resources }),
                ..Default::default()
            },
        }
    }

    fn update(&mut self) -> Option<()> {
        use TaskState::*;
        let (framework, task, slave) = self.a_task()?;
        let told = [TaskRunning, TaskFinished, TaskFailed][self.dice.roll(3)];
        let uuid = [u8::try_from(self.dice.roll(200)).unwrap(); 16];
        let update = status::of(&task, told, 0.0).slave(&slave).uuid(uuid).update(&framework);
        let message = StatusUpdateMessage { update, pid: None };
        self.decide(|state, fx| {
            slaves::update::status_update(state, message, fx);
            let uuid = bytes::Bytes::copy_from_slice(&uuid);
            calls::acknowledge::acknowledge(state, &framework, &slave, &task, &uuid, fx);
        });
        Some(())
    }

    fn executor_exits(&mut self) -> Option<()> {
        let (slave, framework) = (self.a_slave()?, self.a_framework()?);
        let message = ExitedExecutorMessage {
            slave_id: slave.wire(),
            framework_id: framework.wire(),
            executor_id: ExecutorId::new("e").wire(),
            status: 0,
        };
        self.decide(|state, fx| slaves::update::exited_executor(state, &message, fx));
        Some(())
    }

    /// A slave comes back, with some of its tasks and one of its own that nobody knows.
    fn reregister(&mut self) -> Option<()> {
        let id = match self.dice.roll(5) {
            0 => SlaveId::new(format!("old{}", self.dice.roll(2))),
            _ => self.a_slave()?,
        };
        let from = match self.state.slaves.get(&id) {
            Some(slave) => slave.pid.clone(),
            None => pid(&format!("slave(1)@10.0.3.{}:5051", self.dice.roll(2))),
        };
        let mut message = ReregisterSlaveMessage {
            slave: mesos::SlaveInfo { id: Some(id.wire()), ..slave_info() },
            version: Some("1.11.0".to_owned()),
            ..Default::default()
        };
        for framework in self.state.frameworks.iter() {
            message.frameworks.push(framework.info.clone());
            let known = framework.tasks.here(&id).map(|(_, task)| task.wire());
            let lost = framework.tasks.unreachable().values().filter(|task| task.slave == id);
            let all = known.chain(lost.map(|task| task.wire()));
            let half = self.dice.roll(2);
            message.tasks.extend(all.enumerate().filter(|(n, _)| n % 2 == half).map(|(_, t)| t));
        }
        let owner = self.a_framework().unwrap_or_else(|| "lonely".into());
        let stray = mesos::Task {
            framework_id: owner.wire(),
            slave_id: id.wire(),
            ..task(&format!("stray-{id}"), TaskState::TaskRunning)
        };
        message.tasks.extend((self.dice.roll(3) == 0).then_some(stray));
        let now = self.now;
        self.decide(|state, fx| slaves::reregister::reregister(state, &from, message, now, fx));
        Some(())
    }

    fn break_slave(&mut self) -> Option<()> {
        let (id, now) = (self.a_slave()?, self.now);
        let pid = self.state.slaves.get(&id)?.pid.clone();
        match self.dice.roll(3) {
            0 => self.decide(|state, fx| slaves::lost::silent(state, &id, now, fx)),
            1 => self.decide(|state, fx| slaves::lost::unregister(state, &pid, &id, fx)),
            _ => self.decide(|state, fx| slaves::lost::exited(state, &pid, now, fx)),
        }
        Some(())
    }

    fn break_framework(&mut self) -> Option<()> {
        let (id, now) = (self.a_framework()?, self.now);
        let pid = self.state.frameworks.get(&id)?.pid.clone();
        match self.dice.roll(3) {
            0 => self.decide(|state, fx| calls::teardown::remove(state, &id, now, fx)),
            1 => self.decide(|state, fx| calls::disconnect::deactivate(state, &id, fx)),
            _ => self.decide(|state, fx| calls::disconnect::exited(state, &pid, fx)),
        }
        Some(())
    }

    /// The registry answers the oldest change.
    fn registry(&mut self) {
        if self.waiting.is_empty() {
            return;
        }
        let (then, now) = (self.waiting.remove(0), self.now);
        self.decide(|state, fx| match then {
            AfterRegistry::Admitted(from, message) => {
                slaves::register::admitted(state, &from, *message, now, fx);
            }
            AfterRegistry::Readmitted(from, message) => {
                slaves::reregister::readmitted(state, &from, *message, now, fx);
            }
            AfterRegistry::Updated(from, message) => {
                slaves::reregister::updated(state, &from, *message, now, fx);
            }
            AfterRegistry::Unreachable(id) => slaves::lost::unreachable(state, &id, now, fx),
            AfterRegistry::Removed(id, _) => slaves::lost::removed(state, &id, false, now, fx),
            AfterRegistry::Gone(id) => slaves::gone::gone(state, &id, now, fx),
            AfterRegistry::Drained(id) => slaves::drain::drained(state, &id, fx),
            AfterRegistry::Pruned(ids) => state.slaves.prune(&ids),
        });
    }

    fn step(&mut self) {
        // Most steps make work, so that the rarer ones that break something find some.
        let done = match self.dice.roll(24) {
            0 | 1 => return self.register(),
            2 | 3 => return self.subscribe(),
            4..=8 => self.allocate(),
            9..=12 => self.accept(),
            13 | 14 => self.update(),
            15 => self.executor_exits(),
            16 | 17 => self.reregister(),
            18 => self.break_slave(),
            19 => self.break_framework(),
            _ => None,
        };
        // Where there was nothing to do, and now and then, the registry goes on.
        if done.is_none() {
            self.registry();
        }
    }

    /// Both have the same slaves, and the same holdings on each.
    fn check(&self, what: &str) {
        for slave in self.state.slaves.iter() {
            for framework in self.state.frameworks.iter() {
                let mut mine = framework.used_on(&slave.id);
                for offer in framework.offers.iter().filter_map(|id| self.state.offers.get(id)) {
                    if offer.slave == slave.id {
                        mine += &offer.resources;
                    }
                }
                let key = (slave.id.clone(), framework.id.clone());
                let theirs = self.books.held.get(&key).cloned().unwrap_or_default();
                assert_eq!(mine, theirs, "{what}: {} on {}", framework.id, slave.id);
            }
        }
        assert_eq!(self.books.total.len(), self.state.slaves.iter().count(), "{what}");
    }
}

#[test]
fn allocator_and_master_agree_on_who_holds_what_after_every_step() {
    for seed in 1..=60 {
        let mut life = Life {
            state: empty(),
            books: Books::default(),
            dice: Dice(seed),
            waiting: Vec::new(),
            next: 0,
            now: NOW,
        };
        for step in 0..400 {
            life.step();
            life.check(&format!("seed {seed}, step {step}"));
        }
    }
}
