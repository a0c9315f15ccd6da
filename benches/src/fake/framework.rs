//! A framework that keeps a number of equal tasks in flight.

use std::collections::BTreeMap;
use std::time::Duration;

use libprocess::{Ctx, Pid, Process, Routes, Time};
use protos::ids::FrameworkId;
use protos::mesos::internal::{
    FrameworkErrorMessage, FrameworkRegisteredMessage, FrameworkReregisteredMessage,
    RescindResourceOfferMessage, ResourceOffersMessage, StatusUpdateMessage,
};
use protos::mesos::offer::{Operation, operation};
use protos::mesos::scheduler::{Call, call};
use protos::mesos::task_status::Reason;
use protos::mesos::{
    self, CommandInfo, Filters, FrameworkInfo, Offer, Resource, SlaveId, TaskInfo, TaskState,
};
use protos::resources::Resources;

use super::Board;

/// Wait before a subscription that was not answered is repeated.
const RETRY: Duration = Duration::from_secs(2);
/// Wait after the connection to the master broke.
const RECONNECT: Duration = Duration::from_millis(20);

/// What the framework is to do.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Tasks to launch in all.
    pub tasks: usize,
    /// Of them at the same time.
    pub in_flight: usize,
    /// What each takes.
    pub each: Resources,
}

/// The framework.
pub struct Framework {
    master: Pid,
    info: FrameworkInfo,
    plan: Plan,
    each: Vec<Resource>,
    held: Vec<Offer>,
    launched: usize,
    over: usize,
    began: BTreeMap<String, Time>,
    /// From ACCEPT to TASK_RUNNING, of each task.
    pub launches: Vec<Duration>,
    board: Board,
    connected: bool,
}

impl Framework {
    /// A framework that subscribes when it starts.
    pub fn new(master: Pid, plan: Plan, board: Board) -> Self {
        let info = FrameworkInfo {
            user: "nobody".to_owned(),
            name: "flow".to_owned(),
            failover_timeout: Some(3600.0),
            checkpoint: Some(true),
            ..FrameworkInfo::default()
        };
        let each = plan.each.to_wire();
        Self {
            master,
            info,
            plan,
            each,
            held: Vec::new(),
            launched: 0,
            over: 0,
            began: BTreeMap::new(),
            launches: Vec::new(),
            board,
            connected: false,
        }
    }

    /// More to do.
    pub fn more(&mut self, tasks: usize, in_flight: usize, cx: &mut Ctx<Self>) {
        self.plan.tasks += tasks;
        self.plan.in_flight = in_flight;
        self.pump(cx);
    }

    /// Asks what became of tasks.
    pub fn reconcile(&mut self, tasks: Vec<call::reconcile::Task>, cx: &mut Ctx<Self>) {
        let reconcile = Some(call::Reconcile { tasks });
        self.call(Call { reconcile, ..self.blank(call::Type::Reconcile) }, cx);
    }

    fn blank(&self, kind: call::Type) -> Call {
        Call { framework_id: self.info.id.clone(), r#type: Some(kind.into()), ..Call::default() }
    }

    fn call(&self, call: Call, cx: &Ctx<Self>) {
        cx.send(&self.master, &call);
    }

    fn subscribe(&mut self, cx: &mut Ctx<Self>) {
        if self.connected {
            return;
        }
        cx.link(&self.master);
        let framework_info = self.info.clone();
        let force = Some(true);
        let subscribe = Some(call::Subscribe { framework_info, force, ..Default::default() });
        self.call(Call { subscribe, ..self.blank(call::Type::Subscribe) }, cx);
        cx.after(RETRY, Self::subscribe);
    }

    fn registered(&mut self, m: FrameworkRegisteredMessage, _: &mut Ctx<Self>) {
        self.connected = true;
        self.info.id = Some(m.framework_id);
    }

    fn reregistered(&mut self, _: FrameworkReregisteredMessage, _: &mut Ctx<Self>) {
        self.connected = true;
    }

    fn error(&mut self, m: FrameworkErrorMessage, _: &mut Ctx<Self>) {
        eprintln!("the framework was refused: {}", m.message);
    }

    fn offers(&mut self, m: ResourceOffersMessage, cx: &mut Ctx<Self>) {
        self.held.extend(m.offers);
        self.pump(cx);
    }

    fn rescinded(&mut self, m: RescindResourceOfferMessage, _: &mut Ctx<Self>) {
        self.held.retain(|offer| offer.id != m.offer_id);
    }

    /// Launches as many tasks as may be in flight on the offers at hand.
    fn pump(&mut self, cx: &mut Ctx<Self>) {
        let mut room = (self.plan.tasks - self.launched)
            .min(self.plan.in_flight.saturating_sub(self.launched - self.over));
        while room > 0
            && let Some(offer) = self.held.pop()
        {
            let count = self.fitting(&offer).min(room);
            room -= count;
            self.accept(offer, count, cx);
        }
    }

    fn fitting(&self, offer: &Offer) -> usize {
        let scalar = |resources: &[Resource], name: &str| {
            let of_name = resources.iter().filter(|resource| resource.name == name);
            of_name.filter_map(|resource| resource.scalar).map(|scalar| scalar.value).sum::<f64>()
        };
        let times = self.each.iter().filter(|resource| resource.scalar.is_some()).map(|each| {
            let one = each.scalar.map_or(1.0, |scalar| scalar.value);
            (scalar(&offer.resources, &each.name) / one + 1e-6) as usize
        });
        times.min().unwrap_or_default()
    }

    /// Launches tasks on an offer; the rest of it goes back.
    fn accept(&mut self, offer: Offer, count: usize, cx: &mut Ctx<Self>) {
        let now = cx.now();
        let tasks: Vec<TaskInfo> =
            (0..count).map(|_| self.next_task(&offer.slave_id, now)).collect();
        let operation = Operation {
            r#type: Some(operation::Type::Launch.into()),
            launch: Some(operation::Launch { task_infos: tasks }),
            ..Operation::default()
        };
        let filters = Some(Filters { refuse_seconds: Some(0.0) });
        let (offer_ids, operations) = (vec![offer.id], vec![operation]);
        let accept = Some(call::Accept { offer_ids, operations, filters });
        self.call(Call { accept, ..self.blank(call::Type::Accept) }, cx);
    }

    fn next_task(&mut self, slave: &SlaveId, now: Time) -> TaskInfo {
        self.launched += 1;
        let id = format!("task-{:07}", self.launched);
        self.began.insert(id.clone(), now);
        TaskInfo {
            name: id.clone(),
            task_id: mesos::TaskId { value: id },
            slave_id: slave.clone(),
            resources: self.each.clone(),
            command: Some(CommandInfo { value: Some("true".to_owned()), ..Default::default() }),
            ..TaskInfo::default()
        }
    }

    fn status(&mut self, m: StatusUpdateMessage, cx: &mut Ctx<Self>) {
        let status = m.update.status;
        if status.reason == Some(Reason::Reconciliation.into()) {
            return self.board.add(|counts| &counts.reconciled);
        }
        if let Some(uuid) = m.update.uuid {
            let (slave_id, task_id) =
                (m.update.slave_id.unwrap_or_default(), status.task_id.clone());
            let acknowledge = Some(call::Acknowledge { slave_id, task_id, uuid });
            self.call(Call { acknowledge, ..self.blank(call::Type::Acknowledge) }, cx);
        }
        match status.state() {
            TaskState::TaskRunning => {
                if let Some(began) = self.began.remove(&status.task_id.value) {
                    self.launches.push(cx.now().since(began));
                    self.board.add(|counts| &counts.running);
                }
            }
            TaskState::TaskFinished => {
                self.over += 1;
                self.pump(cx);
            }
            state => eprintln!("{} is {state:?}: {}", status.task_id.value, status.message()),
        }
    }

    /// Its id, once it is subscribed.
    pub fn id(&self) -> Option<FrameworkId> {
        self.info.id.as_ref().map(FrameworkId::from)
    }
}

impl Process for Framework {
    fn routes(routes: &mut Routes<Self>) {
        routes
            .on(Self::registered)
            .on(Self::reregistered)
            .on(Self::error)
            .on(Self::offers)
            .on(Self::rescinded)
            .on(Self::status)
            // Slaves and executors that are lost show as updates of tasks.
            .otherwise(|_, _, _| {});
    }

    fn initialize(&mut self, cx: &mut Ctx<Self>) {
        self.subscribe(cx);
    }

    fn exited(&mut self, _: &Pid, cx: &mut Ctx<Self>) {
        self.connected = false;
        self.held.clear();
        cx.after(RECONNECT, Self::subscribe);
    }
}
