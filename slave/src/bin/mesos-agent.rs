//! `mesos-agent`.

fn main() -> std::process::ExitCode {
    slave::run("mesos-agent", std::env::args().skip(1))
}
