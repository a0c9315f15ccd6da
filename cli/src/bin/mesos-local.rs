//! `mesos-local`: see `cli::local`. Serves as its own slave's helper programs, too.

fn main() -> std::process::ExitCode {
    cli::helper_or(cli::local::main::main)
}
