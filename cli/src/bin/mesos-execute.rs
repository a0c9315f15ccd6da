//! `mesos-execute`: see `cli::execute`.

fn main() -> std::process::ExitCode {
    cli::execute::main::main(std::env::args_os().skip(1))
}
