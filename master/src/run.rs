//! What the binary does: reads flags, starts a node with a master on it, waits for a signal.

use std::process::ExitCode;

use libprocess::flags::{Loader, process_environment};
use libprocess::{Node, NodeConfig, real};
use protos::duration;

use crate::flags::Flags;
use crate::{Config, VERSION};

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
    for warning in &loaded.warnings {
        slog::warn!(log, "{}", warning);
    }
    real::run(async {
        let config = flags.config(hostname(&flags), loaded.effective);
        let node = NodeConfig { verbosity: guard.verbosity(), ..node_config(log.clone()) };
        match start(&flags, config, node).await {
            Ok(node) => {
                slog::info!(log, "master is listening"; "pid" => %node.pid("master"));
                let signal = real::stop_signal().await;
                slog::info!(log, "master stops"; "signal" => signal);
                ExitCode::SUCCESS
            }
            Err(error) => fail(&*error),
        }
    })
}

async fn start(
    flags: &Flags,
    config: Config,
    node: NodeConfig,
) -> Result<Node, Box<dyn std::error::Error>> {
    let node = real::Config {
        ip: flags.ip,
        port: flags.port,
        advertise_ip: flags.advertise_ip,
        advertise_port: flags.advertise_port,
        node,
        ..real::Config::default()
    };
    let node = real::start(node.from_env(real::environment_but_bind)?).await?;
    crate::start(&node, config)?;
    Ok(node)
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
