//! Looks at the task again and again.

use futures::FutureExt;
use futures::future::{Either, select};
use libprocess::Ctx;
use protos::mesos::TaskState;
use protos::mesos::task_status::Reason;

use super::probe::look;
use super::{Health, News, Probe, Schedule, Seen, check_status};
use crate::executor::CommandExecutor;
use crate::executor::outcome::Outcome;
use crate::executor::task::CommandTask;

/// What is being looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    /// The task is killed when it is not well.
    Health,
    /// What is seen is told.
    Check,
}

impl CommandExecutor {
    /// The task runs: looks at it as it asked for.
    pub(in crate::executor) fn start_checks(&mut self, cx: &mut Ctx<Self>) {
        let Some(info) = self.task.as_ref().map(CommandTask::info) else { return };
        let (health, check) = (info.health_check.clone(), info.check.clone());
        if let Some(check) = health {
            self.health = Some(Health::new(&check, cx.now()));
            match Schedule::of_health(&check) {
                Some(schedule) => self.look_later(schedule.delay, schedule, Purpose::Health, cx),
                None => slog::warn!(cx.log(), "the health check does not say what to look at"),
            }
        }
        if let Some(schedule) = check.as_deref().and_then(Schedule::of_check) {
            self.look_later(schedule.delay, schedule, Purpose::Check, cx);
        }
    }

    fn look_later(
        &self,
        wait: std::time::Duration,
        schedule: Schedule,
        purpose: Purpose,
        cx: &mut Ctx<Self>,
    ) {
        cx.after(wait, move |executor, cx| executor.look(schedule, purpose, cx));
    }

    fn look(&mut self, schedule: Schedule, purpose: Purpose, cx: &mut Ctx<Self>) {
        if !self.is_checked() {
            return;
        }
        let Some(task) = self.task.as_ref() else { return };
        let os = cx.subprocesses();
        let looking = match &schedule.probe {
            Probe::Command(info) => self.runner.check(info, task.info(), &self.settings, os),
            probe @ (Probe::Tcp { v6, .. } | Probe::Http { v6, .. }) => {
                look(probe.clone(), self.runner.host(*v6), os).boxed()
            }
        };
        let limit = schedule.timeout.map(|limit| Box::pin(cx.sleep(limit)));
        let bounded = async move {
            let Some(limit) = limit else { return looking.await };
            match select(looking, limit).await {
                Either::Left((seen, _)) => seen,
                Either::Right(_) => Err("it takes too long".to_owned()),
            }
        };
        cx.defer(bounded, move |executor, seen, cx| executor.looked(schedule, purpose, seen, cx));
    }

    fn looked(
        &mut self,
        schedule: Schedule,
        purpose: Purpose,
        seen: Result<Seen, String>,
        cx: &mut Ctx<Self>,
    ) {
        if !self.is_checked() {
            return;
        }
        match purpose {
            Purpose::Check => self.tell_check(seen.ok(), cx),
            Purpose::Health => {
                let result = seen.and_then(|seen| seen.verdict());
                let now = cx.now();
                let news = self.health.as_mut().and_then(|health| health.seen(result, now));
                if let Some(news) = news {
                    self.tell_health(news, cx);
                }
            }
        }
        self.look_later(schedule.interval, schedule, purpose, cx);
    }

    /// A result is told when it differs from the one before.
    fn tell_check(&mut self, seen: Option<Seen>, cx: &mut Ctx<Self>) {
        let Some(task) = &self.task else { return };
        let Some(check) = &task.info().check else { return };
        let (id, status) = (task.id(), check_status(check, seen.as_ref()));
        if self.check_status.as_ref() == Some(&status) {
            return;
        }
        self.check_status = Some(status);
        let reason = Some(Reason::TaskCheckStatusUpdated);
        let outcome = Outcome { reason, ..Outcome::of(TaskState::TaskRunning) };
        self.update(&id, outcome, cx);
    }

    fn tell_health(&mut self, news: News, cx: &mut Ctx<Self>) {
        let Some(task) = &self.task else { return };
        let (id, grace) = (task.id(), task.grace(None));
        let (healthy, message, kill) = match news {
            News::Healthy => (true, String::new(), false),
            News::Unhealthy { why, kill } => (false, format!("Health check failed: {why}"), kill),
        };
        slog::info!(cx.log(), "health"; "healthy" => healthy, "reason" => &message);
        let reason = Some(Reason::TaskHealthCheckStatusUpdated);
        let healthy = Some(healthy);
        let outcome = Outcome { reason, message, healthy, ..Outcome::of(TaskState::TaskRunning) };
        self.update(&id, outcome, cx);
        if kill {
            self.killed_as_unhealthy = true;
            self.kill(grace, cx);
        }
    }

    /// Nothing is told of a task that is being killed or has ended.
    fn is_checked(&self) -> bool {
        self.task.as_ref().is_some_and(CommandTask::is_running)
    }
}
