//! `mesos-master`.

fn main() -> std::process::ExitCode {
    master::run(std::env::args().skip(1))
}
