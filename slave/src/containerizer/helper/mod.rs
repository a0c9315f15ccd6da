//! What the binary `mesos-containerizer` does: it is what a container's first process is before it
//! becomes the command.
//!
//! It runs inside the container's namespaces, still as the slave's user, with the sandbox's files as
//! output: what goes wrong is told there. `apply` has the order of things.

mod apply;
mod mounts;
mod privileges;
mod rlimits;
mod root;
mod within;

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::FromRawFd;
use std::process::ExitCode;

use clap::Parser;
use isolators::LaunchInfo;

use crate::executor::LAUNCH_INFO;
use crate::{checkpoint, provisioner};

pub use apply::HelperError;

/// The program's commands.
#[derive(Parser)]
#[command(name = "mesos-containerizer", about = "Helps a slave to start containers")]
enum Arguments {
    /// Becomes the command that it is told of, inside a container
    #[command(rename_all = "snake_case")]
    Launch {
        /// What to do, as JSON of the message ContainerLaunchInfo
        #[arg(long, value_name = "JSON")]
        launch_info: Option<String>,
        /// Descriptor of a pipe to read that message from, in its binary form behind
        /// its length
        #[arg(long)]
        pipe_read: Option<i32>,
        /// Begin with mounts of one's own, which others do not see
        #[arg(long)]
        unshare_namespace_mnt: bool,
        /// Prepare the root, and leave going there to others
        #[arg(long, hide = true)]
        keep_root: bool,
    },
    /// Pulls an image or makes a root of it, as the slave says in the environment
    #[command(hide = true)]
    Image,
    /// Changes how mounts propagate
    #[command(rename_all = "snake_case")]
    Mount {
        /// make-rslave
        #[arg(long, value_parser = ["make-rslave"])]
        operation: String,
        /// The mount and all below it
        #[arg(long)]
        path: String,
    },
}

/// Does what the arguments say; exits with 1 and a line on standard error when it cannot.
pub fn main() -> ExitCode {
    let done = match Arguments::try_parse() {
        Ok(Arguments::Launch { launch_info, pipe_read, unshare_namespace_mnt, keep_root }) => {
            let own = if unshare_namespace_mnt { mounts::unshare() } else { Ok(()) };
            let info = own.and_then(|()| read(launch_info, pipe_read));
            info.and_then(|info| apply::launch(&info, keep_root))
        }
        Ok(Arguments::Image) => image(),
        Ok(Arguments::Mount { path, .. }) => mounts::make_slave(&path),
        Err(error) if error.use_stderr() => {
            let text = error.to_string();
            Err(HelperError::Arguments(text.lines().next().unwrap_or_default().to_owned()))
        }
        Err(help) => {
            print!("{help}");
            Ok(())
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("mesos-containerizer: {error}");
            ExitCode::FAILURE
        }
    }
}

fn image() -> Result<(), HelperError> {
    let order = std::env::var(provisioner::ORDER).unwrap_or_default();
    println!("{}", provisioner::carry_out(&order).map_err(HelperError::Image)?);
    Ok(())
}

fn read(text: Option<String>, pipe: Option<i32>) -> Result<LaunchInfo, HelperError> {
    let malformed = |error: &dyn std::fmt::Display| HelperError::LaunchInfo(error.to_string());
    match (text, pipe) {
        (Some(text), _) => {
            let value = serde_json::from_str::<serde_json::Value>(&text);
            let value = value.map_err(|error| malformed(&error))?;
            protos::json::from_json(&value).map_err(|error| malformed(&error))
        }
        (None, Some(pipe)) => {
            let bytes = whole(pipe).map_err(HelperError::Pipe)?;
            checkpoint::decode_one(&bytes).map_err(|error| malformed(&error))
        }
        (None, None) => match std::env::var(LAUNCH_INFO) {
            Ok(text) => read(Some(text), None),
            Err(_) => {
                let missing = "one of --launch_info and --pipe_read is needed";
                Err(HelperError::Arguments(missing.to_owned()))
            }
        },
    }
}

/// Everything that comes out of a pipe; it is closed then, so that the command does not have it.
#[allow(unsafe_code, reason = "the slave names the pipe by its number")]
fn whole(pipe: i32) -> io::Result<Vec<u8>> {
    if pipe < 3 {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    // SAFETY: the slave opened this descriptor for this program, and nothing else here uses it.
    let mut pipe = unsafe { File::from_raw_fd(pipe) };
    let mut bytes = Vec::new();
    pipe.read_to_end(&mut bytes)?;
    Ok(bytes)
}
