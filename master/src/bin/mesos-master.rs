//! `mesos-master`.

/// Masters hold millions of small things that come and go: the system's allocator spends a third of
/// their time on it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    master::run(std::env::args().skip(1))
}
