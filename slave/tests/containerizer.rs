//! The containerizer with real children.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests")]

use std::collections::BTreeMap;
use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use isolators::Allocation;
use libprocess::Node;
use libprocess::real::{Config, run, start};
use protos::ids::ContainerId;
use protos::mesos::{self, command_info::Uri};
use protos::resources::Resources;
use slave::containerizer::{
    self, ContainerConfig, ContainerError, Containerizer, ContainerizerOptions, LauncherKind,
    RecoveredContainer,
};
use slave::fetcher::FetcherOptions;
use slave::logger::{LoggerOptions, Rotation};

/// How long anything may take.
const LIMIT: Duration = Duration::from_secs(60);

struct Host {
    node: Node,
    containerizer: Arc<dyn Containerizer>,
    directory: tempfile::TempDir,
}

/// Runs a test with a containerizer on a node of its own, within the limit.
fn with_host<F: Future<Output = ()>>(test: impl FnOnce(Host) -> F) {
    with_logger(None, test);
}

/// As [`with_host`], where output goes through a logger.
fn with_logger<F: Future<Output = ()>>(
    logger: Option<LoggerOptions>,
    test: impl FnOnce(Host) -> F,
) {
    run(async {
        let config = Config { ip: Ipv4Addr::LOCALHOST, ..Config::default() };
        let node = start(config).await.unwrap();
        let directory = tempfile::tempdir().unwrap();
        let cache_dir = directory.path().join("cache");
        let options = ContainerizerOptions {
            fetching: FetcherOptions { cache_dir, ..FetcherOptions::default() },
            isolation: "process".to_owned(),
            fetcher: vec![env!("CARGO_BIN_EXE_mesos-fetcher").to_owned()],
            launcher: LauncherKind::Posix,
            logger,
            helper: vec![env!("CARGO_BIN_EXE_mesos-containerizer").to_owned()],
            ..ContainerizerOptions::default()
        };
        let containerizer = containerizer::start(&node, options).unwrap();
        let host = Host { node, containerizer, directory };
        tokio::time::timeout(LIMIT, test(host)).await.expect("the test within its limit");
    });
}

impl Host {
    fn sandbox(&self, name: &str) -> PathBuf {
        let sandbox = self.directory.path().join(name);
        fs::create_dir_all(&sandbox).unwrap();
        sandbox
    }

    fn config(&self, name: &str, command: &str) -> ContainerConfig {
        let value = Some(command.to_owned());
        let path = std::env::var("PATH").unwrap();
        ContainerConfig {
            executor_info: mesos::ExecutorInfo::default(),
            command: mesos::CommandInfo { value, ..Default::default() },
            task_info: None,
            allocation: allocation("cpus:2;mem:64"),
            directory: self.sandbox(name),
            user: None,
            environment: BTreeMap::from([("PATH".to_owned(), path)]),
            pid_checkpoint: None,
        }
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

fn allocation(text: &str) -> Allocation {
    Allocation::from(text.parse::<Resources>().unwrap())
}

fn uri(value: String) -> Uri {
    Uri { value, ..Uri::default() }
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

/// True unless the process is gone, or only waits to be reaped.
fn runs(pid: &str) -> bool {
    let stat = read(&Path::new("/proc").join(pid.trim()).join("stat"));
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

#[test]
fn container_runs_in_its_sandbox_and_tells_its_end_as_often_as_asked() {
    with_host(|host| async move {
        let id = ContainerId::new("c");
        let mut config = host.config("c", "pwd; echo oops >&2; exit 3");
        config.pid_checkpoint = Some(host.directory.path().join("meta/forked.pid"));
        let sandbox = config.directory.clone();
        let over = host.containerizer.wait(&ContainerId::new("unknown"));
        assert_eq!(over.await, None);
        host.containerizer.launch(&id, config).await.unwrap();
        for _ in 0..2 {
            let end = host.containerizer.wait(&id).await.unwrap();
            assert_eq!(end.status.unwrap().code(), Some(3));
        }
        let real = sandbox.canonicalize().unwrap();
        assert_eq!(read(&sandbox.join("stdout")).trim(), real.display().to_string());
        assert_eq!(read(&sandbox.join("stderr")), "oops\n");
        assert!(read(&host.directory.path().join("meta/forked.pid")).parse::<u32>().is_ok());
        assert!(matches!(host.containerizer.usage(&id).await, Err(ContainerError::Unknown(_))));
    });
}

#[test]
fn container_that_ends_at_once_was_launched() {
    with_host(|host| async move {
        for number in 0..20 {
            let id = ContainerId::new(format!("c{number}"));
            let config = host.config(id.as_str(), "exit 0");
            host.containerizer.launch(&id, config).await.unwrap();
            let end = host.containerizer.wait(&id).await.unwrap();
            assert_eq!(end.status.unwrap().code(), Some(0));
        }
    });
}

#[test]
fn container_destroyed_leaves_no_process_behind() {
    with_host(|host| async move {
        let id = ContainerId::new("c");
        let command = "trap '' TERM; setsid sh -c 'echo $$ > own; sleep 1000' & \
                       echo $$ > first; sh -c 'echo $$ > child; sleep 1000'; sleep 1000";
        let config = host.config("c", command);
        let sandbox = config.directory.clone();
        host.containerizer.launch(&id, config.clone()).await.unwrap();
        let again = host.containerizer.launch(&id, config).await;
        assert!(matches!(again, Err(ContainerError::Exists(_))));
        let files = ["own", "first", "child"].map(|name| sandbox.join(name));
        host.until("all to run", || files.iter().all(|file| read(file).ends_with('\n'))).await;
        let usage = host.containerizer.usage(&id).await.unwrap();
        assert_eq!((usage.cpus_limit(), usage.mem_limit_bytes()), (2.0, 64 << 20));
        assert!(usage.mem_rss_bytes() > 0 && usage.cpus_user_time_secs.is_some());
        host.containerizer.update(&id, allocation("cpus:1;mem:32")).await.unwrap();
        assert_eq!(host.containerizer.usage(&id).await.unwrap().cpus_limit(), 1.0);
        let pid = host.containerizer.status(&id).await.unwrap().executor_pid;
        assert_eq!(pid.unwrap().to_string(), read(&files[1]).trim());
        host.containerizer.destroy(&id).await.unwrap();
        let end = host.containerizer.wait(&id).await.unwrap();
        assert_eq!(end.status.unwrap().signal(), Some(9));
        host.until("all to be gone", || !files.iter().any(|file| runs(&read(file)))).await;
    });
}

#[test]
fn container_fetches_first_and_fails_with_its_fetch() {
    with_host(|host| async move {
        let source = host.directory.path().join("data.txt");
        fs::write(&source, "fetched\n").unwrap();
        let mut config = host.config("good", "cat data.txt");
        config.command.uris = vec![uri(format!("file://{}", source.display()))];
        let (good, sandbox) = (ContainerId::new("good"), config.directory.clone());
        host.containerizer.launch(&good, config).await.unwrap();
        host.containerizer.wait(&good).await.unwrap();
        assert_eq!(read(&sandbox.join("stdout")), "fetched\n");

        let mut config = host.config("bad", "touch ran");
        config.command.uris = vec![uri("/nowhere/data.txt".to_owned())];
        let (bad, sandbox) = (ContainerId::new("bad"), config.directory.clone());
        assert!(host.containerizer.launch(&bad, config).await.is_err());
        let end = host.containerizer.wait(&bad).await.unwrap();
        assert!(end.message.contains("fetch"), "{end:?}");
        assert!(read(&sandbox.join("stderr")).contains("/nowhere/data.txt"));
        assert!(!sandbox.join("ran").exists());
    });
}

#[test]
fn container_destroyed_while_it_fetches_is_gone_at_once() {
    with_host(|host| async move {
        // Takes connections and never answers.
        let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        silent.set_nonblocking(true).unwrap();
        let id = ContainerId::new("c");
        let mut config = host.config("c", "true");
        config.command.uris = vec![uri(format!("http://{}/f", silent.local_addr().unwrap()))];
        let launched = host.containerizer.launch(&id, config);
        let mut connection = None;
        host.until("the fetcher to connect", || {
            connection = silent.accept().ok();
            connection.is_some()
        })
        .await;
        host.containerizer.destroy(&id).await.unwrap();
        let error = launched.await.unwrap_err().to_string();
        assert!(error.contains("stopped"), "{error}");
    });
}

#[test]
fn container_of_another_user_owns_its_output() {
    with_host(|host| async move {
        let root = nix::unistd::geteuid().is_root();
        let own = nix::unistd::User::from_uid(nix::unistd::geteuid()).unwrap().unwrap();
        let name = if root { "nobody".to_owned() } else { own.name };
        let user = nix::unistd::User::from_name(&name).unwrap().unwrap();
        let mut config = host.config("c", "id -un");
        let sandbox = config.directory.clone();
        let open = <fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o755);
        fs::set_permissions(host.directory.path(), open).unwrap();
        nix::unistd::chown(&sandbox, Some(user.uid), Some(user.gid)).unwrap();
        config.user = Some(name.clone());
        let id = ContainerId::new("c");
        host.containerizer.launch(&id, config).await.unwrap();
        host.containerizer.wait(&id).await.unwrap();
        assert_eq!(read(&sandbox.join("stdout")).trim(), name);
        assert_eq!(fs::metadata(sandbox.join("stdout")).unwrap().uid(), user.uid.as_raw());

        let mut config = host.config("d", "true");
        config.user = Some("no-such-user".to_owned());
        let id = ContainerId::new("d");
        let error = host.containerizer.launch(&id, config).await.unwrap_err().to_string();
        assert!(error.contains("no-such-user"), "{error}");
        let end = host.containerizer.wait(&id).await.unwrap();
        assert!(end.message.contains("no-such-user"), "{end:?}");
    });
}

#[test]
fn container_output_never_follows_a_link() {
    with_host(|host| async move {
        let config = host.config("c", "echo hi");
        let victim = host.directory.path().join("victim");
        fs::write(&victim, "precious").unwrap();
        std::os::unix::fs::symlink(&victim, config.directory.join("stdout")).unwrap();
        let id = ContainerId::new("c");
        assert!(host.containerizer.launch(&id, config).await.is_err());
        assert_eq!(read(&victim), "precious");
    });
}

#[test]
fn container_of_an_earlier_slave_is_measured_and_destroyed() {
    with_host(|host| async move {
        // Holds no pipe of the test's open, should the test fail.
        let mut command = std::process::Command::new("sleep");
        command.arg("1000").stdout(Stdio::null()).stderr(Stdio::null());
        let directory = host.sandbox("c");
        command.env("MESOS_DIRECTORY", &directory);
        let mut child = command.spawn().unwrap();
        let comm = format!("/proc/{}/comm", child.id());
        while fs::read_to_string(&comm).unwrap() != "sleep\n" {
            tokio::task::yield_now().await;
        }
        let id = ContainerId::new("c");
        let recovered = RecoveredContainer {
            id: id.clone(),
            pid: child.id(),
            directory,
            allocation: allocation("cpus:1;mem:32"),
            executor_info: mesos::ExecutorInfo::default(),
            user: None,
            is_command_task: false,
        };
        host.containerizer.recover(vec![recovered]).await.unwrap();
        assert!(host.containerizer.usage(&id).await.unwrap().mem_rss_bytes() > 0);
        let over = host.containerizer.wait(&id);
        host.containerizer.destroy(&id).await.unwrap();
        assert_eq!(over.await.unwrap().status, None);
        child.wait().unwrap();
    });
}

#[test]
fn uri_that_several_containers_want_at_once_is_downloaded_once() {
    with_host(|host| async move {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let served = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let count = served.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                use std::io::{Read, Write};
                let mut stream = stream.unwrap();
                let _ = stream.read(&mut [0; 1024]).unwrap();
                count.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
                stream.write_all(answer).unwrap();
            }
        });
        let ids: Vec<_> = ["a", "b", "c"].into_iter().map(ContainerId::new).collect();
        let launches = ids.iter().map(|id| {
            let mut config = host.config(id.as_str(), "cat f");
            let cached = Uri { cache: Some(true), ..uri(format!("http://{address}/f")) };
            config.command.uris = vec![cached];
            host.containerizer.launch(id, config)
        });
        let launches: Vec<_> = launches.collect();
        for launch in launches {
            launch.await.unwrap();
        }
        for id in &ids {
            host.containerizer.wait(id).await.unwrap();
            let stdout = host.directory.path().join(id.as_str()).join("stdout");
            assert_eq!(read(&stdout), "hello");
        }
        assert_eq!(served.load(std::sync::atomic::Ordering::SeqCst), 1);
    });
}

#[test]
fn output_through_a_logger_stays_within_its_bounds() {
    let rotation = Rotation { max_bytes: 4096, keep: 1 };
    let logger = LoggerOptions {
        program: vec![env!("CARGO_BIN_EXE_mesos-logrotate-logger").to_owned()],
        prefix: slave::logger::PREFIX.to_owned(),
        stdout: rotation,
        stderr: rotation,
    };
    with_logger(Some(logger), |host| async move {
        let id = ContainerId::new("c");
        let config = host.config("c", "seq 10000; echo oops >&2");
        let sandbox = config.directory.clone();
        host.containerizer.launch(&id, config).await.unwrap();
        host.containerizer.wait(&id).await.unwrap();
        let file = |name: &str| read(&sandbox.join(name));
        host.until("the last line", || file("stdout").ends_with("10000\n")).await;
        assert_eq!(file("stdout.1").len(), 4096);
        assert!(!sandbox.join("stdout.2").exists());
        host.until("the error", || file("stderr") == "oops\n").await;
    });
}
