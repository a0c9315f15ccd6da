//! `mesos-containerizer`.

fn main() -> std::process::ExitCode {
    slave::containerizer::helper::main()
}
