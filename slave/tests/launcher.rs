//! The linux launcher and its helper, as root, with real processes that try to get away.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests")]

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::time::Duration;

use libprocess::Node;
use libprocess::real::{Config, run, start};
use protos::ids::ContainerId;
use protos::mesos::{self, capability_info::Capability};
use protos::resources::Resources;
use slave::containerizer::{
    self, ContainerConfig, Containerizer, ContainerizerOptions, LauncherKind, RecoveredContainer,
};

/// How long anything may take.
const LIMIT: Duration = Duration::from_secs(60);

struct Host {
    node: Node,
    containerizer: Arc<dyn Containerizer>,
    directory: tempfile::TempDir,
}

fn options(root: &str, work_dir: &Path) -> ContainerizerOptions {
    ContainerizerOptions {
        isolation: "posix/cpu,posix/mem".to_owned(),
        launcher: LauncherKind::Linux,
        helper: vec![env!("CARGO_BIN_EXE_mesos-containerizer").to_owned()],
        isolators: isolators::Options {
            cgroups_root: root.to_owned(),
            work_dir: work_dir.to_owned(),
            ..isolators::Options::default()
        },
        ..ContainerizerOptions::default()
    }
}

fn with_host<F: Future<Output = ()>>(test: impl FnOnce(Host) -> F) {
    run(async {
        let config = Config { ip: Ipv4Addr::LOCALHOST, ..Config::default() };
        let node = start(config).await.unwrap();
        // Tests that run at once do not take each other's cgroups for orphans.
        let root = format!("mesos-test-{}", node.uuid());
        let directory = tempfile::tempdir().unwrap();
        let options = options(&root, directory.path());
        let containerizer = containerizer::start(&node, options).unwrap();
        let host = Host { node, containerizer, directory };
        tokio::time::timeout(LIMIT, test(host)).await.expect("the test within its limit");
        for base in ["/sys/fs/cgroup/freezer", "/sys/fs/cgroup"] {
            let _ = fs::remove_dir(Path::new(base).join(&root));
        }
    });
}

impl Host {
    fn config(&self, id: &ContainerId, command: &str) -> ContainerConfig {
        let directory = self.directory.path().join(id.as_str());
        fs::create_dir_all(&directory).unwrap();
        ContainerConfig {
            executor_info: mesos::ExecutorInfo::default(),
            command: mesos::CommandInfo { value: Some(command.to_owned()), ..Default::default() },
            task_info: None,
            allocation: "cpus:1;mem:64".parse::<Resources>().unwrap().into(),
            environment: BTreeMap::from([
                ("PATH".to_owned(), "/usr/bin:/bin".to_owned()),
                ("MESOS_DIRECTORY".to_owned(), directory.display().to_string()),
            ]),
            directory,
            user: None,
            pid_checkpoint: None,
        }
    }

    fn id(&self) -> ContainerId {
        ContainerId::new(self.node.uuid().to_string())
    }

    async fn until(&self, what: &str, mut holds: impl FnMut() -> bool) {
        let mut looks = 0;
        while !holds() {
            looks += 1;
            assert!(looks < 3000, "waited in vain for {what}");
            self.node.sleep(Duration::from_millis(10)).await;
        }
    }
}

fn read(path: impl AsRef<Path>) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

/// True unless the process is gone, or only waits to be reaped.
fn runs(pid: &str) -> bool {
    let stat = read(Path::new("/proc").join(pid.trim()).join("stat"));
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

/// Ignores SIGTERM, leaves its session, is nobody's child, and forgets where it came from.
const ESCAPE: &str = "(setsid sh -c 'trap \"\" TERM HUP; env -i sleep 1000 & echo $! > PID; wait' \
                      > /dev/null 2>&1 &) ; while ! test -s PID; do sleep 0.01; done; ";

#[test]
fn process_that_hides_from_its_container_goes_with_it() {
    with_host(|host| async move {
        for (ends_by_itself, rest) in [(true, "exit 0"), (false, "trap '' TERM; sleep 1000")] {
            let id = host.id();
            let pid = host.directory.path().join(format!("{id}.pid"));
            let command = format!("{ESCAPE}{rest}").replace("PID", &pid.display().to_string());
            host.containerizer.launch(&id, host.config(&id, &command)).await.unwrap();
            host.until("the process that hides", || read(&pid).ends_with('\n')).await;
            let hidden = read(&pid);
            if !ends_by_itself {
                assert!(runs(&hidden));
                host.containerizer.destroy(&id).await.unwrap();
            }
            host.containerizer.wait(&id).await.unwrap();
            assert!(!runs(&hidden), "{hidden} runs still");
        }
    });
}

#[test]
fn fork_bomb_ends_when_it_is_destroyed() {
    with_host(|host| async move {
        let id = host.id();
        let started = host.directory.path().join("started");
        // Bounded, should the test fail: each generation has a depth.
        let bomb = "b() { test $1 -gt 0 && { b $(($1 - 1)) & b $(($1 - 1)) & }; sleep 30; }; \
                    touch STARTED; b 6";
        let bomb = bomb.replace("STARTED", &started.display().to_string());
        host.containerizer.launch(&id, host.config(&id, &bomb)).await.unwrap();
        host.until("the bomb", || started.exists()).await;
        host.containerizer.destroy(&id).await.unwrap();
        let own = host.directory.path().display().to_string();
        let left = procfs_environments().into_iter().filter(|it| it.contains(&own)).count();
        assert_eq!(left, 0);
    });
}

fn procfs_environments() -> Vec<String> {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let environments = entries.filter(|entry| runs(&entry.file_name().to_string_lossy()));
    environments
        .filter_map(|entry| fs::read(entry.path().join("environ")).ok())
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        .collect()
}

#[test]
fn container_of_a_slave_that_died_is_taken_over_and_others_are_killed() {
    with_host(|host| async move {
        let (known, orphan) = (host.id(), host.id());
        let mut pids = Vec::new();
        for id in [&known, &orphan] {
            let config = ContainerConfig {
                pid_checkpoint: Some(host.directory.path().join(format!("{id}.forked"))),
                ..host.config(id, "exec sleep 1000")
            };
            host.containerizer.launch(id, config).await.unwrap();
            pids.push(read(host.directory.path().join(format!("{id}.forked"))));
        }
        host.until("commands", || {
            pids.iter().all(|pid| read(format!("/proc/{pid}/cmdline")).starts_with("sleep"))
        })
        .await;
        let root = cgroups_root(&pids[0]);
        // A slave of another working directory has no business with either.
        let other = containerizer::start(&host.node, options(&root, Path::new("/other"))).unwrap();
        other.recover(Vec::new()).await.unwrap();
        let options = options(&root, host.directory.path());
        let next = containerizer::start(&host.node, options).unwrap();
        let directory = host.directory.path().join(known.as_str());
        let pid = pids[0].parse().unwrap();
        let stranger = RecoveredContainer {
            id: ContainerId::new("stranger"),
            // Runs, and is surely no container of ours.
            pid: std::process::id(),
            directory: PathBuf::from("/nowhere"),
            allocation: Default::default(),
            executor_info: mesos::ExecutorInfo::default(),
            user: None,
            is_command_task: false,
        };
        let found = RecoveredContainer { id: known.clone(), pid, directory, ..stranger.clone() };
        next.recover(vec![found, stranger.clone()]).await.unwrap();
        assert_eq!(next.wait(&stranger.id).await.unwrap().status, None);
        host.until("the orphan's end", || !runs(&pids[1])).await;
        assert!(runs(&pids[0]));
        let over = next.wait(&known);
        next.destroy(&known).await.unwrap();
        assert_eq!(over.await.unwrap().status, None);
        assert!(!runs(&pids[0]));
    });
}

/// The root of the cgroup that a process is in.
fn cgroups_root(pid: &str) -> String {
    let lines = read(format!("/proc/{pid}/cgroup"));
    let line = lines.lines().find(|line| line.contains("/mesos-test-")).unwrap();
    line.rsplit(':').next().unwrap().split('/').nth(1).unwrap().to_owned()
}

/// Runs the helper with launch data on its pipe.
fn helper(info: &isolators::LaunchInfo) -> Output {
    let mut child = Command::new("sh")
        .args(["-c", "exec \"$0\" launch --pipe_read=3 3<&0 </dev/null"])
        .arg(env!("CARGO_BIN_EXE_mesos-containerizer"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut pipe = child.stdin.take().unwrap();
    pipe.write_all(&slave::checkpoint::encode(info)).unwrap();
    drop(pipe);
    child.wait_with_output().unwrap()
}

fn running(command: &str) -> isolators::LaunchInfo {
    let path = mesos::environment::Variable {
        name: "PATH".to_owned(),
        value: Some("/usr/bin:/bin".to_owned()),
        ..Default::default()
    };
    isolators::LaunchInfo {
        command: Some(mesos::CommandInfo { value: Some(command.to_owned()), ..Default::default() }),
        environment: Some(mesos::Environment { variables: vec![path] }),
        ..Default::default()
    }
}

fn capabilities(all: &[Capability]) -> Option<mesos::CapabilityInfo> {
    let capabilities = all.iter().map(|capability| i32::from(*capability)).collect();
    Some(mesos::CapabilityInfo { capabilities })
}

#[test]
fn helper_gives_up_what_was_not_given() {
    let status = "pwd; id -un; id -Gn; ulimit -n; grep -E '^(Cap|NoNewPrivs)' /proc/self/status; \
                  test -e /proc/$$/fd/3 && echo open || echo closed";
    let limit = mesos::r_limit_info::RLimit {
        r#type: Some(mesos::r_limit_info::r_limit::Type::RlmtNofile.into()),
        hard: Some(77),
        soft: Some(66),
    };
    let output = helper(&isolators::LaunchInfo {
        user: Some("nobody".to_owned()),
        working_directory: Some("/usr".to_owned()),
        rlimits: Some(mesos::RLimitInfo { rlimits: vec![limit] }),
        effective_capabilities: capabilities(&[Capability::NetBindService]),
        bounding_capabilities: capabilities(&[Capability::NetBindService, Capability::NetRaw]),
        no_new_privileges: Some(true),
        ..running(status)
    });
    let (out, err) = (String::from_utf8(output.stdout).unwrap(), output.stderr);
    assert!(output.status.success(), "{out}{}", String::from_utf8_lossy(&err));
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(lines[..4], ["/usr", "nobody", "nogroup", "66"], "{out}");
    // 10 is net_bind_service, 13 net_raw.
    let bits = |name: &str| {
        let line = lines.iter().find(|line| line.starts_with(name)).unwrap();
        u64::from_str_radix(line.rsplit('\t').next().unwrap(), 16).unwrap()
    };
    assert_eq!(bits("CapEff"), 1 << 10, "{out}");
    assert_eq!(bits("CapPrm"), 1 << 10, "{out}");
    assert_eq!(bits("CapBnd"), 1 << 10 | 1 << 13, "{out}");
    assert_eq!(bits("NoNewPrivs"), 1, "{out}");
    assert_eq!(*lines.last().unwrap(), "closed", "{out}");
}

#[test]
fn helper_tells_its_errors_in_one_line() {
    let nobody = isolators::LaunchInfo { user: Some("no-such-user".to_owned()), ..running("true") };
    let nowhere =
        isolators::LaunchInfo { working_directory: Some("/nowhere".to_owned()), ..running("true") };
    let mut nothing = running("/no/such/program");
    nothing.command.as_mut().unwrap().shell = Some(false);
    for (info, expected) in [
        (nobody, "look up user 'no-such-user'"),
        (nowhere, "enter /nowhere"),
        (nothing, "execute '/no/such/program'"),
        (isolators::LaunchInfo::default(), "there is no command"),
    ] {
        let output = helper(&info);
        let err = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{err}");
        assert!(err.contains(expected) && err.trim_end().lines().count() == 1, "{err}");
    }
}
