//! `mesos-logrotate-logger`.

fn main() -> std::process::ExitCode {
    slave::logger::main()
}
