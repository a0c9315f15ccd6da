//! A host with isolators, and commands that wait to be isolated.

#![allow(dead_code, reason = "not every test needs all of it")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests")]

use std::cell::RefCell;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use isolators::cgroups::Hierarchies;
use isolators::{
    Allocation, ContainerSetup, Isolator, LaunchInfo, Limitation, Options, Recovered, launch,
    merge_statistics, merge_status,
};
use libprocess::Node;
use libprocess::real::{Config, start};
use protos::ids::ContainerId;
use protos::mesos::{ContainerStatus, ResourceStatistics};

const LIMIT: Duration = Duration::from_secs(60);

/// Waits for what must come.
pub(crate) async fn until<T>(what: &str, future: impl Future<Output = T>) -> T {
    let within = tokio::time::timeout(LIMIT, future).await;
    within.unwrap_or_else(|_| panic!("within {LIMIT:?}: {what}"))
}

/// Waits for a condition.
pub(crate) async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !holds().await {
            tokio::task::yield_now().await;
        }
    };
    until(what, waiting).await;
}

/// A shell command that runs nothing before it is told to go.
pub(crate) struct Shell(RefCell<Child>);

impl Shell {
    pub(crate) fn held(script: &str) -> Self {
        Self::spawn(Command::new("sh").args(["-c", &format!("read go; {script}")]))
    }

    pub(crate) fn held_on_first_cpu(script: &str) -> Self {
        let script = format!("read go; {script}");
        Self::spawn(Command::new("taskset").args(["-c", "0", "sh", "-c", &script]))
    }

    /// In namespaces of its own, by options of `unshare`.
    pub(crate) fn unshared(options: &[&str], script: &str) -> Self {
        let script = format!("read go; {script}");
        let shell = Self::spawn(Command::new("unshare").args(options).args(["sh", "-c", &script]));
        // It changes its namespaces before it becomes the shell.
        let comm = format!("/proc/{}/comm", shell.pid());
        while std::fs::read_to_string(&comm).unwrap().trim() != "sh" {
            std::thread::yield_now();
        }
        shell
    }

    fn spawn(command: &mut Command) -> Self {
        Self(RefCell::new(command.stdin(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap()))
    }

    pub(crate) fn pid(&self) -> u32 {
        self.0.borrow().id()
    }

    pub(crate) fn go(&self) {
        self.0.borrow_mut().stdin.as_mut().unwrap().write_all(b"\n").unwrap();
    }

    pub(crate) fn lives(&self) -> bool {
        self.0.borrow_mut().try_wait().unwrap().is_none()
    }

    pub(crate) async fn succeeds(&self) -> bool {
        eventually("it ends", async || !self.lives()).await;
        self.0.borrow_mut().wait().unwrap().success()
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        let _ = self.0.borrow_mut().kill();
        let _ = self.0.borrow_mut().wait();
    }
}

/// A node with isolators, below a cgroup of its own.
pub(crate) struct Host {
    node: Node,
    options: Options,
    isolators: Vec<Arc<dyn Isolator>>,
    hierarchies: Arc<Hierarchies>,
    is_owner: bool,
}

impl Host {
    pub(crate) async fn start(mut options: Options) -> Self {
        assert!(nix::unistd::geteuid().is_root(), "these tests need root's rights");
        let uuid = libprocess::Uuid::new_v4();
        options.cgroups_root = format!("isolators-test-{uuid}");
        options.cgroups_destroy_timeout = LIMIT;
        let host = Self::with(options, true).await;
        assert!(host.recover_all(Vec::new()).await.is_empty());
        host
    }

    async fn with(options: Options, is_owner: bool) -> Self {
        let ip = std::net::Ipv4Addr::LOCALHOST;
        let node = start(Config { ip, ..Config::default() }).await.unwrap();
        let isolators = isolators::start(&node, &options).unwrap();
        let hierarchies =
            Hierarchies::of_host(&options.cgroups_hierarchy, &options.cgroups_root).unwrap();
        Self { node, options, isolators, hierarchies: Arc::new(hierarchies), is_owner }
    }

    /// The isolators of a slave that comes after this one.
    pub(crate) async fn restarted(&self) -> Self {
        Self::with(self.options.clone(), false).await
    }

    pub(crate) fn node(&self) -> &Node {
        &self.node
    }

    pub(crate) fn root(&self) -> &str {
        &self.options.cgroups_root
    }

    /// Prepares a container with a fresh id.
    pub(crate) async fn prepare(&self, setup: &ContainerSetup) -> (ContainerId, LaunchInfo) {
        let id = ContainerId::new(libprocess::Uuid::new_v4().to_string());
        let mut info = LaunchInfo::default();
        let setup = Arc::new(setup.clone());
        for isolator in &self.isolators {
            let part = isolator.prepare(&id, setup.clone()).await.unwrap();
            launch::merge(&mut info, part).unwrap();
        }
        (id, info)
    }

    /// Why a container is not prepared.
    pub(crate) async fn refuses(&self, setup: &ContainerSetup) -> String {
        let id = ContainerId::new(libprocess::Uuid::new_v4().to_string());
        let setup = Arc::new(setup.clone());
        for isolator in &self.isolators {
            if let Err(error) = isolator.prepare(&id, setup.clone()).await {
                return error.to_string();
            }
        }
        panic!("it is prepared");
    }

    pub(crate) async fn isolate(&self, id: &ContainerId, task: &Shell) {
        self.isolate_pid(id, task.pid()).await;
    }

    pub(crate) async fn isolate_pid(&self, id: &ContainerId, pid: u32) {
        for isolator in &self.isolators {
            isolator.isolate(id, pid).await.unwrap();
        }
    }

    /// Removes the root of a controller that is mounted in a directory of the test.
    pub(crate) fn remove_root(&self, hierarchy: &std::path::Path, controller: &str) {
        std::fs::remove_dir(hierarchy.join(controller).join(self.root())).unwrap();
    }

    pub(crate) async fn isolate_fails(&self, id: &ContainerId, task: &Shell) -> String {
        for isolator in &self.isolators {
            if let Err(error) = isolator.isolate(id, task.pid()).await {
                return error.to_string();
            }
        }
        panic!("it is isolated");
    }

    pub(crate) async fn status(&self, id: &ContainerId) -> ContainerStatus {
        let mut all = ContainerStatus::default();
        for isolator in &self.isolators {
            merge_status(&mut all, &isolator.status(id).await.unwrap());
        }
        all
    }

    pub(crate) async fn recover_nothing(&self) {
        assert_eq!(self.recover_all(Vec::new()).await, Vec::<String>::new());
    }

    /// Prepares a container and isolates its first process.
    pub(crate) async fn container(&self, setup: &ContainerSetup, task: &Shell) -> ContainerId {
        let (id, _) = self.prepare(setup).await;
        self.isolate(&id, task).await;
        id
    }

    async fn recover_all(&self, containers: Vec<Recovered>) -> Vec<String> {
        let mut errors = Vec::new();
        for isolator in &self.isolators {
            let failed = isolator.recover(containers.clone()).await;
            errors.extend(failed.into_iter().map(|error| error.to_string()));
        }
        errors
    }

    pub(crate) async fn recover(&self, id: &ContainerId, pid: u32, setup: &ContainerSetup) {
        let known = Recovered { id: id.clone(), pid, setup: setup.clone() };
        assert_eq!(self.recover_all(vec![known]).await, Vec::<String>::new());
    }

    pub(crate) async fn update(&self, id: &ContainerId, allocation: Allocation) {
        for isolator in &self.isolators {
            isolator.update(id, allocation.clone()).await.unwrap();
        }
    }

    /// Why a container cannot have something else.
    pub(crate) async fn update_fails(&self, id: &ContainerId, allocation: Allocation) -> String {
        for isolator in &self.isolators {
            if let Err(error) = isolator.update(id, allocation.clone()).await {
                return error.to_string();
            }
        }
        panic!("it is updated");
    }

    /// Ready when one of the isolators limits the container.
    pub(crate) fn watch(&self, id: &ContainerId) -> BoxFuture<'static, Option<Limitation>> {
        let watches: Vec<_> = self.isolators.iter().map(|isolator| isolator.watch(id)).collect();
        Box::pin(async move {
            let mut watches: futures::stream::FuturesUnordered<_> = watches.into_iter().collect();
            while let Some(end) = futures::StreamExt::next(&mut watches).await {
                if end.is_some() {
                    return end;
                }
            }
            None
        })
    }

    pub(crate) async fn used(&self, id: &ContainerId) -> ResourceStatistics {
        let mut all = ResourceStatistics::default();
        for isolator in &self.isolators {
            merge_statistics(&mut all, &isolator.usage(id).await.unwrap());
        }
        all
    }

    fn path(&self, controller: &str, id: &ContainerId) -> PathBuf {
        self.hierarchies.group(id).directory(controller).unwrap()
    }

    pub(crate) fn file(&self, controller: &str, id: &ContainerId, file: &str) -> String {
        let text = std::fs::read_to_string(self.path(controller, id).join(file)).unwrap();
        text.trim().to_owned()
    }

    pub(crate) fn set(&self, controller: &str, id: &ContainerId, file: &str, value: &str) {
        std::fs::write(self.path(controller, id).join(file), value).unwrap();
    }

    pub(crate) fn has(&self, controller: &str, id: &ContainerId) -> bool {
        self.path(controller, id).exists()
    }

    pub(crate) async fn clean(&self, id: &ContainerId) {
        for isolator in self.isolators.iter().rev() {
            until("it is cleaned up", isolator.cleanup(id)).await.unwrap();
        }
        for controller in ["cpu", "memory", "pids", "devices"] {
            assert!(!self.has(controller, id), "{controller} is left");
        }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if !self.is_owner {
            return;
        }
        for controller in
            ["cpu", "cpuacct", "memory", "pids", "devices", "cpuset", "blkio", "freezer", "hugetlb"]
        {
            if let Ok(point) = self.hierarchies.mount_point(controller) {
                // What a failed test has left is not empty and stays.
                let _ = std::fs::remove_dir(point.join(&self.options.cgroups_root));
            }
        }
    }
}
