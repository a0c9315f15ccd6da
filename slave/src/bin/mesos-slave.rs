//! `mesos-slave`.

/// As for masters: updates, statistics and state come and go.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    slave::run("mesos-slave", std::env::args().skip(1))
}
