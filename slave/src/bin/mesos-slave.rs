//! `mesos-slave`.

fn main() -> std::process::ExitCode {
    slave::run("mesos-slave", std::env::args().skip(1))
}
