//! Clusters of real processes: masters, slaves and frameworks on free ports of the loopback.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests")]

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::get::{Answer, get};

/// How long a cluster may take for anything.
const LIMIT: Duration = Duration::from_secs(60);
/// Between two looks at a condition.
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// Between two looks at one that is not to be missed.
const LOOK_CLOSELY: Duration = Duration::from_millis(1);

/// A program of this project, built beside the test.
pub fn binary(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("the test has a path");
    let directory = test.ancestors().nth(2).expect("tests lie in target/<profile>/deps");
    let path = directory.join(name);
    assert!(path.exists(), "{} is missing: run `cargo build --workspace --bins`", path.display());
    path
}

/// A port that is free now.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap().port()
}

/// Looks at a condition until it holds.
///
/// # Panics
/// When it does not hold within a minute.
pub fn wait_for<T>(what: &str, look: impl FnMut() -> Option<T>) -> T {
    wait(LOOK_AGAIN, what, look)
}

/// As [`wait_for`], looking all the time.
///
/// # Panics
/// When it does not hold within a minute.
pub fn wait_closely<T>(what: &str, look: impl FnMut() -> Option<T>) -> T {
    wait(LOOK_CLOSELY, what, look)
}

fn wait<T>(pause: Duration, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let (sender, receiver) = std::sync::mpsc::channel::<()>();
    let mut waited = Duration::ZERO;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(waited < LIMIT, "waited in vain for {what}");
        // Nobody sends: the time-out is the pause between two looks.
        let _ = receiver.recv_timeout(pause);
        waited += pause;
        let _ = &sender;
    }
}

/// A process that is killed with its test; its log is shown when the test fails.
pub struct Daemon {
    child: Child,
    log: PathBuf,
    /// Where it listens.
    pub address: SocketAddr,
}

impl Daemon {
    fn start(name: &str, address: SocketAddr, args: &[String], log: PathBuf) -> Self {
        Self::start_program(&binary(name), address, args, log)
    }

    fn start_program(program: &Path, address: SocketAddr, args: &[String], log: PathBuf) -> Self {
        let output = File::create(&log).unwrap();
        let name = program.display();
        let child = Command::new(program)
            .args(args)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .stdout(output.try_clone().unwrap())
            .stderr(output)
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let daemon = Self { child, log, address };
        // A master answers for its cluster once it has recovered its registry.
        let path = if program.ends_with("mesos-master") { "/state" } else { "/health" };
        wait_for(&format!("{name} to answer"), || {
            get(address, path).ok().filter(|answer| ![404, 503].contains(&answer.status))
        });
        daemon
    }

    /// SIGKILL, and wait for the end.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Everything it has logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Waits until it has ended by itself; its exit code, if it was not killed.
    pub fn ended(&mut self) -> Option<i32> {
        wait_for("a process to end", || self.child.try_wait().unwrap()).code()
    }

    /// `GET` of one of its endpoints.
    pub fn get(&self, path: &str) -> Answer {
        get(self.address, path).unwrap()
    }

    /// The JSON of one of its endpoints.
    pub fn json(&self, path: &str) -> Value {
        // A master that has just been elected reads its registry first.
        let answer = wait_for(path, || Some(self.get(path)).filter(|answer| answer.status != 503));
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        serde_json::from_str(&answer.body).unwrap()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            let log = std::fs::read_to_string(&self.log).unwrap_or_default();
            let from = log.len().saturating_sub(4000);
            let tail = log.get(from..).unwrap_or(&log);
            eprintln!("---- end of {}\n{tail}", self.log.display());
        }
    }
}

/// One master and its slaves, in a directory that goes with the test.
pub struct Cluster {
    /// Slaves first: executors end with them.
    pub slaves: Vec<Daemon>,
    /// The master.
    pub master: Daemon,
    master_args: Vec<String>,
    directory: TempDir,
}

impl Cluster {
    /// Starts a master with further flags, and slaves with further flags.
    pub fn start(master: &[&str], slaves: usize, slave: &[&str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let port = free_port();
        let mut args = vec![
            "--ip=127.0.0.1".to_owned(),
            format!("--port={port}"),
            format!("--work_dir={}", directory.path().join("master").display()),
        ];
        args.extend(master.iter().map(ToString::to_string));
        let log = directory.path().join("master.log");
        let master = Daemon::start("mesos-master", address(port), &args, log);
        let mut cluster = Self { slaves: Vec::new(), master, master_args: args, directory };
        for number in 0..slaves {
            let started = cluster.slave(number, free_port(), slave);
            cluster.slaves.push(started);
        }
        if slaves > 0 {
            cluster.wait_for_slaves(slaves);
        }
        cluster
    }

    /// Kills the master and starts it again, with its flags and at its address.
    pub fn restart_master(&mut self) {
        self.master.kill();
        let log = self.directory.path().join("master-again.log");
        self.master = Daemon::start("mesos-master", self.master.address, &self.master_args, log);
    }

    /// Starts the slave of that number, on its own directory.
    pub fn slave(&self, number: usize, port: u16, flags: &[&str]) -> Daemon {
        self.slave_of(&binary("mesos-slave"), number, port, flags)
    }

    /// As [`Cluster::slave`], of another program than the one built beside the test.
    pub fn slave_of(&self, program: &Path, number: usize, port: u16, flags: &[&str]) -> Daemon {
        let mut args = vec![
            format!("--master={}", self.master.address),
            "--ip=127.0.0.1".to_owned(),
            format!("--port={port}"),
            format!("--work_dir={}", self.slave_dir(number).display()),
            "--registration_backoff_factor=50ms".to_owned(),
        ];
        args.extend(flags.iter().map(ToString::to_string));
        let log = self.directory.path().join(format!("slave-{number}-{port}.log"));
        Daemon::start_program(program, address(port), &args, log)
    }

    /// The working directory of a slave.
    pub fn slave_dir(&self, number: usize) -> PathBuf {
        self.directory.path().join(format!("slave-{number}"))
    }

    /// A place for files of the test.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Waits until the master counts so many active slaves.
    pub fn wait_for_slaves(&self, count: usize) {
        wait_for(&format!("{count} active slaves"), || {
            let state = self.master.json("/state");
            (state["activated_slaves"].as_u64() == Some(count as u64)).then_some(())
        });
    }

    /// A `mesos-execute` that runs.
    pub fn spawn_execute(&self, flags: &[&str]) -> Child {
        Command::new(binary("mesos-execute"))
            .arg(format!("--master={}", self.master.address))
            .args(flags)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    /// Runs `mesos-execute` to its end.
    pub fn execute(&self, flags: &[&str]) -> Output {
        self.spawn_execute(flags).wait_with_output().unwrap()
    }

    /// Waits until a task of that name is in that state, as the master sees it.
    pub fn wait_for_task(&self, name: &str, state: &str) {
        wait_for(&format!("task {name} in {state}"), || {
            let tasks = self.master.json("/tasks");
            let tasks = tasks["tasks"].as_array()?.clone();
            tasks.iter().any(|t| t["name"] == name && t["state"] == state).then_some(())
        });
    }
}

fn address(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

/// Standard output and error of a program, as text.
pub fn text(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr))
}
