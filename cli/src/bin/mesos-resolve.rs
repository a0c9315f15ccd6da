//! `mesos-resolve`: see `cli::resolve`.

fn main() -> std::process::ExitCode {
    cli::resolve::main(std::env::args().skip(1))
}
