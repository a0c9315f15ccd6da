//! A real slave process, and a master that does nothing but launch tasks on it and note what it says.

#![allow(dead_code, reason = "each claim uses some of it")]

use std::collections::BTreeMap;
use std::fs::File;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use futures::channel::mpsc::{UnboundedReceiver, UnboundedSender, unbounded};
use futures::stream::StreamExt;
use libprocess::{Ctx, Handle, Node, Pid, Process, Routes, Time, real};
use protos::ids::{FrameworkId, SlaveId, TaskId};
use protos::mesos::internal::{
    MasterSlaveConnection, PingSlaveMessage, RegisterSlaveMessage, ReregisterSlaveMessage,
    RunTaskMessage, SlaveRegisteredMessage, SlaveReregisteredMessage,
    StatusUpdateAcknowledgementMessage, StatusUpdateMessage,
};
use protos::mesos::{CommandInfo, ExecutorInfo, FrameworkInfo, TaskInfo, TaskState};
use protos::resources::Resources;

pub(crate) type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

/// The only framework.
pub(crate) const FRAMEWORK: &str = "bench";
const PING: Duration = Duration::from_secs(15);

/// What the slave said.
#[derive(Debug)]
pub(crate) enum Event {
    /// It is there.
    Registered(Pid),
    /// It is there again, with so many tasks.
    Reregistered(Pid, usize),
    /// A task's state, and when it was heard of.
    Update(TaskId, TaskState, Time),
}

/// The master.
pub(crate) struct Master {
    events: UnboundedSender<Event>,
    slave: Option<Pid>,
}

impl Process for Master {
    fn routes(r: &mut Routes<Self>) {
        r.on(Self::register).on(Self::reregister).on(Self::update);
    }

    fn initialize(&mut self, cx: &mut Ctx<Self>) {
        cx.after(PING, Self::ping);
    }
}

fn connection() -> Option<MasterSlaveConnection> {
    Some(MasterSlaveConnection { total_ping_timeout_seconds: Some(75.0) })
}

impl Master {
    fn ping(&mut self, cx: &mut Ctx<Self>) {
        if let Some(slave) = &self.slave {
            cx.send(slave, &PingSlaveMessage { connected: true });
        }
        cx.after(PING, Self::ping);
    }

    fn tell(&self, event: Event) {
        // Who listened may be done.
        let _ = self.events.unbounded_send(event);
    }

    fn register(&mut self, _: RegisterSlaveMessage, cx: &mut Ctx<Self>) {
        let slave = cx.from().clone();
        self.slave = Some(slave.clone());
        let slave_id = SlaveId::new("S0").wire();
        cx.reply(&SlaveRegisteredMessage { slave_id, connection: connection() });
        self.tell(Event::Registered(slave));
    }

    fn reregister(&mut self, m: ReregisterSlaveMessage, cx: &mut Ctx<Self>) {
        let slave = cx.from().clone();
        self.slave = Some(slave.clone());
        let slave_id = m.slave.id.unwrap_or_default();
        let reconciliations = Vec::new();
        cx.reply(&SlaveReregisteredMessage { slave_id, reconciliations, connection: connection() });
        let running = m.tasks.iter().filter(|task| task.state() == TaskState::TaskRunning);
        self.tell(Event::Reregistered(slave, running.count()));
    }

    fn update(&mut self, m: StatusUpdateMessage, cx: &mut Ctx<Self>) {
        let update = m.update;
        let acknowledgement = StatusUpdateAcknowledgementMessage {
            slave_id: update.slave_id.clone().unwrap_or_default(),
            framework_id: update.framework_id.clone(),
            task_id: update.status.task_id.clone(),
            uuid: update.uuid.clone().unwrap_or_default(),
        };
        cx.reply(&acknowledgement);
        let task = TaskId::from(&update.status.task_id);
        self.tell(Event::Update(task, update.status.state(), cx.now()));
    }

    fn launch(&mut self, task: TaskInfo, cx: &mut Ctx<Self>) {
        let Some(slave) = &self.slave else { return };
        let framework = FrameworkInfo {
            id: Some(FrameworkId::new(FRAMEWORK).wire()),
            name: FRAMEWORK.to_owned(),
            checkpoint: Some(true),
            ..FrameworkInfo::default()
        };
        let message = RunTaskMessage {
            framework_id: Some(FrameworkId::new(FRAMEWORK).wire()),
            framework,
            pid: Some("scheduler@127.0.0.1:1".to_owned()),
            task,
            resource_version_uuids: Vec::new(),
            launch_executor: Some(true),
        };
        cx.send(slave, &message);
    }
}

/// A task that runs a shell line, or an executor that a shell line starts.
pub(crate) fn task(id: &str, resources: &str, line: &str) -> Outcome<TaskInfo> {
    let resources: Resources = resources.parse()?;
    Ok(TaskInfo {
        name: id.to_owned(),
        task_id: TaskId::new(id).wire(),
        slave_id: SlaveId::new("S0").wire(),
        resources: resources.to_wire(),
        command: Some(command(line)),
        ..TaskInfo::default()
    })
}

fn command(line: &str) -> CommandInfo {
    CommandInfo { value: Some(line.to_owned()), ..CommandInfo::default() }
}

/// A task of an executor of one's own.
pub(crate) fn custom(id: &str, executor: &str, line: &str) -> Outcome<TaskInfo> {
    let executor = ExecutorInfo {
        executor_id: protos::ids::ExecutorId::new(executor).wire(),
        command: Some(command(line)),
        ..ExecutorInfo::default()
    };
    let task = task(id, "cpus:0.01;mem:1", "")?;
    Ok(TaskInfo { executor: Some(Box::new(executor)), command: None, ..task })
}

/// A master and a slave.
pub(crate) struct Stage {
    pub(crate) node: Node,
    pub(crate) master: Handle<Master>,
    pub(crate) events: UnboundedReceiver<Event>,
    pub(crate) port: u16,
    flags: Vec<String>,
    directory: tempfile::TempDir,
    slave: Child,
}

/// A program of this project, built beside the benches.
pub(crate) fn binary(name: &str) -> Outcome<PathBuf> {
    let own = std::env::current_exe()?;
    let directory = own.ancestors().nth(2).unwrap_or(Path::new("/"));
    let path = directory.join(name);
    match path.exists() {
        true => Ok(path),
        false => {
            let advice = "run `cargo build --release --workspace --bins`";
            Err(format!("{} is missing: {advice}", path.display()).into())
        }
    }
}

impl Stage {
    /// Starts both, and waits until the slave has registered.
    pub(crate) async fn start(flags: &[&str]) -> Outcome<Self> {
        let config = real::Config { ip: Ipv4Addr::LOCALHOST, ..real::Config::default() };
        let node = real::start(config).await?;
        let (events, heard) = unbounded();
        let master = node.spawn("master", Master { events, slave: None })?;
        let directory = tempfile::tempdir()?;
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let flags = flags.iter().map(|flag| (*flag).to_owned()).collect();
        let mut stage = Self {
            slave: Command::new("true").spawn()?,
            node,
            master,
            events: heard,
            port,
            flags,
            directory,
        };
        stage.start_slave()?;
        match stage.next().await? {
            Event::Registered(_) => Ok(stage),
            other => Err(format!("{other:?} instead of a registration").into()),
        }
    }

    /// Starts the slave, once more after it was killed.
    pub(crate) fn start_slave(&mut self) -> Outcome<()> {
        let _ = self.slave.wait();
        let path = self.directory.path();
        let log = File::options().create(true).append(true).open(path.join("log"))?;
        self.slave = Command::new(binary("mesos-slave")?)
            .args(["--ip=127.0.0.1", "--registration_backoff_factor=10ms"])
            .arg(format!("--master={}", self.master.pid()))
            .arg(format!("--port={}", self.port))
            .arg(format!("--work_dir={}", path.join("work").display()))
            .arg(format!("--runtime_dir={}", path.join("run").display()))
            .arg(format!("--cgroups_root=bench-{}", std::process::id()))
            .arg("--resources=cpus:10000;mem:1000000;disk:1000000")
            .args(&self.flags)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        Ok(())
    }

    /// SIGKILL.
    pub(crate) fn kill_slave(&mut self) -> Outcome<()> {
        self.slave.kill()?;
        self.slave.wait()?;
        Ok(())
    }

    /// The slave's process.
    pub(crate) fn slave(&self) -> u32 {
        self.slave.id()
    }

    /// Has a task launched; when that was.
    pub(crate) fn launch(&self, task: TaskInfo) -> Time {
        let now = self.node.now();
        self.master.tell(move |master, cx| master.launch(task, cx));
        now
    }

    /// What the slave says next; an error after a minute of silence.
    pub(crate) async fn next(&mut self) -> Outcome<Event> {
        let heard = tokio::time::timeout(Duration::from_secs(60), self.events.next()).await;
        match heard {
            Ok(Some(event)) => Ok(event),
            _ => {
                let log = std::fs::read_to_string(self.directory.path().join("log"));
                let log = log.unwrap_or_default();
                let tail: Vec<&str> = log.lines().rev().take(20).collect();
                for line in tail.iter().rev() {
                    eprintln!("{line}");
                }
                Err("the slave says nothing".into())
            }
        }
    }

    /// Launches tasks, some at a time, until all are in a state.
    pub(crate) async fn launch_all(
        &mut self,
        tasks: Vec<TaskInfo>,
        at_a_time: usize,
        until: TaskState,
    ) -> Outcome<BTreeMap<TaskId, (Time, Time)>> {
        let (mut began, mut done) = (BTreeMap::new(), BTreeMap::new());
        let (count, mut waiting) = (tasks.len(), tasks.into_iter());
        for task in waiting.by_ref().take(at_a_time) {
            began.insert(TaskId::from(&task.task_id), self.launch(task));
        }
        while done.len() < count {
            let Event::Update(id, state, at) = self.next().await? else { continue };
            let failed = protos::task_state::is_terminal(state) && state != TaskState::TaskFinished;
            if failed {
                return Err(format!("{id} ended as {state:?}").into());
            }
            if state == until
                && let Some(from) = began.get(&id)
            {
                done.insert(id, (*from, at));
                if let Some(task) = waiting.next() {
                    began.insert(TaskId::from(&task.task_id), self.launch(task));
                }
            }
        }
        Ok(done)
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        let _ = self.slave.kill();
        let _ = self.slave.wait();
        // Executors of this slave, and what they run, carry its directory in their environment.
        let mark = self.directory.path().display().to_string();
        for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
            let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok())
            else {
                continue;
            };
            let environment = std::fs::read(entry.path().join("environ")).unwrap_or_default();
            if String::from_utf8_lossy(&environment).contains(&mark) {
                let _ = Command::new("kill").args(["-KILL", &pid.to_string()]).status();
            }
        }
        let root = format!("bench-{}", std::process::id());
        for controller in std::fs::read_dir("/sys/fs/cgroup").into_iter().flatten().flatten() {
            remove(&controller.path().join(&root));
        }
    }
}

fn remove(cgroup: &Path) {
    for entry in std::fs::read_dir(cgroup).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove(&entry.path());
        }
    }
    let _ = std::fs::remove_dir(cgroup);
}

/// CPU time of a process so far, and its resident memory in bytes.
pub(crate) fn usage(pid: u32) -> Outcome<(Duration, u64)> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let (_, rest) = stat.rsplit_once(") ").ok_or("malformed stat")?;
    let fields: Vec<&str> = rest.split(' ').collect();
    let number = |at: usize| fields.get(at).and_then(|text| text.parse::<u64>().ok());
    let ticks = number(11).ok_or("no utime")? + number(12).ok_or("no stime")?;
    let pages = number(21).ok_or("no rss")?;
    // Linux has told user space of 100 ticks a second since it has told at all.
    Ok((Duration::from_millis(ticks * 10), pages * 4096))
}

/// That share of all, from 0 to 1, is not above this.
pub(crate) fn percentile(times: &mut [Duration], share: f64) -> Duration {
    times.sort_unstable();
    let at = (times.len() as f64 * share) as usize;
    times.get(at.min(times.len().saturating_sub(1))).copied().unwrap_or_default()
}
