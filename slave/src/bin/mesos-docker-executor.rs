//! `mesos-docker-executor`.

fn main() -> std::process::ExitCode {
    slave::executor::docker_main()
}
