//! `mesos-log`: see `cli::log`.

fn main() -> std::process::ExitCode {
    cli::log::main(std::env::args().skip(1))
}
