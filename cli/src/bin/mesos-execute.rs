//! `mesos-execute`: see `cli::execute`. Serves as its own slave's helper programs, too.

fn main() -> std::process::ExitCode {
    cli::helper_or(cli::execute::main::main)
}
