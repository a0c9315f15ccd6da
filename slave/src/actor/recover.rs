//! The start of a slave: what an earlier run left is taken over before a master is looked for.

use futures::FutureExt;
use futures::future::join_all;
use libprocess::Ctx;

use super::Slave;
use crate::calls::reregister;
use crate::calls::terminated::End;
use crate::gc::leftovers;
use crate::paths;
use crate::recovery::{Plan, Recovered, is_compatible, rebuild};
use crate::registration::Standing;
use crate::{Recover, containerizer::ContainerError};

impl Slave {
    pub(super) fn recovered(&mut self, found: Result<Recovered, String>, cx: &mut Ctx<Self>) {
        let found = match found {
            Ok(found) => found,
            Err(reason) => return self.exit(1, format!("recovery failed: {reason}"), cx),
        };
        let errors = cx.node().metrics().counter("slave/recovery_errors");
        for error in &found.errors {
            errors.increment();
            slog::warn!(cx.log(), "left out of recovery"; "reason" => error);
        }
        let rebooted = found.rebooted();
        if rebooted {
            slog::info!(cx.log(), "the host was started anew: nothing runs of what ran before");
        }
        self.remember_boot(&found, cx);
        self.recover_resources(found.resources.clone(), found.resources_target.clone(), cx);
        let Recovered { info: Some(then), frameworks, .. } = found else {
            return self.take_over(Plan::default(), cx);
        };
        let policy = self.state.config.reconfiguration_policy;
        match is_compatible(policy, &then, &self.state.info) {
            Ok(()) => {}
            Err(what) if rebooted => {
                slog::info!(cx.log(), "starting as a new slave"; "changed" => what);
                return self.take_over(Plan::default(), cx);
            }
            Err(what) => {
                let latest = paths::latest_slave(&self.state.config.work_dir);
                let reason = format!(
                    "this slave's {what} may not differ from that which it registered with: \
                     restore it, or remove {} to start as a new slave",
                    latest.display()
                );
                return self.exit(1, reason, cx);
            }
        }
        self.state.info.id = then.id;
        let plan = rebuild(&mut self.state, frameworks, rebooted);
        slog::info!(cx.log(), "recovered"; "id" => %self.state.id(),
            "executors" => plan.executors.len(), "streams" => plan.streams.len());
        self.show_recovered();
        self.take_over(plan, cx);
    }

    /// The boot is written down before anything is started in it.
    fn remember_boot(&mut self, found: &Recovered, cx: &mut Ctx<Self>) {
        let Some(now) = found.boot_id.clone().filter(|id| found.old_boot_id.as_ref() != Some(id))
        else {
            return;
        };
        let path = paths::boot_id(&self.state.config.work_dir);
        let written = cx.disk().write(&path, now.into());
        cx.defer(written, |slave, written, cx| {
            if let Err(error) = written {
                slave.exit(1, format!("cannot write a checkpoint: {error}"), cx);
            }
        });
    }

    fn take_over(&mut self, plan: Plan, cx: &mut Ctx<Self>) {
        let Plan { containers, executors, streams } = plan;
        self.manage(move |manager, _| manager.recover(streams));
        let recovered = self.containerizer.recover(containers);
        cx.defer(recovered, move |slave, recovered: Result<(), ContainerError>, cx| {
            if let Err(error) = recovered {
                return slave.exit(1, format!("recovery failed: {error}"), cx);
            }
            let mut statuses = Vec::new();
            for (framework, executor, container) in executors {
                statuses.push(slave.containerizer.status(&container));
                let over = slave.containerizer.wait(&container);
                let mut end = End::of(framework, executor, container);
                cx.defer(over, move |slave, ended, cx| {
                    end.termination = ended.unwrap_or_default();
                    slave.terminated(end, cx);
                });
            }
            // What executors tell when they are back is told with that.
            cx.defer(join_all(statuses), |slave, statuses, cx| {
                statuses
                    .into_iter()
                    .flatten()
                    .for_each(|status| slave.state.note_container(status));
                slave.reconnect(cx);
            });
        });
    }

    /// Turns to the executors that may still run.
    fn reconnect(&mut self, cx: &mut Ctx<Self>) {
        if self.state.config.recover == Recover::Cleanup {
            self.taken_over = true;
            return self.leave(0, "what an earlier run left is cleaned up".to_owned(), cx);
        }
        if self.state.frameworks.is_empty() {
            return self.ready(cx);
        }
        self.taken_over = true;
        self.ask_executors(cx);
        // The whole time is waited for: who comes back is not known beforehand.
        cx.after(self.state.config.executor_reregistration_timeout, |slave, cx| {
            slave.decide(cx, reregister::reregistration_timed_out);
            slave.ready(cx);
        });
    }

    fn ask_executors(&mut self, cx: &mut Ctx<Self>) {
        if self.registration.standing != Standing::Recovering {
            return;
        }
        self.decide(cx, |state, fx| reregister::reconnect(state, fx));
        if let Some(interval) = self.state.config.executor_reregistration_retry {
            cx.after(interval, Self::ask_executors);
        }
    }

    /// Recovery is over: a master is looked for.
    fn ready(&mut self, cx: &mut Ctx<Self>) {
        if self.registration.standing != Standing::Recovering {
            return;
        }
        self.taken_over = true;
        let took = cx.now().since(self.state.started).as_secs_f64();
        cx.node().metrics().gauge_fn("slave/recovery_time_secs", move || took);
        self.registration.standing = Standing::Disconnected;
        self.detect(cx);
    }

    /// Has removed in time what earlier slaves left here, once it is known who this one is.
    pub(super) fn collect_leftovers(&mut self, cx: &mut Ctx<Self>) {
        if std::mem::replace(&mut self.looked_for_leftovers, true) {
            return;
        }
        let frameworks = self.state.frameworks.values();
        let executors = frameworks.flat_map(|framework| {
            framework.executors.values().map(move |executor| {
                (framework.id.clone(), executor.id.clone(), executor.container.clone())
            })
        });
        let (live, work_dir) = (executors.collect(), self.state.config.work_dir.clone());
        let found = leftovers(cx.disk(), work_dir, self.state.id(), live);
        cx.defer(found, |slave, found, cx| slave.collect(found, cx.now()));
    }

    /// True once executors of an earlier run are known, so that others are strangers.
    pub(super) fn knows_executors(&self, cx: &Ctx<Self>) -> bool {
        if !self.taken_over {
            slog::info!(cx.log(), "an executor must ask again: recovering"; "from" => %cx.from());
        }
        self.taken_over
    }

    /// The slave is on its way out and nothing is left to wait for.
    pub(super) fn gone(&mut self, cx: &mut Ctx<Self>) {
        let Some((code, reason)) = self.leaving.take() else { return };
        // The next slave here is another one.
        let latest = paths::latest_slave(&self.state.config.work_dir);
        let removed = cx.disk().remove(&latest).map(drop);
        cx.defer(removed, move |slave, (), cx| slave.exit(code, reason, cx));
    }
}
