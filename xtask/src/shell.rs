//! Child processes, started in the root of the workspace.

use std::fmt;
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Why a step did not succeed.
#[derive(Debug)]
pub(crate) struct Failure(pub String);

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self(error.to_string())
    }
}

/// How a step ends.
pub(crate) type Outcome<T = ()> = Result<T, Failure>;

/// The directory that holds the workspace's Cargo.toml.
pub(crate) fn root() -> PathBuf {
    // cargo sets it for `cargo run`; what was compiled in serves those who start the binary itself.
    let manifest = std::env::var("CARGO_MANIFEST_DIR")
        .unwrap_or_else(|_| env!("CARGO_MANIFEST_DIR").to_owned());
    Path::new(&manifest).parent().unwrap_or(Path::new(".")).to_owned()
}

/// Whether an ignored test or a missing package fails the run.
pub(crate) fn is_ci() -> bool {
    std::env::var("CI").is_ok_and(|value| !matches!(value.as_str(), "" | "0" | "false"))
}

/// `cargo` with these arguments.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    command(&cargo, arguments)
}

/// A program with these arguments.
pub(crate) fn command(program: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(root());
    command
}

/// Shows the command, runs it, fails unless it exits 0.
pub(crate) fn run(command: &mut Command) -> Outcome {
    announce(command);
    let status = command.status().map_err(|error| cannot_start(command, &error))?;
    if status.success() { Ok(()) } else { Err(ended(command, status)) }
}

/// Like [`run`]; each line of its standard output is shown and given to `see`.
pub(crate) fn run_and_read(command: &mut Command, mut see: impl FnMut(&str)) -> Outcome {
    announce(command);
    let mut child =
        command.stdout(Stdio::piped()).spawn().map_err(|error| cannot_start(command, &error))?;
    if let Some(output) = child.stdout.take() {
        let mut lines = BufReader::new(output);
        let mut line = Vec::new();
        // A test may print what is no UTF-8.
        while lines.read_until(b'\n', &mut line)? > 0 {
            io::stdout().write_all(&line)?;
            io::stdout().flush()?;
            see(String::from_utf8_lossy(&line).trim_end());
            line.clear();
        }
    }
    let status = child.wait()?;
    if status.success() { Ok(()) } else { Err(ended(command, status)) }
}

/// Runs silently; its standard output if it exits 0, all it said if not.
pub(crate) fn quietly(command: &mut Command) -> Outcome<String> {
    let output =
        command.stdin(Stdio::null()).output().map_err(|error| cannot_start(command, &error))?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(said);
    }
    let Failure(end) = ended(command, output.status);
    Err(Failure(format!("{end}\n{said}{}", String::from_utf8_lossy(&output.stderr))))
}

fn announce(command: &Command) {
    eprintln!("xtask: {}", shown(command));
}

fn cannot_start(command: &Command, error: &io::Error) -> Failure {
    Failure(format!("cannot start {}: {error}", shown(command)))
}

fn ended(command: &Command, status: std::process::ExitStatus) -> Failure {
    Failure(format!("{} failed ({status})", shown(command)))
}

fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let name = program.file_name().unwrap_or(program.as_os_str()).to_string_lossy();
    let arguments = command.get_args().map(|argument| argument.to_string_lossy());
    std::iter::once(name).chain(arguments).collect::<Vec<_>>().join(" ")
}
