//! Programs in Go, built against Debian's packages.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests")]

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::cluster::text;

/// Where Debian puts Go packages.
const GO_PACKAGES: &str = "/usr/share/gocode";

/// Builds a program of `interop/go` into a directory.
///
/// # Panics
/// When Go is missing, or refuses.
pub fn go_build(package: &str, into: &Path) -> PathBuf {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("interop/go");
    let program = into.join(package);
    let output = Command::new("go")
        .args(["build", "-o"])
        .arg(&program)
        .arg(package)
        .env("GO111MODULE", "off")
        .env("GOPATH", format!("{}:{GO_PACKAGES}", sources.display()))
        .env("GOCACHE", into.join("go-cache"))
        .output()
        .expect("go is installed by `cargo xtask test`");
    assert!(output.status.success(), "{}", text(&output).1);
    program
}
