//! `mesos-log`: looks after the replicas of a replicated log.
//!
//! Each sub-command is a file of its own: [`initialize`] prepares an empty replica, [`read`] shows
//! what one holds, [`status`] tells how one or all of them are, [`replica`] runs one without a
//! master, [`benchmark`] measures appends. Flags do not come from the environment.

pub mod benchmark;
pub mod initialize;
mod joined;
pub mod read;
pub mod replica;
pub mod status;

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use coordination::log::{DirLock, Log, LogError, LogFuture};
use futures::future::{Either, select};
use libprocess::flags::{Loader, say};
use libprocess::{Node, NodeConfig, real};

/// What the tool says of itself.
const USAGE: &str = "Usage: mesos-log <command> [flags]

Commands, each of which explains its flags with --help:
  initialize  lets an empty replica vote: for a new log that does not start by itself
  read        shows what a replica holds
  status      tells how one replica is, or all that ZooKeeper knows of
  replica     runs a replica until it is stopped
  benchmark   measures appends to a log";

/// A sub-command failed: one line.
type Failed = Box<dyn std::error::Error>;

/// Runs the tool with the arguments after its name.
pub fn main(arguments: impl IntoIterator<Item = String>) -> ExitCode {
    let mut arguments = arguments.into_iter();
    let command = arguments.next().unwrap_or_default();
    let rest: Vec<String> = arguments.collect();
    match command.as_str() {
        "initialize" => run("initialize", rest, initialize::run),
        "read" => run("read", rest, read::run),
        "status" => run("status", rest, status::run),
        "replica" => run("replica", rest, replica::run),
        "benchmark" => run("benchmark", rest, benchmark::run),
        "help" | "--help" | "-h" => {
            say(USAGE);
            ExitCode::SUCCESS
        }
        "" => {
            eprintln!("{USAGE}");
            ExitCode::FAILURE
        }
        other => {
            eprintln!("mesos-log: unknown command '{other}'; see mesos-log help");
            ExitCode::FAILURE
        }
    }
}

/// What all sub-commands' flags have.
trait Common: clap::Parser {
    fn logging(&self) -> &libprocess::flags::Logging;
}

fn run<F: Common>(
    command: &str,
    arguments: Vec<String>,
    work: impl AsyncFnOnce(F, slog::Logger) -> Result<(), Failed>,
) -> ExitCode {
    let program = format!("mesos-log {command}");
    let loader = Loader::new(&program).normalise::<Duration>(|text| {
        protos::duration::parse(text).ok().map(protos::duration::print)
    });
    let flags = match loader.load::<F>(arguments) {
        Ok(loaded) => loaded.flags,
        Err(error) => return error.report(&program),
    };
    let mut logging = flags.logging().clone();
    // What a tool has to say is on standard output.
    if logging.logging_level == slog::Level::Info && command != "replica" {
        logging.logging_level = slog::Level::Warning;
    }
    let done = logging.logger(&program).map_err(Failed::from).and_then(|(log, guard)| {
        let done = real::run(work(flags, log));
        drop(guard);
        done
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{program}: {error}");
            ExitCode::FAILURE
        }
    }
}

/// A replica that nobody else uses meanwhile.
struct Alone {
    node: Node,
    log: Log,
    _lock: DirLock,
}

impl Alone {
    /// Opens the replica in a directory, which must be there.
    async fn open(dir: &Path, log: slog::Logger) -> Result<Self, Failed> {
        if !dir.is_dir() {
            return Err(format!("there is no directory {}", dir.display()).into());
        }
        Self::open_or_make(dir, log).await
    }

    /// As [`Alone::open`], of a directory that is made when it is missing.
    async fn open_or_make(dir: &Path, log: slog::Logger) -> Result<Self, Failed> {
        let lock = DirLock::take(dir)?;
        let node = NodeConfig { log, ..NodeConfig::default() };
        let ip = std::net::Ipv4Addr::LOCALHOST;
        let node = real::start(real::Config { ip, node, ..real::Config::default() }).await?;
        let log = Log::open(&node, dir);
        Ok(Self { node, log, _lock: lock })
    }

    /// What the replica answers in time; an error that names the damage, if it is damaged.
    async fn answer<T>(&self, future: LogFuture<T>, limit: Option<Duration>) -> Result<T, Failed> {
        let answered = select(future, self.log.damage());
        let answered = match limit {
            None => answered.await,
            Some(limit) => match select(answered, Box::pin(self.node.sleep(limit))).await {
                Either::Left((answered, _)) => answered,
                Either::Right(_) => return Err("the replica did not answer in time".into()),
            },
        };
        match answered {
            // What asked was dropped because of the damage: that is the better reason.
            Either::Left((Err(LogError::Ended), damage)) => Err(damage.await.into()),
            Either::Left((answer, _)) => Ok(answer?),
            Either::Right((damage, _)) => Err(damage.into()),
        }
    }
}
