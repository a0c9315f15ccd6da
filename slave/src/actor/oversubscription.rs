//! Oversubscription: what may be offered beyond what is allocated, and who must yield for it.

use std::time::Duration;

use futures::future::join_all;
use libprocess::Ctx;
use protos::mesos::TaskState;
use protos::mesos::internal::UpdateSlaveMessage;
use protos::mesos::task_status::Reason;

use super::Slave;
use crate::effects::Effect;
use crate::oversubscription::{Correction, ExecutorUsage, Usage};
use crate::registration::Standing;
use crate::state::{Cause, Executor, ExecutorState};

/// Shortest pause between two rounds of corrections, whatever the flags say: looking costs time.
const MIN_CORRECTIONS: Duration = Duration::from_secs(1);

impl Slave {
    /// Begins to look, if anybody is there to look.
    pub(super) fn start_oversubscription(&mut self, cx: &mut Ctx<Self>) {
        self.estimator = self.state.config.estimator.as_ref().map(|new| new());
        self.controller = self.state.config.controller.as_ref().map(|new| new());
        if self.estimator.is_some() {
            cx.after(self.state.config.oversubscribed_interval, Self::estimate);
        }
        if self.controller.is_some() {
            let pause = self.state.config.qos_correction_interval.max(MIN_CORRECTIONS);
            cx.after(pause, Self::correct);
        }
    }

    /// What is known now, measured.
    fn measure(&self, cx: &Ctx<Self>) -> impl Future<Output = Usage> + Send + use<> {
        let frameworks = self.state.frameworks.values();
        let executors = frameworks.flat_map(|framework| {
            let running = |it: &&Executor| it.state == ExecutorState::Running;
            framework.executors.values().filter(running).map(move |it| (framework, it))
        });
        let measured: Vec<_> = executors
            .map(|(framework, executor)| {
                let usage = self.containerizer.usage(&executor.container);
                let (framework, allocated) = (framework.id.clone(), executor.resources());
                let executor = executor.id.clone();
                async move {
                    let statistics = usage.await.ok();
                    ExecutorUsage { framework, executor, allocated, statistics }
                }
            })
            .collect();
        let (at, total) = (cx.now(), self.state.total());
        let load = cx.disk().read("/proc/loadavg".as_ref());
        async move {
            let load = load.await.ok().and_then(|text| {
                let text = String::from_utf8_lossy(&text).into_owned();
                let mut averages = text.split(' ').map(|word| word.parse::<f64>().ok());
                Some([averages.next()??, averages.next()??, averages.next()??])
            });
            Usage { at, total, executors: join_all(measured).await, load }
        }
    }

    fn estimate(&mut self, cx: &mut Ctx<Self>) {
        let measured = self.measure(cx);
        cx.defer(measured, |slave, usage, cx| {
            if let Some(estimator) = &mut slave.estimator {
                let free = estimator.estimate(&usage);
                let all = usage.revocable().unallocated().plus(&free);
                if slave.oversubscribed.as_ref() != Some(&all)
                    && slave.registration.standing == Standing::Running
                {
                    slave.oversubscribed = Some(all);
                    slave.tell_oversubscribed(cx);
                }
            }
            cx.after(slave.state.config.oversubscribed_interval, Self::estimate);
        });
    }

    /// Tells the master, if there is anything to tell.
    pub(super) fn tell_oversubscribed(&self, cx: &Ctx<Self>) {
        let (Some(master), Some(all)) = (&self.state.master, &self.oversubscribed) else { return };
        let message = UpdateSlaveMessage {
            slave_id: self.state.id().wire(),
            update_oversubscribed_resources: Some(true),
            oversubscribed_resources: all.to_wire(),
            ..Default::default()
        };
        cx.send(master, &message);
    }

    fn correct(&mut self, cx: &mut Ctx<Self>) {
        let measured = self.measure(cx);
        cx.defer(measured, |slave, usage, cx| {
            let corrections =
                slave.controller.as_mut().map(|it| it.corrections(&usage)).unwrap_or_default();
            for correction in corrections {
                slave.preempt(&correction, cx);
            }
            let pause = slave.state.config.qos_correction_interval.max(MIN_CORRECTIONS);
            cx.after(pause, Self::correct);
        });
    }

    /// An executor yields: its container is destroyed, its tasks are gone.
    fn preempt(&mut self, correction: &Correction, cx: &mut Ctx<Self>) {
        let Correction { framework, executor } = correction;
        let Some(found) = self.state.frameworks.get(framework) else { return };
        let gone = found.aware(TaskState::TaskGone);
        let Some(found) = self.state.executor_mut(framework, executor) else { return };
        if found.state != ExecutorState::Running {
            return;
        }
        found.state = ExecutorState::Terminating;
        found.cause = Some(Cause {
            state: gone,
            reason: Reason::ContainerPreempted,
            message: "Container was preempted for others to have what they were promised"
                .to_owned(),
        });
        let container = found.container.clone();
        slog::info!(cx.log(), "executor yields";
            "executor" => %executor, "framework" => %framework);
        self.carry_out(Effect::Count("slave/executors_preempted"), cx);
        self.carry_out(Effect::Destroy(container), cx);
    }
}
