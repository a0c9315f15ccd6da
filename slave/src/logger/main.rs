//! What the binary `mesos-logrotate-logger` does.

use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use libprocess::flags::Loader;

use super::{RotatingFile, Rotation};

/// How much is taken from the pipe at once.
const CHUNK_BYTES: usize = 64 * 1024;

/// Copies standard input to a file that is kept within bounds.
#[derive(clap::Parser, Debug)]
#[command(
    name = "mesos-logrotate-logger",
    rename_all = "snake_case",
    about = "Copies standard input to a file that is kept within bounds"
)]
struct Flags {
    /// The file
    #[arg(long)]
    log_filename: Option<PathBuf>,
    /// Size at which the file is put aside
    #[arg(long, default_value = "10MB")]
    max_size: String,
    /// How many such files are kept, such as `rotate 9`; other words have no effect
    #[arg(long)]
    logrotate_options: Option<String>,
    /// Accepted; no other program is needed
    #[arg(long)]
    logrotate_path: Option<PathBuf>,
    /// Accepted; the slave starts this program as the container's user
    #[arg(long)]
    user: Option<String>,
}

/// Copies until nobody can write any more; exits with 1 and a line on standard error when it cannot.
pub fn main() -> ExitCode {
    let program = "mesos-logrotate-logger";
    let flags = match Loader::new(program).load::<Flags>(std::env::args().skip(1)) {
        Ok(loaded) => loaded.flags,
        Err(error) => return error.report(program),
    };
    match copy(flags) {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("{program}: {reason}");
            ExitCode::FAILURE
        }
    }
}

fn copy(flags: Flags) -> Result<(), String> {
    let path = flags.log_filename.ok_or("flag 'log_filename' is required")?;
    let rotation = Rotation::read(Some(&flags.max_size), flags.logrotate_options.as_deref())?;
    let failed = |error: io::Error| format!("cannot write {}: {error}", path.display());
    let mut file = RotatingFile::open(path.clone(), rotation).map_err(failed)?;
    let mut input = io::stdin().lock();
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        match input.read(&mut chunk) {
            Ok(0) => return Ok(()),
            // A full disk must not stop the container: what cannot be written is lost.
            Ok(length) => drop(file.write_all(&chunk[..length])),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(format!("cannot read: {error}")),
        }
    }
}
