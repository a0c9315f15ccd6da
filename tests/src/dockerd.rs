//! A docker daemon of a test's own: its data, its socket and its bridge are nobody else's.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests")]

use std::fs::File;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::cluster::wait_for;

/// Programs that images of tests have.
const PROGRAMS: [&str; 22] = [
    "sh", "ls", "cat", "echo", "sleep", "id", "env", "pwd", "test", "touch", "true", "false",
    "kill", "trap", "httpd", "hostname", "head", "grep", "seq", "mkdir", "rm", "nc",
];

/// A root with busybox and nothing else, below a directory.
///
/// # Panics
/// When Debian's busybox-static is missing.
pub fn busybox_root(directory: &Path) {
    let busybox = Path::new("/bin/busybox");
    assert!(busybox.exists(), "busybox-static is missing: run `cargo xtask setup`");
    for name in ["bin", "etc", "tmp", "proc", "sys", "dev", "mnt"] {
        std::fs::create_dir_all(directory.join(name)).unwrap();
    }
    std::fs::copy(busybox, directory.join("bin/busybox")).unwrap();
    for program in PROGRAMS {
        std::os::unix::fs::symlink("busybox", directory.join("bin").join(program)).unwrap();
    }
    std::fs::write(directory.join("etc/passwd"), "root:x:0:0::/:/bin/sh\n").unwrap();
}

/// The daemon; it goes with the test, and so does all that it runs.
pub struct Dockerd {
    child: Child,
    bridge: String,
    directory: TempDir,
}

fn quietly(program: &str, args: &[&str]) -> bool {
    let status = Command::new(program)
        .args(args)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .stdin(Stdio::null())
        .status();
    status.is_ok_and(|status| status.success())
}

impl Dockerd {
    /// Starts a daemon whose containers get addresses `10.<net>.1.x`, with the image `busybox:test`.
    ///
    /// # Panics
    /// When there is no docker here, or it does not start.
    pub fn start(net: u8) -> Self {
        let directory = tempfile::Builder::new().prefix("dockerd-").tempdir().unwrap();
        let bridge = format!("d{net}-{}", std::process::id() % 100_000);
        let address = format!("{}/24", Ipv4Addr::new(10, net, 1, 1));
        assert!(quietly("ip", &["link", "add", &bridge, "type", "bridge"]), "no bridge {bridge}");
        assert!(quietly("ip", &["addr", "add", &address, "dev", &bridge]));
        assert!(quietly("ip", &["link", "set", &bridge, "up"]));
        let log = File::create(directory.path().join("log")).unwrap();
        let at = |name: &str| directory.path().join(name).display().to_string();
        let child = Command::new("dockerd")
            .args(["--data-root", &at("data"), "--exec-root", &at("exec")])
            .args(["--pidfile", &at("pid"), "--host", &format!("unix://{}", at("docker.sock"))])
            .args(["--bridge", &bridge, "--iptables=false", "--ip6tables=false"])
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .expect("dockerd is missing: run `cargo xtask setup`");
        let daemon = Self { child, bridge, directory };
        wait_for("dockerd to answer", || daemon.ask("GET", "/_ping").map(drop));
        let root = daemon.directory.path().join("root");
        busybox_root(&root);
        daemon.import(&root, "busybox", "test");
        daemon
    }

    /// Its socket.
    pub fn socket(&self) -> PathBuf {
        self.directory.path().join("docker.sock")
    }

    /// Has a directory become an image.
    fn import(&self, root: &Path, repository: &str, tag: &str) {
        let archive = self.directory.path().join("image.tar");
        let (from, to) = (root.display().to_string(), archive.display().to_string());
        assert!(quietly("tar", &["-C", &from, "-cf", &to, "."]));
        let path = format!("/images/create?fromSrc=-&repo={repository}&tag={tag}");
        let upload = self.curl("POST", &path).arg("--upload-file").arg(&archive).output().unwrap();
        assert!(upload.status.success(), "{}", String::from_utf8_lossy(&upload.stderr));
    }

    fn curl(&self, method: &str, path: &str) -> Command {
        let mut command = Command::new("curl");
        command.args(["--silent", "--show-error", "--fail", "--request", method]);
        command.arg("--unix-socket").arg(self.socket()).arg(format!("http://docker{path}"));
        command
    }

    /// What the daemon answers; None when it does not.
    pub fn ask(&self, method: &str, path: &str) -> Option<String> {
        let answer = self.curl(method, path).output().ok()?;
        answer.status.success().then(|| String::from_utf8_lossy(&answer.stdout).into_owned())
    }

    /// What is known of a container; None when there is none.
    pub fn inspect(&self, name: &str) -> Option<Value> {
        serde_json::from_str(&self.ask("GET", &format!("/containers/{name}/json"))?).ok()
    }

    /// Names of all containers, running or not.
    pub fn containers(&self) -> Vec<String> {
        let list = self.ask("GET", "/containers/json?all=true").unwrap_or_default();
        let list: Value = serde_json::from_str(&list).unwrap_or_default();
        let names = list.as_array().cloned().unwrap_or_default().into_iter();
        names
            .filter_map(|it| Some(it["Names"][0].as_str()?.trim_start_matches('/').to_owned()))
            .collect()
    }
}

impl Drop for Dockerd {
    fn drop(&mut self) {
        for name in self.containers() {
            let _ = self.ask("DELETE", &format!("/containers/{name}?force=true"));
        }
        let pid = self.child.id().to_string();
        let _ = quietly("kill", &["-TERM", &pid]);
        let _ = self.child.wait();
        quietly("ip", &["link", "del", &self.bridge]);
        let below = self.directory.path().display().to_string();
        let mounts = std::fs::read_to_string("/proc/mounts").unwrap_or_default();
        let points = mounts.lines().filter_map(|line| line.split(' ').nth(1));
        for point in points.filter(|point| point.starts_with(&below)) {
            quietly("umount", &["-l", point]);
        }
        if std::thread::panicking() {
            let log = std::fs::read_to_string(self.directory.path().join("log"));
            let log = log.unwrap_or_default();
            let tail: Vec<&str> = log.lines().rev().take(20).collect();
            for line in tail.iter().rev() {
                eprintln!("dockerd: {line}");
            }
        }
    }
}
