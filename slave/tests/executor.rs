//! The command executor with real commands, under a slave that the test plays.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests")]

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::Duration;

use ::slave::executor::{CommandExecutor, Settings};
use libprocess::real::{Config, run, start};
use libprocess::{Ctx, Handle, Node, Pid, Process, Routes};
use prost::{Message, Name};
use protos::mesos::internal::*;
use protos::mesos::task_status::Reason;
use protos::mesos::{
    self, CheckInfo, CheckStatusInfo, HealthCheck, TaskState, check_info, health_check,
};

/// How long anything may take.
const LIMIT: Duration = Duration::from_secs(60);

/// Takes what an executor sends; acknowledges updates if it is told to.
#[derive(Default)]
struct PlayedSlave {
    acknowledges: bool,
    registered: u32,
    again: Vec<ReregisterExecutorMessage>,
    updates: Vec<StatusUpdate>,
}

impl Process for PlayedSlave {
    fn routes(r: &mut Routes<Self>) {
        r.on(Self::register).on(Self::reregister).on(Self::update);
    }
}

impl PlayedSlave {
    fn register(&mut self, _: RegisterExecutorMessage, cx: &mut Ctx<Self>) {
        self.registered += 1;
        let capability = mesos::framework_info::Capability {
            r#type: Some(mesos::framework_info::capability::Type::TaskKillingState.into()),
        };
        let capabilities = vec![capability];
        let framework_info = mesos::FrameworkInfo { capabilities, ..Default::default() };
        cx.reply(&ExecutorRegisteredMessage { framework_info, ..Default::default() });
    }

    fn reregister(&mut self, m: ReregisterExecutorMessage, _: &mut Ctx<Self>) {
        self.again.push(m);
    }

    fn update(&mut self, m: StatusUpdateMessage, cx: &mut Ctx<Self>) {
        if self.acknowledges {
            let uuid = m.update.uuid.clone().unwrap();
            cx.reply(&StatusUpdateAcknowledgementMessage { uuid, ..Default::default() });
        }
        self.updates.push(m.update);
    }
}

struct Stage {
    slave: Handle<PlayedSlave>,
    slave_node: Node,
    executor: Pid,
    node: Node,
}

/// Runs a test with an executor that has registered with a played slave.
fn with_executor<F: Future<Output = ()>>(
    acknowledges: bool,
    checkpoint: bool,
    test: impl FnOnce(Stage) -> F,
) {
    run(async {
        let config = || Config { ip: Ipv4Addr::LOCALHOST, ..Config::default() };
        let (slave_node, node) = (start(config()).await.unwrap(), start(config()).await.unwrap());
        let played = PlayedSlave { acknowledges, ..Default::default() };
        let slave = slave_node.spawn("slave(1)", played).unwrap();
        let environment = [
            ("MESOS_SLAVE_PID", slave.pid().to_string()),
            ("MESOS_FRAMEWORK_ID", "F".to_owned()),
            ("MESOS_EXECUTOR_ID", "E".to_owned()),
            ("MESOS_CHECKPOINT", u8::from(checkpoint).to_string()),
            ("MESOS_RECOVERY_TIMEOUT", "100ms".to_owned()),
            ("MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD", "2100ms".to_owned()),
            ("PATH", std::env::var("PATH").unwrap()),
        ];
        let environment: BTreeMap<_, _> =
            environment.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let executor = CommandExecutor::new(Settings::read(environment).unwrap());
        let executor = node.spawn_numbered("executor", executor).pid().clone();
        let stage = Stage { slave, slave_node, executor, node };
        let whole = async {
            stage.until("registration", |slave| slave.registered == 1).await;
            test(stage).await;
        };
        tokio::time::timeout(LIMIT, whole).await.expect("the test within its limit");
    });
}

impl Stage {
    async fn until(&self, what: &str, holds: fn(&PlayedSlave) -> bool) {
        let mut looks = 0;
        while !self.slave.ask(move |slave, _| holds(slave)).await.unwrap() {
            looks += 1;
            assert!(looks < 3000, "waited in vain for {what}");
            self.node.sleep(Duration::from_millis(10)).await;
        }
    }

    fn send<M: Message + Name + 'static>(&self, message: M) {
        let to = self.executor.clone();
        self.slave.tell(move |_, cx| cx.send(&to, &message));
    }

    /// Runs a command that is looked at every few milliseconds.
    fn run_checked(&self, command: &str, health: Option<HealthCheck>, check: Option<CheckInfo>) {
        let health = health.map(|health| HealthCheck {
            delay_seconds: Some(0.0),
            interval_seconds: Some(0.02),
            timeout_seconds: Some(2.0),
            consecutive_failures: Some(2),
            grace_period_seconds: Some(60.0),
            ..health
        });
        let check = check.map(|check| CheckInfo {
            delay_seconds: Some(0.0),
            interval_seconds: Some(0.02),
            ..check
        });
        let command = mesos::CommandInfo { value: Some(command.to_owned()), ..Default::default() };
        let task = mesos::TaskInfo {
            task_id: mesos::TaskId { value: "t".to_owned() },
            command: Some(command),
            health_check: health.map(Box::new),
            check: check.map(Box::new),
            ..Default::default()
        };
        self.send(RunTaskMessage { task, ..Default::default() });
    }

    /// Reason, health and checked value of each update so far.
    async fn looks(&self) -> Vec<(Option<Reason>, Option<bool>, Option<CheckStatusInfo>)> {
        let told = |slave: &mut PlayedSlave, _: &mut Ctx<PlayedSlave>| {
            let one = |update: &StatusUpdate| {
                let status = &update.status;
                let reason = status.reason.map(|_| status.reason());
                (reason, status.healthy, status.check_status)
            };
            slave.updates.iter().map(one).collect()
        };
        self.slave.ask(told).await.unwrap()
    }

    fn run(&self, id: &str, command: &str) {
        let command = mesos::CommandInfo { value: Some(command.to_owned()), ..Default::default() };
        let task_id = mesos::TaskId { value: id.to_owned() };
        let task = mesos::TaskInfo { task_id, command: Some(command), ..Default::default() };
        self.send(RunTaskMessage { task, ..Default::default() });
    }

    fn kill(&self, id: &str, grace: Duration) {
        let nanoseconds = i64::try_from(grace.as_nanos()).unwrap();
        let grace_period = Some(mesos::DurationInfo { nanoseconds });
        self.send(KillTaskMessage {
            task_id: mesos::TaskId { value: id.to_owned() },
            kill_policy: Some(mesos::KillPolicy { grace_period }),
            ..Default::default()
        });
    }

    /// Task, state and message of each update so far.
    async fn told(&self) -> Vec<(String, TaskState, String)> {
        let told = |slave: &mut PlayedSlave, _: &mut Ctx<PlayedSlave>| {
            let one = |update: &StatusUpdate| {
                let status = &update.status;
                let message = status.message.clone().unwrap_or_default();
                (status.task_id.value.clone(), status.state(), message)
            };
            slave.updates.iter().map(one).collect()
        };
        self.slave.ask(told).await.unwrap()
    }

    async fn states(&self) -> Vec<TaskState> {
        self.told().await.into_iter().map(|(_, state, _)| state).collect()
    }
}

fn count<const N: usize>(slave: &PlayedSlave) -> bool {
    slave.updates.len() >= N
}

#[test]
fn executor_runs_its_command_and_ends_with_the_last_acknowledgement() {
    with_executor(true, false, |stage| async move {
        stage.run("t", "test \"$MESOS_EXECUTOR_ID\" = E || exit 9; exit 3");
        stage.node.wait(&stage.executor).await;
        use TaskState::{TaskFailed, TaskRunning, TaskStarting};
        assert_eq!(stage.states().await, [TaskStarting, TaskRunning, TaskFailed]);
        assert_eq!(stage.told().await[2].2, "Command exited with status 3");
    });
}

#[test]
fn executor_kills_a_stubborn_command_with_all_it_started() {
    with_executor(true, false, |stage| async move {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("pid");
        let command = format!(
            "trap '' TERM; setsid sh -c 'trap \"\" TERM; echo $$ > {0}; sleep 1000' & \
             while :; do sleep 1; done",
            file.display()
        );
        stage.run("t", &command);
        let written = || std::fs::read_to_string(&file).unwrap_or_default();
        while !written().ends_with('\n') {
            stage.node.sleep(Duration::from_millis(10)).await;
        }
        stage.kill("another", Duration::ZERO);
        stage.run("second", "true");
        stage.until("the refusal of the second task", count::<3>).await;
        stage.kill("t", Duration::from_millis(200));
        stage.node.wait(&stage.executor).await;
        let told = stage.told().await;
        use TaskState::*;
        let expected = [TaskStarting, TaskRunning, TaskFailed, TaskKilling, TaskKilled];
        assert_eq!(stage.states().await, expected);
        assert_eq!(told[2].0, "second");
        assert_eq!(told[4].2, "Command terminated with signal Killed");
        let stat = std::path::Path::new("/proc").join(written().trim()).join("stat");
        let runs = || {
            let stat = std::fs::read_to_string(&stat).unwrap_or_default();
            stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
        };
        while runs() {
            stage.node.sleep(Duration::from_millis(10)).await;
        }
    });
}

#[test]
fn executor_tells_a_restarted_slave_what_it_has_not_stored() {
    with_executor(false, true, |stage| async move {
        stage.run("t", "sleep 1000");
        stage.until("the command to run", count::<2>).await;
        stage.send(ReconnectExecutorMessage::default());
        stage.until("re-registration", |slave| !slave.again.is_empty()).await;
        let again = stage.slave.ask(|slave, _| slave.again[0].clone()).await.unwrap();
        assert_eq!(again.tasks.len(), 1);
        let states: Vec<_> = again.updates.iter().map(|u| u.status.state()).collect();
        assert_eq!(states, [TaskState::TaskStarting, TaskState::TaskRunning]);
        // A shutdown kills the command and waits for its end, whoever still listens.
        stage.send(ShutdownExecutorMessage::default());
        stage.node.wait(&stage.executor).await;
        assert_eq!(stage.states().await.last(), Some(&TaskState::TaskKilled));
    });
}

#[test]
fn executor_ends_when_its_slave_is_gone_and_does_not_come_back() {
    for checkpoint in [false, true] {
        with_executor(true, checkpoint, |stage| async move {
            stage.run("t", "sleep 1000");
            stage.until("the command to run", count::<2>).await;
            stage.slave_node.terminate(stage.slave.pid(), true);
            stage.slave_node.close();
            stage.node.wait(&stage.executor).await;
        });
    }
}

/// Answers HTTP on a port of its own, well or ill as told.
fn server(well: std::sync::Arc<std::sync::atomic::AtomicBool>) -> u32 {
    use std::io::{Read, Write};
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            // Whoever only connects is gone already.
            let _ = stream.read(&mut [0; 1024]);
            let status = match well.load(std::sync::atomic::Ordering::SeqCst) {
                true => "204 No Content",
                false => "503 Service Unavailable",
            };
            let _ = stream.write_all(format!("HTTP/1.1 {status}\r\n\r\n").as_bytes());
        }
    });
    u32::from(port)
}

#[test]
fn executor_tells_of_health_and_kills_who_is_ill_too_often() {
    with_executor(true, false, |stage| async move {
        let well = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(true));
        let http = health_check::HttpCheckInfo {
            port: server(well.clone()),
            path: Some("/health".to_owned()),
            ..Default::default()
        };
        let check = HealthCheck {
            r#type: Some(health_check::Type::Http.into()),
            http: Some(http),
            ..Default::default()
        };
        stage.run_checked("sleep 1000", Some(check), None);
        stage.until("health", count::<3>).await;
        let healthy = Some(Reason::TaskHealthCheckStatusUpdated);
        assert_eq!(stage.looks().await[2], (healthy, Some(true), None));
        well.store(false, std::sync::atomic::Ordering::SeqCst);
        stage.node.wait(&stage.executor).await;
        use TaskState::{TaskKilled, TaskKilling, TaskRunning, TaskStarting};
        let states = stage.states().await;
        let expected = [
            TaskStarting,
            TaskRunning,
            TaskRunning,
            TaskRunning,
            TaskRunning,
            TaskKilling,
            TaskKilled,
        ];
        assert_eq!(states, expected);
        assert_eq!(stage.looks().await.last(), Some(&(None, Some(false), None)));
        assert!(stage.told().await[3].2.contains("503"));
    });
}

#[test]
fn executor_looks_by_command_and_by_connection() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("well");
    let command = mesos::CommandInfo {
        value: Some(format!("test -e {}", file.display())),
        ..Default::default()
    };
    let by_command = HealthCheck {
        r#type: Some(health_check::Type::Command.into()),
        command: Some(command),
        ..Default::default()
    };
    let well = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(true));
    let by_connection = HealthCheck {
        r#type: Some(health_check::Type::Tcp.into()),
        tcp: Some(health_check::TcpCheckInfo { port: server(well), ..Default::default() }),
        ..Default::default()
    };
    for check in [by_command, by_connection] {
        with_executor(true, false, |stage| async move {
            // Failures before the first success are within the grace period.
            let start = "sleep 0.1; touch FILE; sleep 1000".replace("FILE", file_of(&check));
            stage.run_checked(&start, Some(check), None);
            stage.until("health", count::<3>).await;
            assert_eq!(stage.looks().await[2].1, Some(true));
            stage.kill("t", Duration::ZERO);
            stage.node.wait(&stage.executor).await;
            assert_eq!(stage.looks().await.last().unwrap().1, None);
        });
    }
}

/// The file that a command check waits for; some file for others.
fn file_of(check: &HealthCheck) -> &str {
    let command = check.command.as_ref().and_then(|command| command.value.as_deref());
    command.map_or("/dev/null", |command| command.trim_start_matches("test -e "))
}

#[test]
fn executor_tells_what_a_check_sees_when_it_changes() {
    with_executor(true, false, |stage| async move {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("code");
        let look = format!("exit $(cat {} 2>/dev/null || echo 7)", file.display());
        let command = mesos::CommandInfo { value: Some(look), ..Default::default() };
        let check = CheckInfo {
            r#type: Some(check_info::Type::Command.into()),
            command: Some(check_info::Command { command }),
            ..Default::default()
        };
        stage.run_checked("sleep 1000", None, Some(check));
        stage.until("a result", count::<3>).await;
        std::fs::write(&file, "5").unwrap();
        stage.until("another result", count::<4>).await;
        stage.kill("t", Duration::ZERO);
        stage.node.wait(&stage.executor).await;
        let code = |look: &Option<CheckStatusInfo>| look.as_ref()?.command.as_ref()?.exit_code;
        let looks = stage.looks().await;
        let codes: Vec<_> = looks.iter().map(|(_, _, look)| code(look)).collect();
        // An empty result first; the last one stays.
        assert_eq!(codes, [None, None, Some(7), Some(5), Some(5), Some(5)]);
        assert_eq!(looks[2].0, Some(Reason::TaskCheckStatusUpdated));
    });
}
