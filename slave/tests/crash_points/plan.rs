//! What the master wants of the slave.

use protos::ids::{ExecutorId, FrameworkId, SlaveId, TaskId};
use protos::mesos::internal::RunTaskMessage;
use protos::mesos::resource::disk_info::Persistence;
use protos::mesos::resource::{DiskInfo, ReservationInfo, reservation_info};
use protos::mesos::{self, TaskState};
use protos::resources::Resources;

/// A framework that does not checkpoint.
pub(crate) const FORGETFUL: &str = "N";

/// A task that is to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Job {
    pub(crate) framework: &'static str,
    pub(crate) task: &'static str,
    /// A command task's is made for it.
    pub(crate) executor: Option<&'static str>,
    /// The task of the same framework that must be in that state before.
    pub(crate) after: Option<(&'static str, TaskState)>,
}

impl Job {
    pub(crate) fn is_checkpointed(&self) -> bool {
        self.framework != FORGETFUL
    }

    pub(crate) fn executor(&self) -> &'static str {
        self.executor.unwrap_or(self.task)
    }
}

const fn command(framework: &'static str, task: &'static str) -> Job {
    Job { framework, task, executor: None, after: None }
}

const fn custom(task: &'static str, after: Option<(&'static str, TaskState)>) -> Job {
    Job { framework: "F", task, executor: Some("e"), after }
}

/// Tasks, and whether reservations change meanwhile.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) name: &'static str,
    pub(crate) jobs: &'static [Job],
    pub(crate) reserves: bool,
}

pub(crate) const ONE: Plan = Plan { name: "one task", jobs: &[command("F", "t")], reserves: false };

pub(crate) const CUSTOM: Plan = Plan {
    name: "two tasks of an executor",
    jobs: &[custom("t", None), custom("u", Some(("t", TaskState::TaskRunning)))],
    reserves: false,
};

pub(crate) const TWO: Plan = Plan {
    name: "two frameworks",
    jobs: &[command("F", "t"), command(FORGETFUL, "n")],
    reserves: false,
};

pub(crate) const RESERVED: Plan =
    Plan { name: "reservations", jobs: &[command("F", "t")], reserves: true };

pub(crate) fn run_task(job: &Job, slave: &SlaveId) -> RunTaskMessage {
    let command = mesos::CommandInfo { value: Some("work".to_owned()), ..Default::default() };
    let executor = job.executor.map(|id| {
        Box::new(mesos::ExecutorInfo {
            executor_id: ExecutorId::new(id).wire(),
            command: Some(mesos::CommandInfo {
                shell: Some(false),
                value: Some("custom-executor".to_owned()),
                arguments: vec!["custom-executor".to_owned()],
                ..Default::default()
            }),
            ..Default::default()
        })
    });
    RunTaskMessage {
        framework: mesos::FrameworkInfo {
            id: Some(FrameworkId::new(job.framework).wire()),
            checkpoint: Some(job.is_checkpointed()),
            ..Default::default()
        },
        pid: Some("scheduler@10.0.0.9:9".to_owned()),
        task: mesos::TaskInfo {
            name: job.task.to_owned(),
            task_id: TaskId::new(job.task).wire(),
            slave_id: slave.wire(),
            resources: "cpus:1;mem:64".parse::<Resources>().unwrap().to_wire(),
            command: job.executor.is_none().then_some(command),
            executor,
            ..Default::default()
        },
        ..Default::default()
    }
}

/// Where a volume lies.
pub(crate) fn volume_path(volume: &str) -> String {
    format!("/w/volumes/roles/web/{volume}")
}

/// What is reserved, by and by: a volume, another one beside, the other one alone.
pub(crate) const RESERVATIONS: [&[&str]; 4] = [&[], &["v1"], &["v1", "v2"], &["v2"]];

pub(crate) fn reserved(stage: usize) -> Vec<mesos::Resource> {
    let volumes: Vec<_> = RESERVATIONS[stage].iter().map(|id| volume(id)).collect();
    Resources::from_wire(&volumes).unwrap().to_wire()
}

fn volume(id: &str) -> mesos::Resource {
    mesos::Resource {
        name: "disk".to_owned(),
        r#type: mesos::value::Type::Scalar as i32,
        scalar: Some(mesos::value::Scalar { value: 64.0 }),
        reservations: vec![ReservationInfo {
            role: Some("web".to_owned()),
            r#type: Some(reservation_info::Type::Dynamic as i32),
            ..ReservationInfo::default()
        }],
        disk: Some(Box::new(DiskInfo {
            persistence: Some(Persistence { id: id.to_owned(), principal: None }),
            volume: Some(mesos::Volume {
                container_path: "data".to_owned(),
                mode: mesos::volume::Mode::Rw as i32,
                ..mesos::Volume::default()
            }),
            ..DiskInfo::default()
        })),
        ..mesos::Resource::default()
    }
}
