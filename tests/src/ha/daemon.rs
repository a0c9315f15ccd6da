//! Programs that are killed, stopped and started again.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests")]

use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::cluster::wait_for;
use crate::get::{Answer, get};

/// A program of a drill; killed with its test, and its log shown when that fails.
pub struct Daemon {
    child: Child,
    /// Where it listens.
    pub address: SocketAddr,
    /// What it writes.
    pub log: PathBuf,
    stopped: bool,
}

impl Daemon {
    /// Starts a program whose output goes to `log`, after what is there.
    pub fn start(mut command: Command, address: SocketAddr, log: &Path) -> Self {
        let output = File::options().create(true).append(true).open(log).unwrap();
        let child = command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .stdin(Stdio::null())
            .stdout(output.try_clone().unwrap())
            .stderr(output)
            .spawn()
            .unwrap();
        Self { child, address, log: log.to_owned(), stopped: false }
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().cast_signed())
    }

    /// SIGKILL, and waits for the end.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// SIGTERM, and waits for the end.
    pub fn terminate(&mut self) -> ExitStatus {
        kill(self.pid(), Signal::SIGTERM).unwrap();
        self.child.wait().unwrap()
    }

    /// SIGSTOP.
    pub fn freeze(&mut self) {
        kill(self.pid(), Signal::SIGSTOP).unwrap();
        self.stopped = true;
    }

    /// SIGCONT.
    pub fn thaw(&mut self) {
        kill(self.pid(), Signal::SIGCONT).unwrap();
        self.stopped = false;
    }

    /// True while it runs and is not stopped.
    pub fn answers(&mut self) -> bool {
        !self.stopped && self.ended().is_none()
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// Waits until it ends by itself.
    pub fn wait_for_end(&mut self, what: &str) -> ExitStatus {
        wait_for(what, || self.ended())
    }

    /// What it has written so far.
    pub fn output(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// `GET` of one of its endpoints, if it answers.
    pub fn get(&self, path: &str) -> Option<Answer> {
        get(self.address, path).ok()
    }

    /// The JSON of one of its endpoints, if it answers with one.
    pub fn json(&self, path: &str) -> Option<Value> {
        let answer = self.get(path).filter(|answer| answer.status == 200)?;
        serde_json::from_str(&answer.body).ok()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            let log = self.output();
            let from = log.len().saturating_sub(5000);
            eprintln!("---- end of {}\n{}", self.log.display(), log.get(from..).unwrap_or(&log));
        }
    }
}
