//! `mesos-fetcher`.

fn main() -> std::process::ExitCode {
    slave::fetcher::main()
}
