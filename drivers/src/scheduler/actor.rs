//! The scheduler driver's actor: runs what [`Session`] decides.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use coordination::{Detector, Leader, authenticatee};
use futures::channel::oneshot;
use libprocess::{Ctx, Pid, Process, Routes, Timer};
use protos::mesos::internal::{
    ExecutorToFrameworkMessage, ExitedExecutorMessage, FrameworkErrorMessage,
    FrameworkRegisteredMessage, FrameworkReregisteredMessage, LostSlaveMessage,
    RescindResourceOfferMessage, ResourceOffersMessage, StatusUpdateMessage,
};
use protos::mesos::scheduler::Event as WireEvent;

use super::effects::{Effect, Event};
use super::session::{Attempt, Session};
use super::{Scheduler, SchedulerDriver, Status};

pub(super) struct SchedulerProcess {
    pub(super) session: Session,
    scheduler: Box<dyn Scheduler>,
    detector: Arc<dyn Detector>,
    /// Set by [`SchedulerDriver::abort`] at once, before its event is handled.
    aborting: Arc<AtomicBool>,
    retry: Option<Timer>,
    waiters: Vec<oneshot::Sender<Status>>,
}

impl Process for SchedulerProcess {
    fn routes(routes: &mut Routes<Self>) {
        routes
            .on(Self::registered)
            .on(Self::reregistered)
            .on(Self::offers)
            .on(Self::rescind)
            .on(Self::update)
            .on(Self::lost_slave)
            .on(Self::exited_executor)
            .on(Self::message)
            .on(Self::error)
            .on(Self::event);
    }

    fn initialize(&mut self, cx: &mut Ctx<Self>) {
        self.detect(None, cx);
    }

    fn exited(&mut self, pid: &Pid, cx: &mut Ctx<Self>) {
        let effects = self.session.exited(pid);
        self.perform(effects, cx);
    }

    fn finalize(&mut self, _cx: &mut Ctx<Self>) {
        self.release(Status::Stopped);
    }
}

impl SchedulerProcess {
    pub(super) fn new(
        session: Session,
        scheduler: Box<dyn Scheduler>,
        detector: Arc<dyn Detector>,
        aborting: Arc<AtomicBool>,
    ) -> Self {
        Self { session, scheduler, detector, aborting, retry: None, waiters: Vec::new() }
    }

    fn detect(&mut self, previous: Option<Leader>, cx: &mut Ctx<Self>) {
        let detected = self.detector.detect(previous);
        cx.defer(detected, |process: &mut Self, leader, cx| {
            let effects =
                process.session.detected(leader.as_ref().map(|leader| leader.pid.clone()));
            process.perform(effects, cx);
            process.detect(leader, cx);
        });
    }

    fn registered(&mut self, m: FrameworkRegisteredMessage, cx: &mut Ctx<Self>) {
        let id = m.framework_id.into();
        let effects = self.session.registered(cx.from(), id, m.master_info);
        self.perform(effects, cx);
    }

    fn reregistered(&mut self, m: FrameworkReregisteredMessage, cx: &mut Ctx<Self>) {
        let id = m.framework_id.into();
        let effects = self.session.reregistered(cx.from(), &id, m.master_info);
        self.perform(effects, cx);
    }

    fn offers(&mut self, m: ResourceOffersMessage, cx: &mut Ctx<Self>) {
        let effects = self.session.offered(cx.from(), m.offers, &m.pids);
        self.perform(effects, cx);
    }

    fn rescind(&mut self, m: RescindResourceOfferMessage, cx: &mut Ctx<Self>) {
        let effects = self.session.rescinded(cx.from(), m.offer_id.into());
        self.perform(effects, cx);
    }

    fn update(&mut self, m: StatusUpdateMessage, cx: &mut Ctx<Self>) {
        let effects = self.session.updated(cx.from(), m);
        self.perform(effects, cx);
    }

    fn lost_slave(&mut self, m: LostSlaveMessage, cx: &mut Ctx<Self>) {
        let effects = self.session.slave_lost(cx.from(), m.slave_id.into());
        self.perform(effects, cx);
    }

    fn exited_executor(&mut self, m: ExitedExecutorMessage, cx: &mut Ctx<Self>) {
        let effects = self.session.executor_lost(cx.from(), &m);
        self.perform(effects, cx);
    }

    fn message(&mut self, m: ExecutorToFrameworkMessage, cx: &mut Ctx<Self>) {
        let effects = self.session.message(m);
        self.perform(effects, cx);
    }

    fn error(&mut self, m: FrameworkErrorMessage, cx: &mut Ctx<Self>) {
        let effects = self.session.error(cx.from(), m.message);
        self.perform(effects, cx);
    }

    /// Masters send events only for what has no message of its own, which a driver never asks for.
    fn event(&mut self, m: WireEvent, cx: &mut Ctx<Self>) {
        slog::info!(cx.log(), "event ignored";
            "type" => m.r#type().as_str_name(), "from" => %cx.from());
    }

    pub(super) fn stop(&mut self, failover: bool, cx: &mut Ctx<Self>) {
        let effects = self.session.stop(failover);
        self.perform(effects, cx);
        cx.stop();
    }

    /// Ready when the driver is aborted or stopped.
    pub(super) fn ended(&mut self) -> oneshot::Receiver<Status> {
        let (sender, receiver) = oneshot::channel();
        self.waiters.push(sender);
        if self.session.is_aborted() {
            self.release(Status::Aborted);
        }
        receiver
    }

    fn release(&mut self, status: Status) {
        for waiter in self.waiters.drain(..) {
            // Nobody waits any more: fine.
            let _ = waiter.send(status);
        }
    }

    pub(super) fn perform(&mut self, effects: Vec<Effect>, cx: &mut Ctx<Self>) {
        for effect in effects {
            match effect {
                Effect::Link(pid) => cx.link(&pid),
                Effect::Authenticate(attempt) => Self::authenticate(*attempt, cx),
                Effect::Call(to, call) => cx.send(&to, &*call),
                Effect::Acknowledge(to, call) => {
                    if !self.aborting.load(Ordering::SeqCst) {
                        cx.send(&to, &*call);
                    }
                }
                Effect::Deactivate(to, message) => cx.send(&to, &message),
                Effect::ToExecutor(to, message) => cx.send(&to, &message),
                Effect::Retry(limit) => self.retry_within(limit, cx),
                Effect::StopRetrying => self.stop_retrying(cx),
                Effect::Tell(event) => self.tell(event, cx),
                Effect::Abort => {
                    self.aborting.store(true, Ordering::SeqCst);
                    self.release(Status::Aborted);
                }
                Effect::Note(text) => slog::info!(cx.log(), "{}", text),
            }
        }
    }

    fn authenticate(attempt: Attempt, cx: &mut Ctx<Self>) {
        let Attempt { master, credential, limits: (min, max), epoch } = attempt;
        let limit = min + cx.random_within(max.saturating_sub(min));
        let (node, me) = (cx.node(), cx.pid().clone());
        let proving = authenticatee::authenticate(node, me, master, credential, limit);
        cx.defer(proving, move |process, outcome, cx| {
            let effects = process.session.proved(epoch, outcome);
            process.perform(effects, cx);
        });
    }

    fn retry_within(&mut self, limit: std::time::Duration, cx: &mut Ctx<Self>) {
        self.stop_retrying(cx);
        let delay = cx.random_within(limit);
        self.retry = Some(cx.after(delay, |process, cx| {
            let effects = process.session.subscribe();
            process.perform(effects, cx);
        }));
    }

    fn stop_retrying(&mut self, cx: &Ctx<Self>) {
        if let Some(timer) = self.retry.take() {
            cx.cancel(&timer);
        }
    }

    fn tell(&mut self, event: Event, cx: &Ctx<Self>) {
        if self.aborting.load(Ordering::SeqCst) {
            return;
        }
        let driver = SchedulerDriver::new(cx.node().clone(), cx.handle(), self.aborting.clone());
        let scheduler = &mut self.scheduler;
        match event {
            Event::Registered(id, master) => scheduler.registered(&driver, &id, &master),
            Event::Reregistered(master) => scheduler.reregistered(&driver, &master),
            Event::Disconnected => scheduler.disconnected(&driver),
            Event::Offers(offers) => scheduler.resource_offers(&driver, offers),
            Event::Rescinded(offer) => scheduler.offer_rescinded(&driver, &offer),
            Event::Update(status) => scheduler.status_update(&driver, &status),
            Event::Message(executor, slave, data) => {
                scheduler.framework_message(&driver, &executor, &slave, data);
            }
            Event::SlaveLost(slave) => scheduler.slave_lost(&driver, &slave),
            Event::ExecutorLost(executor, slave, status) => {
                scheduler.executor_lost(&driver, &executor, &slave, status);
            }
            Event::Error(text) => scheduler.error(&driver, &text),
        }
    }
}
