//! What the binaries do: read flags, start a node with a slave on it, wait for a signal.

use std::net::Ipv4Addr;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

use coordination::Detector;
use coordination::url::MasterUrl;
use futures::channel::oneshot;
use libprocess::flags::{Loader, process_environment};
use libprocess::{Handle, Node, NodeConfig, real};
use protos::duration;

use crate::containerizer::{self, Composing, Containerizer, ContainerizerOptions};
use crate::flags::Flags;
use crate::{Config, Slave, VERSION};

/// Runs a slave until SIGINT, SIGTERM, or until it must end; SIGUSR1 makes it unregister and end; the arguments are those after the
/// program's name.
pub fn run(program: &str, args: impl IntoIterator<Item = String>) -> ExitCode {
    let loader = Loader::new(program)
        .environment("MESOS_", process_environment())
        .normalise::<std::time::Duration>(|text| {
        duration::parse(text).ok().map(duration::print)
    });
    let loaded = match loader.load::<Flags>(args) {
        Ok(loaded) => loaded,
        Err(error) => return error.report(program),
    };
    let flags = loaded.flags;
    if flags.version {
        println!("mesos {VERSION}");
        return ExitCode::SUCCESS;
    }
    let idle = flags.warnings(&loaded.given);
    let master = match flags.check().and_then(|()| master(&flags)) {
        Ok(master) => master,
        Err(reason) => return fail(program, &reason),
    };
    let mut effective = loaded.effective;
    if let MasterUrl::ZooKeeper(url) = &master {
        // Without the password.
        effective.insert("master".to_owned(), url.to_string());
    }
    // The name may be the address, which is known once it is bound.
    let config = match flags.config(String::new(), effective) {
        Ok(config) => config,
        Err(reason) => return fail(program, &reason),
    };
    let (log, guard) = match flags.logging.logger_of_shown(program) {
        Ok(logger) => logger,
        Err(error) => return fail(program, &error.to_string()),
    };
    for warning in loaded.warnings.iter().chain(&idle) {
        slog::warn!(log, "{}", warning);
    }
    real::run(async {
        let (config, ended) = with_exit(config);
        let node = NodeConfig { verbosity: guard.verbosity(), ..node_config(log.clone()) };
        let slave = match start_node(&flags, config, &master, node).await {
            Ok(slave) => slave,
            Err(error) => return fail(program, &error.to_string()),
        };
        slog::info!(log, "slave is listening"; "pid" => %slave.pid());
        if let Some(file) = flags.logging.file(program) {
            slave.tell(move |slave, _| slave.show_log(file));
        }
        until_over(program, &slave, ended, &log).await
    })
}

async fn until_over(
    program: &str,
    slave: &Handle<Slave>,
    mut ended: oneshot::Receiver<(i32, String)>,
    log: &slog::Logger,
) -> ExitCode {
    loop {
        tokio::select! {
            () = retire_signal() => {
                slog::info!(log, "slave unregisters"; "signal" => "SIGUSR1");
                slave.tell(|slave, cx| slave.retire("SIGUSR1", cx));
            }
            signal = real::stop_signal() => {
                slog::info!(log, "slave stops"; "signal" => signal);
                return ExitCode::SUCCESS;
            }
            end = &mut ended => return match end.unwrap_or_default() {
                (0, reason) => {
                    slog::info!(log, "slave ends"; "reason" => reason);
                    ExitCode::SUCCESS
                }
                (_, reason) => fail(program, &reason),
            },
        }
    }
}

/// Waits for SIGUSR1, by which operators take a slave out of its cluster.
async fn retire_signal() {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::user_defined1()) {
        Ok(mut retire) => drop(retire.recv().await),
        // Without a handler the signal ends the OS process by itself.
        Err(_) => std::future::pending().await,
    }
}

/// Lets the slave's own end be waited for.
fn with_exit(config: Config) -> (Config, oneshot::Receiver<(i32, String)>) {
    let (sender, ended) = oneshot::channel();
    let sender = Mutex::new(Some(sender));
    let on_exit = Arc::new(move |code, reason| {
        let sender = sender.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(sender) = sender {
            // Who waited may have stopped by itself.
            let _ = sender.send((code, reason));
        }
    });
    (Config { on_exit, ..config }, ended)
}

fn master(flags: &Flags) -> Result<MasterUrl, String> {
    let master = match (&flags.master, &flags.idle.master_detector) {
        (Some(master), _) => master,
        (None, None) => return Err("flag 'master' is required".to_owned()),
        (None, Some(module)) => {
            return Err(format!("flag 'master_detector': '{module}' is unknown: give 'master'"));
        }
    };
    master.parse::<MasterUrl>().map_err(|error| format!("flag 'master': {error}"))
}

/// The address that the slave itself was told by its environment: its executors are told the same.
fn libprocess_ip() -> Option<Ipv4Addr> {
    std::env::var("LIBPROCESS_IP").ok()?.parse().ok()
}

async fn start_node(
    flags: &Flags,
    mut config: Config,
    master: &MasterUrl,
    node: NodeConfig,
) -> Result<Handle<Slave>, Box<dyn std::error::Error>> {
    let ip = flags.address().await?;
    config.executor_ip = Some(ip).filter(|ip| !ip.is_unspecified()).or_else(libprocess_ip);
    let node = real::Config {
        ip,
        port: flags.port,
        advertise_ip: flags.advertise_ip,
        advertise_port: flags.advertise_port,
        node: node.from_env(real::environment_but_bind)?,
        ..real::Config::default()
    };
    let node = real::start(node.from_env(real::environment_but_bind)?).await?;
    config.hostname = hostname(flags, *node.address().ip());
    let options = flags.containerizer(&config)?;
    let docker = flags.docker(&config)?;
    let docker = docker.map(|docker| containerizer::docker::start(&node, docker, &options));
    let docker = docker.transpose()?;
    let mesos = flags.mesos().then(|| containerizer::start(&node, options)).transpose()?;
    let both: Arc<dyn Containerizer> = Arc::new(Composing::new(mesos, docker));
    let detector = coordination::detector(&node, master, flags.zk_session_timeout);
    Ok(crate::start(&node, config, both, detector))
}

/// Starts a slave with its containerizer on a node.
///
/// # Errors
/// When the isolation cannot be served.
pub fn start_with(
    node: &Node,
    config: Config,
    options: ContainerizerOptions,
    detector: Arc<dyn Detector>,
) -> Result<Handle<Slave>, Box<dyn std::error::Error>> {
    let containerizer = containerizer::start(node, options)?;
    Ok(crate::start(node, config, containerizer, detector))
}

/// What a node that hosts a slave must know.
pub fn node_config(log: slog::Logger) -> NodeConfig {
    NodeConfig {
        delegate: Some("slave(1)".to_owned()),
        schema: protos::required::schema_check,
        version: serde_json::json!({
            "build_date": "", "build_time": 0, "build_user": "", "version": VERSION,
        }),
        log,
        ..NodeConfig::default()
    }
}

/// The name that others are told; `address` is what they are told to connect to.
fn hostname(flags: &Flags, address: Ipv4Addr) -> String {
    match &flags.hostname {
        Some(hostname) => hostname.clone(),
        None if flags.hostname_lookup => real::host_name(),
        None => address.to_string(),
    }
}

fn fail(program: &str, reason: &str) -> ExitCode {
    eprintln!("{program}: {reason}");
    ExitCode::FAILURE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostname_without_a_look_up_is_the_address_that_was_bound() {
        let named = |given: &[&str]| {
            let loaded = Loader::new("p").load::<Flags>(given.iter().copied()).unwrap();
            hostname(&loaded.flags, Ipv4Addr::new(10, 0, 0, 7))
        };
        assert_eq!(named(&["--no-hostname_lookup"]), "10.0.0.7");
        assert_eq!(named(&["--no-hostname_lookup", "--hostname=h"]), "h");
        assert_eq!(named(&[]), real::host_name());
    }

    #[test]
    fn master_that_only_a_module_could_find_is_asked_for() {
        let asked = |given: &[&str]| {
            let loaded = Loader::new("p").load::<Flags>(given.iter().copied()).unwrap();
            master(&loaded.flags).unwrap_err()
        };
        assert_eq!(asked(&[]), "flag 'master' is required");
        let module = asked(&["--master_detector=org_example"]);
        assert_eq!(module, "flag 'master_detector': 'org_example' is unknown: give 'master'");
    }
}
