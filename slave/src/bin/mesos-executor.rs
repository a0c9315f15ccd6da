//! `mesos-executor`.

fn main() -> std::process::ExitCode {
    slave::executor::main()
}
