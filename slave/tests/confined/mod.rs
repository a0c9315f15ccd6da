//! A containerizer with isolators on the real kernel, for tests that look at what containers can do.

#![allow(dead_code, reason = "each test program uses a part of it")]

use std::collections::BTreeMap;
use std::fs;
use std::net::Ipv4Addr;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use isolators::Options;
use libprocess::Node;
use libprocess::real::{Config, start};
use protos::ids::ContainerId;
use protos::mesos;
use protos::resources::Resources;
use slave::containerizer::{
    self, ContainerConfig, Containerizer, ContainerizerOptions, LauncherKind, Termination,
};

/// How long anything may take.
const LIMIT: Duration = Duration::from_secs(60);
pub(crate) const NOBODY: u32 = 65534;

/// A node with a containerizer; what it made in the kernel is cleaned up at its end.
pub(crate) struct Host {
    pub(crate) node: Node,
    pub(crate) containerizer: Arc<dyn Containerizer>,
    pub(crate) directory: PathBuf,
    pub(crate) root: String,
    _keep: tempfile::TempDir,
}

impl Drop for Host {
    fn drop(&mut self) {
        use isolators::filesystem::mounts;
        for point in mounts::below(&self.directory).unwrap() {
            let _ = mounts::detach(&point);
        }
        for controller in fs::read_dir("/sys/fs/cgroup").unwrap().flatten() {
            let _ = fs::remove_dir(controller.path().join(&self.root));
        }
    }
}

impl Host {
    pub(crate) async fn start(isolation: &str, isolating: Options) -> Self {
        let config = Config { ip: Ipv4Addr::LOCALHOST, ..Config::default() };
        let node = start(config).await.unwrap();
        let keep = tempfile::tempdir().unwrap();
        let directory = keep.path().canonicalize().unwrap();
        fs::set_permissions(&directory, fs::Permissions::from_mode(0o755)).unwrap();
        let root = format!("confined-test-{}", node.uuid());
        let options = ContainerizerOptions {
            isolation: isolation.to_owned(),
            isolators: Options {
                cgroups_root: root.clone(),
                work_dir: directory.join("work"),
                runtime_dir: directory.join("run"),
                ..isolating
            },
            launcher: LauncherKind::Linux,
            helper: vec![env!("CARGO_BIN_EXE_mesos-containerizer").to_owned()],
            ..ContainerizerOptions::default()
        };
        let containerizer = containerizer::start(&node, options).unwrap();
        containerizer.recover(Vec::new()).await.unwrap();
        Self { node, containerizer, directory, root, _keep: keep }
    }

    /// A container of that user, or of root.
    pub(crate) fn config(
        &self,
        id: &ContainerId,
        script: &str,
        user: Option<&str>,
    ) -> ContainerConfig {
        let directory = self.directory.join("work").join(id.as_str());
        fs::create_dir_all(&directory).unwrap();
        if user.is_some() {
            chown(&directory, Some(NOBODY), Some(NOBODY)).unwrap();
        }
        let path = "/usr/sbin:/usr/bin:/sbin:/bin".to_owned();
        ContainerConfig {
            executor_info: mesos::ExecutorInfo::default(),
            command: mesos::CommandInfo { value: Some(script.to_owned()), ..Default::default() },
            task_info: None,
            allocation: "cpus:1;mem:64;disk:64".parse::<Resources>().unwrap().into(),
            environment: BTreeMap::from([("PATH".to_owned(), path)]),
            directory,
            user: user.map(str::to_owned),
            pid_checkpoint: None,
        }
    }

    pub(crate) fn id(&self) -> ContainerId {
        ContainerId::new(self.node.uuid().to_string())
    }

    /// Runs a script to its end; answers how it ended and what it said.
    pub(crate) async fn run(
        &self,
        script: &str,
        user: Option<&str>,
        change: impl FnOnce(&mut ContainerConfig),
    ) -> (Termination, String) {
        let id = self.id();
        let mut config = self.config(&id, script, user);
        change(&mut config);
        let directory = config.directory.clone();
        self.containerizer.launch(&id, config).await.unwrap();
        let ended = tokio::time::timeout(LIMIT, self.containerizer.wait(&id)).await;
        let said = |name: &str| fs::read_to_string(directory.join(name)).unwrap_or_default();
        (ended.expect("its end in time").unwrap(), said("stdout") + &said("stderr"))
    }

    pub(crate) async fn until(&self, what: &str, mut holds: impl FnMut() -> bool) {
        let mut looks = 0;
        while !holds() {
            looks += 1;
            assert!(looks < 3000, "waited in vain for {what}");
            self.node.sleep(Duration::from_millis(10)).await;
        }
    }
}
