//! A container with a root of its own, as `filesystem/linux` and the helper make it. Needs root.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests")]

use std::fs;
use std::io::Write;
use std::net::Ipv4Addr;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use isolators::filesystem::mounts;
use isolators::{ContainerSetup, LaunchInfo, Options};
use libprocess::real::{Config, run, start};
use protos::ids::ContainerId;
use protos::mesos;

/// Mounts of a test do not outlive it.
struct Mounted(tempfile::TempDir);

impl Drop for Mounted {
    fn drop(&mut self) {
        for point in mounts::below(&self.0.path().canonicalize().unwrap()).unwrap() {
            let _ = mounts::detach(&point);
        }
    }
}

/// A root with the host's programs, read-only.
fn image(root: &Path, stage: &Path) {
    for name in ["usr", "etc", "proc", "sys", "dev", "mnt", "tmp"] {
        fs::create_dir_all(root.join(name)).unwrap();
    }
    for name in ["bin", "sbin", "lib", "lib64"] {
        symlink(Path::new("usr").join(name), root.join(name)).unwrap();
    }
    mounts::bind_read_only(Path::new("/usr"), &root.join("usr"), stage).unwrap();
}

fn launched(info: &LaunchInfo) -> String {
    let mut child = Command::new("unshare")
        .args(["--mount", "--pid", "--ipc", "--fork", "--kill-child", "sh", "-c"])
        .arg("exec \"$0\" launch --pipe_read=3 3<&0 </dev/null 2>&1")
        .arg(env!("CARGO_BIN_EXE_mesos-containerizer"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let text = protos::json::to_json(info).to_string();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap()
}

const SCRIPT: &str = "pwd; echo kept > file; cat /proc/1/comm; ls / | tr '\\n' ' '; echo; \
    echo x > /dev/null && head -c 3 /dev/zero | wc -c; readlink /dev/ptmx; \
    df -k --output=size /dev/shm | tail -1 | tr -d ' '; \
    test -e HOST && echo host; touch /usr/x 2>/dev/null && echo written; \
    (echo x > /proc/sys/kernel/domainname) 2>/dev/null && echo changed; \
    touch /sys/x 2>/dev/null && echo written; test -s /proc/timer_list && echo told; \
    ls /dev/shm /allowed; true";

#[test]
fn container_with_a_root_of_its_own_sees_only_that() {
    run(async {
        let keep = Mounted(tempfile::tempdir().unwrap());
        let directory = keep.0.path().canonicalize().unwrap();
        let (root, sandbox) = (directory.join("image"), directory.join("work/sandbox"));
        fs::create_dir_all(&sandbox).unwrap();
        image(&root, &directory.join("stage"));
        let device = mesos::DeviceAccess {
            device: mesos::Device { path: Some("/dev/full".to_owned()), number: None },
            access: mesos::device_access::Access { read: Some(true), ..Default::default() },
        };
        let options = Options {
            linux_launcher: true,
            work_dir: directory.join("work"),
            runtime_dir: directory.join("run"),
            allowed_devices: Some(mesos::DeviceWhitelist { allowed_devices: vec![device] }),
            default_container_shm_size: Some(2 << 20),
            disallow_sharing_agent_ipc_namespace: true,
            ..Options::new("filesystem/linux,namespaces/pid,namespaces/ipc,linux/devices")
        };
        let node = start(Config { ip: Ipv4Addr::LOCALHOST, ..Config::default() }).await.unwrap();
        let isolators = isolators::start(&node, &options).unwrap();
        let setup = Arc::new(ContainerSetup {
            directory: sandbox.clone(),
            rootfs: Some(root.clone()),
            ..ContainerSetup::default()
        });
        let id = ContainerId::new("c");
        let variable = mesos::environment::Variable {
            name: "PATH".to_owned(),
            value: Some("/usr/bin:/bin".to_owned()),
            ..Default::default()
        };
        let script = SCRIPT.replace("HOST", &directory.display().to_string());
        let mut info = LaunchInfo {
            command: Some(mesos::CommandInfo { value: Some(script), ..Default::default() }),
            environment: Some(mesos::Environment { variables: vec![variable] }),
            ..LaunchInfo::default()
        };
        for isolator in &isolators {
            let part = isolator.prepare(&id, setup.clone()).await.unwrap();
            isolators::launch::merge(&mut info, part).unwrap();
        }
        let said = launched(&info);
        let lines: Vec<&str> = said.lines().collect();
        let expected = [
            "/mnt/mesos/sandbox",
            "sh",
            "bin dev etc lib lib64 mnt proc sbin sys tmp usr ",
            "3",
            "pts/ptmx",
            "2048",
            "ls: cannot access '/allowed': No such file or directory",
            "/dev/shm:",
        ];
        assert_eq!(lines, expected, "{said}");
        assert_eq!(fs::read_to_string(sandbox.join("file")).unwrap(), "kept\n");
        for isolator in isolators.iter().rev() {
            isolator.cleanup(&id).await.unwrap();
        }
        assert!(!directory.join("run/containers/c/devices").exists());
    });
}
