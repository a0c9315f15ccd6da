//! Metrics of each framework: what it calls, what it is sent, what becomes of its offers and tasks.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use libprocess::metrics::Metrics;
use libprocess::{Ctx, Handle, Pid};
use protos::ids::FrameworkId;
use protos::mesos::TaskState;

use super::tally::Tally;
use crate::Master;
use crate::http::escape;

/// States of tasks that have not ended.
const ACTIVE: [TaskState; 6] = [
    TaskState::TaskStaging,
    TaskState::TaskStarting,
    TaskState::TaskRunning,
    TaskState::TaskKilling,
    TaskState::TaskUnreachable,
    TaskState::TaskUnknown,
];

/// The metrics of one framework.
pub(super) struct Seat {
    prefix: String,
    tally: Tally,
    subscribed: Arc<AtomicU64>,
}

impl Seat {
    fn new(name: &str, id: &FrameworkId, master: &Handle<Master>, metrics: &Metrics) -> Self {
        let prefix = format!("master/frameworks/{}/{id}", escape(name));
        let subscribed = Arc::new(AtomicU64::new(0));
        let value = subscribed.clone();
        metrics.gauge_fn(&format!("{prefix}/subscribed"), move || {
            value.load(Ordering::Relaxed) as f64
        });
        for state in ACTIVE {
            let (master, id) = (master.clone(), id.clone());
            let name = state.as_str_name().to_lowercase();
            metrics.gauge_later(&format!("{prefix}/tasks/active/{name}"), move || {
                let id = id.clone();
                let asked = master.ask(move |master, _| master.tasks_in(&id, state));
                async move { asked.await.ok() }
            });
        }
        Self { tally: Tally::under(format!("{prefix}/")), prefix, subscribed }
    }

    fn forget(self, metrics: &Metrics) {
        self.tally.forget(metrics);
        metrics.remove(&format!("{}/subscribed", self.prefix));
        for state in ACTIVE {
            let name = state.as_str_name().to_lowercase();
            metrics.remove(&format!("{}/tasks/active/{name}", self.prefix));
        }
    }
}

/// The event that a message to a scheduler is.
fn event(name: &str) -> Option<&'static str> {
    Some(match name.rsplit('.').next().unwrap_or_default() {
        "FrameworkErrorMessage" => "events/error",
        "LostSlaveMessage" | "ExitedExecutorMessage" => "events/failure",
        "InverseOffersMessage" => "events/inverse_offers",
        "ExecutorToFrameworkMessage" => "events/message",
        "ResourceOffersMessage" => "events/offers",
        "RescindResourceOfferMessage" => "events/rescind",
        "RescindInverseOfferMessage" => "events/rescind_inverse_offer",
        "FrameworkRegisteredMessage" | "FrameworkReregisteredMessage" => "events/subscribed",
        "StatusUpdateMessage" => "events/update",
        "Event" => "events/update_operation_status",
        _ => return None,
    })
}

/// The call that a message of a scheduler is, in the older form.
pub(super) fn call(name: &str) -> Option<&'static str> {
    Some(match name.rsplit('.').next().unwrap_or_default() {
        "LaunchTasksMessage" => "calls/accept",
        "StatusUpdateAcknowledgementMessage" => "calls/acknowledge",
        "KillTaskMessage" => "calls/kill",
        "FrameworkToExecutorMessage" => "calls/message",
        "ReconcileTasksMessage" => "calls/reconcile",
        "ResourceRequestMessage" => "calls/request",
        "ReviveOffersMessage" => "calls/revive",
        "ReregisterFrameworkMessage" => "calls/subscribe",
        "UnregisterFrameworkMessage" => "calls/teardown",
        _ => return None,
    })
}

impl Master {
    /// Counts something of a framework.
    pub(super) fn count_of(
        &mut self,
        id: &FrameworkId,
        what: &[Cow<'static, str>],
        cx: &Ctx<Self>,
    ) {
        if !self.state.config.publish_per_framework_metrics {
            return;
        }
        let Some(framework) = self.state.frameworks.get(id) else { return };
        let metrics = cx.node().metrics();
        let seat = match self.seats.get_mut(id) {
            Some(seat) => seat,
            None => {
                let seat = Seat::new(&framework.info.name, id, &cx.handle(), metrics);
                self.seats.entry(id.clone()).or_insert(seat)
            }
        };
        let connected = u64::from(framework.connected);
        seat.subscribed.store(connected, Ordering::Relaxed);
        what.iter().for_each(|what| seat.tally.count(what, metrics));
    }

    /// How many tasks of a framework are in a state.
    fn tasks_in(&self, id: &FrameworkId, state: TaskState) -> f64 {
        let Some(framework) = self.state.frameworks.get(id) else { return 0.0 };
        let tasks = &framework.tasks;
        let known = tasks.active().values().chain(tasks.unreachable().values());
        known.filter(|task| task.state() == state).count() as f64
    }

    /// Counts a call under its kind and under all.
    pub(super) fn count_call(&mut self, from: &Pid, kind: &'static str, cx: &Ctx<Self>) {
        if let Some(id) = self.state.frameworks.framework_at(from).cloned() {
            self.count_of(&id, &["calls".into(), kind.into()], cx);
        }
    }

    /// Counts a message to a scheduler as the event that it is.
    pub(super) fn count_event(&mut self, to: &Pid, name: &str, cx: &Ctx<Self>) {
        let Some(kind) = event(name) else { return };
        if let Some(id) = self.state.frameworks.framework_at(to).cloned() {
            let of_offers = match kind {
                "events/offers" => Some("offers/sent".into()),
                "events/rescind" => Some("offers/rescinded".into()),
                _ => None,
            };
            self.count_of(&id, &["events".into(), kind.into()], cx);
            self.count_of(&id, of_offers.as_slice(), cx);
        }
    }

    /// Frameworks that broke off are not subscribed; those that ended have no metrics any more.
    pub(super) fn settle_seats(&mut self, cx: &Ctx<Self>) {
        let state = &self.state;
        let ended = |id: &&FrameworkId| state.frameworks.get(id).is_none();
        let ended: Vec<_> = self.seats.keys().filter(ended).cloned().collect();
        for id in ended {
            if let Some(seat) = self.seats.remove(&id) {
                seat.forget(cx.node().metrics());
            }
        }
        for (id, seat) in &self.seats {
            let connected = self.state.frameworks.get(id).is_some_and(|f| f.connected);
            seat.subscribed.store(u64::from(connected), Ordering::Relaxed);
        }
    }
}
