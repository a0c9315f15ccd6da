//! What tests need from the host besides Rust: installed when it is missing, silent when it is there.

use crate::shell::{self, Failure, Outcome};

/// Debian's packages: a foreign scheduler is built with Go; the fetcher's tests pack archives; groups
/// are tested over a ZooKeeper server; containers join networks, whose links tests cut, and are made
/// of images by docker and without it.
const PACKAGES: [&str; 15] = [
    "golang-go",
    "golang-github-mesos-mesos-go-dev",
    "curl",
    "zip",
    "unzip",
    "bzip2",
    "xz-utils",
    "zookeeper",
    "containernetworking-plugins",
    "iproute2",
    "linux-perf",
    "docker.io",
    "iptables",
    "busybox-static",
    "libfaketime",
];

/// Parts of the toolchain that a minimal installation lacks.
const COMPONENTS: [(&str, &str); 2] = [("fmt", "rustfmt"), ("clippy", "clippy")];

/// Checks everything and installs what is missing.
pub(crate) fn run() -> Outcome {
    components()?;
    packages()
}

/// rustfmt and clippy.
pub(crate) fn components() -> Outcome {
    for (verb, component) in COMPONENTS {
        if shell::quietly(&mut shell::cargo(&[verb, "--version"])).is_ok() {
            continue;
        }
        eprintln!("xtask: installing {component}");
        let added = shell::quietly(&mut shell::command("rustup", &["component", "add", component]));
        if let Err(Failure(why)) = added {
            let advice = format!("run: rustup component add {component}");
            return Err(Failure(format!("{component} is missing; {advice}\n{why}")));
        }
    }
    Ok(())
}

fn packages() -> Outcome {
    let missing = missing(&installed());
    if missing.is_empty() {
        return Ok(());
    }
    let wanted = missing.join(" ");
    let is_root = shell::quietly(&mut shell::command("id", &["-u"]))?.trim() == "0";
    if !is_root {
        let advice = format!("tests need {wanted}; run: sudo apt-get install {wanted}");
        if shell::is_ci() {
            return Err(Failure(advice));
        }
        eprintln!("xtask: {advice}");
        return Ok(());
    }
    eprintln!("xtask: installing {wanted}");
    apt_get(&["update"])?;
    let mut install = vec!["install", "--yes", "--no-install-recommends"];
    install.extend(missing);
    apt_get(&install)
}

/// Names of all installed packages, one a line; nothing where there is no dpkg.
fn installed() -> String {
    let query = ["--show", "--showformat=${db:Status-Status} ${Package}\\n"];
    shell::quietly(&mut shell::command("dpkg-query", &query)).unwrap_or_default()
}

fn missing(installed: &str) -> Vec<&'static str> {
    let is_there = |package: &str| {
        installed.lines().any(|line| line.strip_prefix("installed ") == Some(package))
    };
    PACKAGES.into_iter().filter(|package| !is_there(package)).collect()
}

fn apt_get(arguments: &[&str]) -> Outcome {
    let mut command = shell::command("apt-get", &["-qq", "-o", "DPkg::Lock::Timeout=120"]);
    command.args(arguments).env("DEBIAN_FRONTEND", "noninteractive");
    shell::quietly(&mut command).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_on_an_empty_host_is_everything() {
        assert_eq!(missing(""), PACKAGES);
    }

    #[test]
    fn missing_counts_neither_removed_nor_similar_packages() {
        let installed = "installed golang-go\nconfig-files curl\ninstalled zip-extra\n";
        let missing = missing(installed);
        assert!(!missing.contains(&"golang-go"));
        assert!(missing.contains(&"curl"));
        assert!(missing.contains(&"zip"));
    }
}
