//! `mesos-resolve`: tells the address of the master that a `--master` text means.

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use coordination::url::{MasterUrl, ZkUrl};
use futures::future::{Either, select};
use libprocess::flags::{Loader, Logging};
use libprocess::real;

use crate::node;

/// Prints the address of the leading master: mesos-resolve [flags] host:port, or
/// mesos-resolve [flags] zk://host:port,.../path
#[derive(Parser, Debug, Clone)]
#[command(rename_all = "snake_case")]
struct Flags {
    /// How long to look for a master in ZooKeeper; without effect on others
    #[arg(long, value_parser = protos::duration::parse, default_value = "5secs")]
    timeout: Duration,
    /// Say more on standard error
    #[arg(long)]
    verbose: bool,
}

/// Runs the tool with the arguments after its name. Flags do not come from the environment.
pub fn main(arguments: impl IntoIterator<Item = String>) -> ExitCode {
    let arguments: Vec<String> = arguments.into_iter().collect();
    let flags = match Loader::new("mesos-resolve").load::<Flags>(arguments.iter()) {
        Ok(loaded) => loaded.flags,
        Err(error) => return error.report("mesos-resolve"),
    };
    match resolve(&arguments, &flags) {
        Ok(address) => {
            println!("{address}");
            ExitCode::SUCCESS
        }
        Err(reason) => {
            eprintln!("mesos-resolve: {reason}");
            ExitCode::FAILURE
        }
    }
}

/// The address for the first word that is no flag.
fn resolve(arguments: &[String], flags: &Flags) -> Result<String, String> {
    let master = arguments.iter().find(|word| !word.starts_with("--"));
    let master = master.ok_or("give a master, such as 10.0.0.1:5050")?;
    let master = coordination::url::given(master).map_err(|error| format!("{master}: {error}"))?;
    match master.parse::<MasterUrl>() {
        Ok(MasterUrl::Standalone(pid)) => {
            if flags.verbose {
                eprintln!("standalone master");
            }
            Ok(pid.address().to_string())
        }
        Ok(MasterUrl::ZooKeeper(url)) => real::run(leader(url, flags)),
        Err(error) => Err(error.to_string()),
    }
}

/// The address of the master that leads in an ensemble.
async fn leader(url: ZkUrl, flags: &Flags) -> Result<String, String> {
    let level = if flags.verbose { slog::Level::Info } else { slog::Level::Error };
    let logging = Logging { logging_level: level, ..Logging::default() };
    let (log, _guard) = logging.logger("mesos-resolve").map_err(|error| error.to_string())?;
    let shown = url.to_string();
    let master = MasterUrl::ZooKeeper(url);
    let node = node::client(&master, log).await.map_err(|error| error.to_string())?;
    let detector = coordination::detector(&node, &master, node::SESSION);
    match select(detector.detect(None), Box::pin(node.sleep(flags.timeout))).await {
        Either::Left((Some(leader), _)) => Ok(leader.pid.address().to_string()),
        _ => {
            let within = protos::duration::print(flags.timeout);
            Err(format!("no master leads in {shown}, or it does not answer, within {within}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn master_texts_are_resolved_or_refused() {
        let nobody = "zk://127.0.0.1:9/mesos";
        let cases = [
            (vec!["10.0.0.1:5050"], Ok("10.0.0.1:5050")),
            (vec!["--verbose", "master@127.0.0.1:5050"], Ok("127.0.0.1:5050")),
            (vec!["--verbose"], Err("give a master")),
            (vec![nobody], Err("no master leads")),
            (vec!["zk://a:2181/"], Err("path")),
            (vec!["file:///nowhere"], Err("/nowhere")),
            (vec!["nonsense"], Err("names no master")),
        ];
        let flags = Flags { timeout: Duration::from_millis(300), verbose: false };
        for (words, expected) in cases {
            let words: Vec<String> = words.into_iter().map(str::to_owned).collect();
            match (resolve(&words, &flags), expected) {
                (Ok(address), Ok(expected)) => assert_eq!(address, expected),
                (Err(reason), Err(part)) => assert!(reason.contains(part), "{reason}"),
                (found, _) => panic!("{words:?}: {found:?}"),
            }
        }
    }
}
