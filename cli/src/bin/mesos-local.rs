//! `mesos-local`: see `cli::local`. Serves as its own slave's helper programs, too.

/// A whole cluster lives here: see `mesos-master`.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    cli::helper_or(cli::local::main::main)
}
