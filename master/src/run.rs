//! What the binary does: reads flags, starts a node with a master on it, waits for a signal.

use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

use coordination::group::SessionGroup;
use futures::channel::oneshot;
use futures::future::{Either, select};
use libprocess::flags::{Loader, process_environment};
use libprocess::{Node, NodeConfig, real};
use protos::duration;

use crate::coordinate::{self, Kept};
use crate::flags::Flags;
use crate::{Config, Fatal, VERSION};

/// Runs a master until SIGINT or SIGTERM; the arguments are those after the program's name.
pub fn run(args: impl IntoIterator<Item = String>) -> ExitCode {
    let loader = Loader::new("mesos-master")
        .environment("MESOS_", process_environment())
        .normalise::<std::time::Duration>(|text| {
        duration::parse(text).ok().map(duration::print)
    });
    let loaded = match loader.load::<Flags>(args) {
        Ok(loaded) => loaded,
        Err(error) => return error.report("mesos-master"),
    };
    let flags = loaded.flags;
    if flags.version {
        println!("mesos {VERSION}");
        return ExitCode::SUCCESS;
    }
    let (log, guard) = match flags.logging.logger("mesos-master") {
        Ok(logger) => logger,
        Err(error) => return fail(&error),
    };
    let idle = Flags::warnings(&loaded.effective);
    for warning in loaded.warnings.iter().chain(&idle) {
        slog::warn!(log, "{}", warning);
    }
    let credentials = match flags.credentials() {
        Ok(credentials) => credentials,
        Err(error) => return fail(&error),
    };
    let token_key = match flags.token_key() {
        Ok(key) => key,
        Err(error) => return fail(&error),
    };
    let mut effective = loaded.effective;
    if let Some(zk) = &flags.election.zk {
        // Without the password.
        effective.insert("zk".to_owned(), zk.to_string());
    }
    real::run(async {
        let mut config = flags.config(hostname(&flags), effective);
        (config.credentials, config.token_key) = (credentials, token_key);
        let (ended, failure) = fatal();
        config.fatal = ended;
        let node = NodeConfig { verbosity: guard.verbosity(), ..node_config(log.clone()) };
        match start(&flags, config, node).await {
            Ok(running) => {
                let node = &running.node;
                slog::info!(log, "master is listening"; "pid" => %node.pid("master"));
                until_over(running, failure, &log).await
            }
            Err(error) => fail(&*error),
        }
    })
}

/// What a master lives by.
struct Running {
    node: Node,
    kept: Kept,
    /// The masters that elect a leader.
    masters: Option<SessionGroup>,
}

/// Waits for a signal, or for what a master cannot live with.
async fn until_over(
    mut running: Running,
    failure: oneshot::Receiver<String>,
    log: &slog::Logger,
) -> ExitCode {
    let damage = std::mem::replace(&mut running.kept.damage, Box::pin(std::future::pending()));
    let failure = select(failure, damage);
    match select(Box::pin(real::stop_signal()), failure).await {
        Either::Left((signal, _)) => {
            slog::info!(log, "master stops"; "signal" => signal);
            // Once it acts no more another one may lead at once.
            let master = running.node.pid("master");
            running.node.terminate(&master, true);
            running.node.wait(&master).await;
            leave(running.masters).await;
            ExitCode::SUCCESS
        }
        Either::Right((Either::Left((why, _)), _)) => {
            eprintln!("mesos-master: {}", why.unwrap_or_default());
            leave(running.masters).await;
            ExitCode::FAILURE
        }
        Either::Right((Either::Right((damage, _)), _)) => {
            eprintln!("mesos-master: the registry's log cannot be used: {damage}");
            ExitCode::FAILURE
        }
    }
}

async fn leave(masters: Option<SessionGroup>) {
    if let Some(masters) = masters {
        masters.leave().await;
    }
}

/// What a master calls that cannot go on, and what then learns why.
fn fatal() -> (Fatal, oneshot::Receiver<String>) {
    let (sender, receiver) = oneshot::channel();
    let sender = Mutex::new(Some(sender));
    let ended = move |why: &str| {
        // Half-changed it cannot be, so poison does not matter.
        let sender = sender.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(sender) = sender {
            // Nobody listens any more when the program ends anyway.
            let _ = sender.send(why.to_owned());
        }
    };
    (Fatal(Arc::new(ended)), receiver)
}

async fn start(
    flags: &Flags,
    mut config: Config,
    node: NodeConfig,
) -> Result<Running, Box<dyn std::error::Error>> {
    // Before anything is listened to.
    flags.election.place()?;
    let node = real::Config {
        ip: flags.ip,
        port: flags.port,
        advertise_ip: flags.advertise_ip,
        advertise_port: flags.advertise_port,
        node: node.from_env(real::environment_but_bind)?,
        ..real::Config::default()
    };
    let node = real::start(node.from_env(real::environment_but_bind)?).await?;
    let kept = coordinate::storage(&node, &flags.election)?;
    config.registrar.storage = kept.storage.clone();
    let masters = coordinate::masters(&node, &flags.election);
    config.election = masters.clone().map(|masters| coordinate::election(&node, masters));
    config.contends = config.election.is_some();
    crate::start(&node, config)?;
    Ok(Running { node, kept, masters })
}

/// What a node that hosts a master must know.
pub fn node_config(log: slog::Logger) -> NodeConfig {
    NodeConfig {
        delegate: Some("master".to_owned()),
        schema: protos::required::schema_check,
        version: serde_json::json!({
            "build_date": "", "build_time": 0, "build_user": "", "version": VERSION,
        }),
        log,
        ..NodeConfig::default()
    }
}

fn hostname(flags: &Flags) -> String {
    if let Some(hostname) = &flags.hostname {
        return hostname.clone();
    }
    if !flags.hostname_lookup {
        return flags.advertise_ip.unwrap_or(flags.ip).to_string();
    }
    real::host_name()
}

fn fail(error: &dyn std::error::Error) -> ExitCode {
    eprintln!("mesos-master: {error}");
    ExitCode::FAILURE
}
