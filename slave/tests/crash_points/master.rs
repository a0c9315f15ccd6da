//! A master that keeps books of all that it is told.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use libprocess::{Ctx, Pid, Process, Routes};
use protos::ids::{FrameworkId, SlaveId, TaskId};
use protos::mesos::TaskState;
use protos::mesos::internal::{
    CheckpointResourcesMessage, ReconcileTasksMessage, RegisterSlaveMessage,
    ReregisterSlaveMessage, ShutdownFrameworkMessage, SlaveRegisteredMessage,
    SlaveReregisteredMessage, StatusUpdateAcknowledgementMessage, StatusUpdateMessage,
};
use protos::{status, task_state};

use super::plan::{self, Job, Plan};

/// One telling of an update.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) state: &'static str,
    pub(crate) reason: &'static str,
    pub(crate) uuid: Vec<u8>,
}

/// What is known of a task.
#[derive(Debug, Default)]
pub(crate) struct Book {
    /// A slave was told to run it.
    pub(crate) given: bool,
    /// All that was told of it, in order.
    pub(crate) told: Vec<Told>,
    /// How it ended.
    pub(crate) end: Option<&'static str>,
}

/// It went with a slave that forgot who it was.
pub(crate) const WITH_ITS_SLAVE: &str = "lost with its slave";

/// What the master knows.
#[derive(Debug, Default)]
pub(crate) struct Books {
    slaves: usize,
    /// By framework and task.
    pub(crate) tasks: BTreeMap<(&'static str, &'static str), Book>,
    /// Which of the reservations holds.
    pub(crate) reserved: usize,
    /// Which of them the slave last had when it came back.
    pub(crate) reported: usize,
    pub(crate) problems: Vec<String>,
}

pub(crate) type Shared = Arc<Mutex<Books>>;

impl Books {
    pub(crate) fn new(plan: &Plan) -> Self {
        let tasks = plan.jobs.iter().map(|job| ((job.framework, job.task), Book::default()));
        Self { tasks: tasks.collect(), ..Self::default() }
    }

    pub(crate) fn of(&self, job: &Job) -> &Book {
        &self.tasks[&(job.framework, job.task)]
    }

    fn is_told(&self, framework: &'static str, task: &'static str, state: TaskState) -> bool {
        let told = &self.tasks[&(framework, task)].told;
        told.iter().any(|told| told.state == state.as_str_name())
    }

    /// Nothing can come of it any more.
    pub(crate) fn is_over(&self, job: &Job) -> bool {
        let book = self.of(job);
        let before = job.after.map(|(task, _)| self.tasks[&(job.framework, task)].end.is_some());
        book.end.is_some() || (!book.given && before == Some(true))
    }
}

pub(crate) struct Master {
    pub(crate) plan: Plan,
    pub(crate) books: Shared,
}

impl Process for Master {
    fn routes(r: &mut Routes<Self>) {
        r.on(Self::register).on(Self::reregister).on(Self::update);
    }
}

impl Master {
    fn register(&mut self, _: RegisterSlaveMessage, cx: &mut Ctx<Self>) {
        let slave_id = {
            let books = &mut *self.books.lock().unwrap();
            // A slave that forgot its id has never written a task down.
            for (name, book) in books.tasks.iter_mut().filter(|(_, book)| book.given) {
                if !book.told.is_empty() {
                    books.problems.push(format!("a slave with task {name:?} registered anew"));
                }
                book.end.get_or_insert(WITH_ITS_SLAVE);
            }
            books.slaves += 1;
            SlaveId::new(format!("S{}", books.slaves - 1))
        };
        cx.reply(&SlaveRegisteredMessage { slave_id: slave_id.wire(), connection: None });
        self.go_on(&slave_id, &cx.from().clone(), cx);
    }

    fn reregister(&mut self, m: ReregisterSlaveMessage, cx: &mut Ctx<Self>) {
        let known: BTreeSet<(&str, &str)> =
            m.tasks.iter().map(|it| (&*it.framework_id.value, &*it.task_id.value)).collect();
        let mut reconciliations = Vec::new();
        {
            let books = &mut *self.books.lock().unwrap();
            let given = |name: &(&str, &str)| {
                books.tasks.iter().any(|((f, t), book)| (*f, *t) == *name && book.given)
            };
            let invented = known.iter().filter(|name| !given(name));
            books.problems.extend(invented.map(|name| format!("nobody gave it {name:?}")));
            for ((framework, task), book) in &books.tasks {
                if book.given && book.end.is_none() && !known.contains(&(*framework, *task)) {
                    let asked = status::of(&TaskId::new(*task), TaskState::TaskRunning, 0.0);
                    reconciliations.push(ReconcileTasksMessage {
                        framework_id: FrameworkId::new(*framework).wire(),
                        statuses: vec![asked.build()],
                        framework: None,
                    });
                }
            }
            let stages = 0..plan::RESERVATIONS.len();
            match stages.rev().find(|at| plan::reserved(*at) == m.checkpointed_resources) {
                Some(stage) => books.reported = stage,
                None => books.problems.push(format!("reserved: {:?}", m.checkpointed_resources)),
            }
        }
        let slave_id = m.slave.id.unwrap();
        let id = SlaveId::from(&slave_id);
        cx.reply(&SlaveReregisteredMessage { slave_id, reconciliations, connection: None });
        self.go_on(&id, &cx.from().clone(), cx);
    }

    /// Says what is to be done now.
    fn go_on(&self, slave_id: &SlaveId, slave: &Pid, cx: &mut Ctx<Self>) {
        if self.plan.reserves {
            self.reserve(1, slave, cx);
        }
        let books = &mut *self.books.lock().unwrap();
        for job in self.plan.jobs {
            let ready = job.after.is_none_or(|(it, state)| books.is_told(job.framework, it, state));
            let book = books.tasks.get_mut(&(job.framework, job.task)).unwrap();
            if ready && !std::mem::replace(&mut book.given, true) {
                cx.send(slave, &plan::run_task(job, slave_id));
            }
        }
        // An executor of a framework's own stays until the framework goes.
        let mut own = self.plan.jobs.iter().filter(|job| job.executor.is_some()).peekable();
        if let Some(first) = own.peek().map(|job| FrameworkId::new(job.framework).wire())
            && own.all(|job| books.is_over(job))
        {
            cx.send(slave, &ShutdownFrameworkMessage { framework_id: first });
        }
    }

    /// Reservations go that far at least; they are told again whether or not the slave heard of them.
    fn reserve(&self, stage: usize, slave: &Pid, cx: &mut Ctx<Self>) {
        let stage = {
            let books = &mut *self.books.lock().unwrap();
            books.reserved = books.reserved.max(stage);
            books.reserved
        };
        cx.send(slave, &CheckpointResourcesMessage { resources: plan::reserved(stage) });
    }

    fn update(&mut self, m: StatusUpdateMessage, cx: &mut Ctx<Self>) {
        let uuid = m.update.uuid.clone().unwrap();
        let (framework, task) = (&m.update.framework_id.value, &m.update.status.task_id.value);
        let state = m.update.status.state();
        {
            let books = &mut *self.books.lock().unwrap();
            let known = books.tasks.iter_mut().find(|((f, t), _)| f == framework && t == task);
            let Some((_, book)) = known.filter(|(_, book)| book.given) else {
                return books.problems.push(format!("update of {task} of {framework}"));
            };
            let reason = m.update.status.reason.map(|_| m.update.status.reason().as_str_name());
            let (state, reason) = (state.as_str_name(), reason.unwrap_or("-"));
            book.told.push(Told { state, reason, uuid: uuid.to_vec() });
            if task_state::is_terminal(m.update.status.state()) {
                book.end.get_or_insert(state);
            }
        }
        let (slave, slave_id) = (cx.from().clone(), m.update.slave_id.or(m.update.status.slave_id));
        let slave_id = slave_id.unwrap();
        cx.reply(&StatusUpdateAcknowledgementMessage {
            slave_id: slave_id.clone(),
            framework_id: m.update.framework_id,
            task_id: m.update.status.task_id,
            uuid,
        });
        if self.plan.reserves {
            match state {
                TaskState::TaskRunning => self.reserve(2, &slave, cx),
                TaskState::TaskFinished => self.reserve(3, &slave, cx),
                _ => {}
            }
        }
        self.go_on(&SlaveId::from(&slave_id), &slave, cx);
    }
}
