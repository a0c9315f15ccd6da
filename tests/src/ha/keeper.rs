//! A framework on other people's libprocess that keeps tasks running, and counts what it is told.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests")]

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::daemon::Daemon;
use crate::cluster::{free_port, text, wait_for};

/// Where Debian puts Go packages.
const GO_PACKAGES: &str = "/usr/share/gocode";

/// The framework, which runs until it is dropped.
pub struct Keeper {
    daemon: Daemon,
    tasks: usize,
}

/// What the framework has seen.
#[derive(Debug, Clone)]
pub struct Seen(Value);

impl Seen {
    /// A number by its name.
    pub fn count(&self, what: &str) -> u64 {
        self.0[what].as_u64().unwrap_or(0)
    }

    /// The PIDs of masters that it registered with, in order.
    pub fn masters(&self) -> Vec<String> {
        let masters = self.0["masters"].as_array().into_iter().flatten();
        masters.filter_map(|master| Some(master.as_str()?.to_owned())).collect()
    }

    /// What must never be told but was.
    pub fn problems(&self) -> Vec<String> {
        let problems = self.0["problems"].as_array().into_iter().flatten();
        problems.map(|problem| problem.as_str().unwrap_or_default().to_owned()).collect()
    }
}

impl std::fmt::Display for Seen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

fn build(package: &str, into: &Path) -> PathBuf {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("interop/go");
    let program = into.join(package);
    let output = Command::new("go")
        .args(["build", "-o"])
        .arg(&program)
        .arg(package)
        .env("GO111MODULE", "off")
        .env("GOPATH", format!("{}:{GO_PACKAGES}", sources.display()))
        // Shared by all that are built on this host: it takes long from nothing.
        .env("GOCACHE", std::env::temp_dir().join("go-build-of-tests"))
        .output()
        .expect("go is installed by `cargo xtask test`");
    assert!(output.status.success(), "{}", text(&output).1);
    program
}

impl Keeper {
    pub(super) fn start(
        dir: &Path,
        url: &str,
        ip: Ipv4Addr,
        tasks: usize,
        command: impl FnOnce(&Path) -> Command,
    ) -> Self {
        let (program, executor) = (build("keeper", dir), build("sleeper", dir));
        let port = free_port();
        let mut command = command(&program);
        command
            .arg(format!("-master={url}"))
            .arg(format!("-address={ip}"))
            .arg(format!("-show={port}"))
            .arg(format!("-tasks={tasks}"))
            .arg(format!("-executor={}", executor.display()))
            .arg("-logtostderr");
        let address = SocketAddr::from((ip, port));
        let daemon = Daemon::start(command, address, &dir.join("keeper.log"));
        Self { daemon, tasks }
    }

    /// What it has seen so far.
    pub fn seen(&self) -> Seen {
        Seen(wait_for("the framework to answer", || self.daemon.json("/seen")))
    }

    /// Waits until all its tasks run.
    pub fn wait_until_full(&self) {
        self.wait_for("all tasks to run", |seen| seen.count("running") as usize >= self.tasks);
    }

    /// Waits until what it has seen is as wanted.
    pub fn wait_for(&self, what: &str, mut wanted: impl FnMut(&Seen) -> bool) -> Seen {
        wait_for(what, || Some(self.seen()).filter(|seen| wanted(seen)))
    }

    /// Lets all tasks end, and takes stock: every task that was launched ran and finished, or never
    /// started; nothing else was told.
    ///
    /// # Panics
    /// When it is otherwise.
    pub fn settle(&self) -> Seen {
        wait_for("the framework to drain", || self.daemon.json("/drain"));
        // Longer than tasks take.
        let seen = wait_for("half of the tasks to end", || {
            Some(self.seen()).filter(|seen| seen.count("open") as usize <= self.tasks / 2)
        });
        assert_eq!(seen.problems(), Vec::<String>::new());
        let seen = wait_for("all tasks to end", || {
            Some(self.seen()).filter(|seen| seen.count("open") == 0)
        });
        assert_eq!(seen.problems(), Vec::<String>::new());
        let ended = seen.count("finished") + seen.count("never_started");
        assert_eq!(ended, seen.count("launched"), "{seen}");
        seen
    }
}
