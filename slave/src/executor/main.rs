//! What the binary `mesos-executor` does.

use std::net::Ipv4Addr;
use std::process::ExitCode;
use std::sync::Arc;

use libprocess::{NodeConfig, real};

use super::runner::{HostRunner, Runner};
use super::{CommandExecutor, Inside, Settings, TASK_LAUNCH_INFO};

/// Runs a command executor until its task has ended or the slave asks it to stop. Of the
/// original's flags those that concern a root of the task's own are read; all else comes from the
/// environment.
pub fn main() -> ExitCode {
    let told = std::env::var(TASK_LAUNCH_INFO).ok();
    let inside = match Inside::read(std::env::args(), told) {
        Ok(inside) => inside,
        Err(reason) => {
            eprintln!("mesos-executor: {reason}");
            return ExitCode::FAILURE;
        }
    };
    serve("mesos-executor", inside, Arc::new(HostRunner))
}

/// Serves the slave that the environment names, with tasks that run as `runner` has it.
pub(super) fn serve(program: &str, inside: Option<Inside>, runner: Arc<dyn Runner>) -> ExitCode {
    let environment = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .filter(|(name, _)| name != TASK_LAUNCH_INFO);
    let fail = |error: &dyn std::error::Error| {
        eprintln!("{program}: {error}");
        ExitCode::FAILURE
    };
    let settings = match Settings::read(environment.collect()) {
        Ok(settings) => Settings { inside, ..settings },
        Err(error) => return fail(&error),
    };
    real::run(async {
        // Only its slave speaks to an executor. The tables of all messages, by which others are checked,
        // would take longer to build than many a task takes to run.
        let node = NodeConfig::default();
        // The slave is reached from this address, so it can reach this address.
        let ip = local_address(*settings.slave.address().ip());
        // It ends when its slave has confirmed its last update, and hundreds may end in a second.
        let limits = real::Limits { reset_on_close: true, ..real::Limits::default() };
        let defaults = real::Config::default();
        let config = real::Config { ip, node, limits, adopt_orphans: true, ..defaults };
        let config = config.from_env(|name| std::env::var(name).ok());
        let node = match config {
            // Told to listen everywhere, it is reached as its slave sees it: inside of a network of its
            // own the name of the host may lead anywhere.
            Ok(config) if config.ip.is_unspecified() && config.advertise_ip.is_none() => {
                real::start(real::Config { advertise_ip: Some(ip), ..config }).await
            }
            Ok(config) => real::start(config).await,
            Err(error) => return fail(&error),
        };
        let node = match node {
            Ok(node) => node,
            Err(error) => return fail(&error),
        };
        let executor = CommandExecutor::with_runner(settings, runner);
        let executor = node.spawn_numbered("executor", executor);
        node.wait(executor.pid()).await;
        ExitCode::SUCCESS
    })
}

/// The address of this host from which `peer` is reached.
fn local_address(peer: Ipv4Addr) -> Ipv4Addr {
    let found = std::net::UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).and_then(|socket| {
        // Connecting a datagram socket sends nothing: it asks the routing table.
        socket.connect((peer, 9))?;
        socket.local_addr()
    });
    match found {
        Ok(std::net::SocketAddr::V4(address)) => *address.ip(),
        _ => Ipv4Addr::UNSPECIFIED,
    }
}
