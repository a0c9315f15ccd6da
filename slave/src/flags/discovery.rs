//! The address to listen on, told by a command of the operator's.

use std::net::Ipv4Addr;
use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use protos::duration;
use tokio::process::Command;

use super::Flags;

/// Time that the command has: a slave that waits for ever is worse than one that says why it ends.
const LIMIT: Duration = Duration::from_secs(60);

impl Flags {
    /// Where to listen: as one of the flags `ip` and `ip_discovery_command` says, else everywhere.
    ///
    /// # Errors
    /// Text naming the flag when the command tells no address.
    pub(crate) async fn address(&self) -> Result<Ipv4Addr, String> {
        match (self.ip, &self.ip_discovery_command) {
            (Some(ip), _) => Ok(ip),
            (None, None) => Ok(Ipv4Addr::UNSPECIFIED),
            (None, Some(command)) => {
                let found = discover(command, LIMIT).await;
                found.map_err(|why| format!("flag 'ip_discovery_command': '{command}' {why}"))
            }
        }
    }
}

/// The address that a command of the shell prints; what is wrong with it else, as the rest of a
/// sentence.
async fn discover(command: &str, limit: Duration) -> Result<Ipv4Addr, String> {
    let mut shell = Command::new("sh");
    shell.args(["-c", command]).stdin(Stdio::null()).stdout(Stdio::piped()).process_group(0);
    let child = shell.spawn().map_err(|error| format!("cannot be run: {error}"))?;
    let group = child.id().and_then(|id| i32::try_from(id).ok());
    let Ok(ended) = tokio::time::timeout(limit, child.wait_with_output()).await else {
        if let Some(group) = group {
            // Who is gone already needs no signal.
            let _ = killpg(Pid::from_raw(group), Signal::SIGKILL);
        }
        return Err(format!("has not ended after {}", duration::print(limit)));
    };
    let ended = ended.map_err(|error| format!("cannot be read: {error}"))?;
    if !ended.status.success() {
        return Err(format!("failed: {}", ended.status));
    }
    let printed = String::from_utf8_lossy(&ended.stdout);
    let printed = printed.trim();
    printed.parse().map_err(|_| format!("printed '{printed}', which is no IPv4 address"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn discovered(command: &str, limit: Duration) -> Result<Ipv4Addr, String> {
        libprocess::real::run(discover(command, limit))
    }

    #[test]
    fn address_is_what_the_command_prints() {
        let found = discovered("echo; echo \" 127.0.0.2 \"", LIMIT);
        assert_eq!(found, Ok(Ipv4Addr::new(127, 0, 0, 2)));
    }

    #[test]
    fn command_that_tells_no_address_is_named_with_the_reason() {
        for (command, reason) in [
            ("echo nowhere", "printed 'nowhere', which is no IPv4 address"),
            ("true", "printed '', which is no IPv4 address"),
            ("echo 127.0.0.1; exit 3", "failed: exit status: 3"),
        ] {
            assert_eq!(discovered(command, LIMIT), Err(reason.to_owned()));
        }
    }

    #[test]
    fn command_that_does_not_end_is_killed_with_all_that_it_started() {
        let directory = tempfile::tempdir().unwrap();
        let pipe = directory.path().join("pipe");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let (sender, over) = std::sync::mpsc::channel();
        let read = pipe.clone();
        // Ends when nobody has the other end any more.
        std::thread::spawn(move || sender.send(std::fs::read(read).is_ok()));
        let command = format!("exec 3> {}; sleep 600; true", pipe.display());
        let found = discovered(&command, Duration::from_secs(2));
        assert_eq!(found, Err("has not ended after 2secs".to_owned()));
        assert_eq!(over.recv_timeout(Duration::from_secs(30)), Ok(true));
    }

    #[test]
    fn address_without_flags_is_every_one() {
        let given = ["--ip=127.0.0.3", "--ip_discovery_command=false"];
        let address = |given: &[&str]| {
            let loaded = libprocess::flags::Loader::new("p").load::<Flags>(given.iter().copied());
            libprocess::real::run(loaded.unwrap().flags.address())
        };
        assert_eq!(address(&[]), Ok(Ipv4Addr::UNSPECIFIED));
        assert_eq!(address(&given[..1]), Ok(Ipv4Addr::new(127, 0, 0, 3)));
        let refused = address(&given[1..]).unwrap_err();
        assert!(refused.starts_with("flag 'ip_discovery_command': 'false' failed"), "{refused}");
    }
}
