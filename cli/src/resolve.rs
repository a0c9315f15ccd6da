//! `mesos-resolve`: tells the address of the master that a `--master` text means.

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use coordination::url::MasterUrl;
use libprocess::flags::Loader;

/// Prints the address of the leading master: mesos-resolve [flags] host:port
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
    match resolve(&arguments) {
        Ok(address) => {
            if flags.verbose {
                eprintln!("standalone master");
            }
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
fn resolve(arguments: &[String]) -> Result<String, String> {
    let master = arguments.iter().find(|word| !word.starts_with("--"));
    let master = master.ok_or("give a master, such as 10.0.0.1:5050")?;
    match master.parse::<MasterUrl>() {
        Ok(MasterUrl::Standalone(pid)) => Ok(pid.address().to_string()),
        Ok(MasterUrl::ZooKeeper(_)) => Err("masters in ZooKeeper are not supported yet".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn master_texts_are_resolved_or_refused() {
        let cases = [
            (vec!["10.0.0.1:5050"], Ok("10.0.0.1:5050")),
            (vec!["--verbose", "master@127.0.0.1:5050"], Ok("127.0.0.1:5050")),
            (vec!["--verbose"], Err("give a master")),
            (vec!["zk://a:2181/mesos"], Err("not supported yet")),
            (vec!["nonsense"], Err("names no master")),
        ];
        for (words, expected) in cases {
            let words: Vec<String> = words.into_iter().map(str::to_owned).collect();
            match (resolve(&words), expected) {
                (Ok(address), Ok(expected)) => assert_eq!(address, expected),
                (Err(reason), Err(part)) => assert!(reason.contains(part), "{reason}"),
                (found, _) => panic!("{words:?}: {found:?}"),
            }
        }
    }
}
