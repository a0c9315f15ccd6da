//! Schemes that the host's own programs serve: `curl` those with TLS and FTP, `hadoop` HDFS.

use std::io;
use std::path::Path;
use std::process::{Command, Stdio};

use super::download::Bounds;

/// Fetches by `curl`: https, ftp and ftps.
pub(super) fn curl(url: &str, to: &Path, bounds: Bounds) -> io::Result<()> {
    let stall = bounds.stall.as_secs().max(1).to_string();
    let size = bounds.bytes.to_string();
    let mut command = Command::new("curl");
    command
        .args(["--silent", "--show-error", "--fail", "--globoff", "--location"])
        .args(["--proto", "=https,ftp,ftps", "--proto-redir", "=https,http", "--max-redirs", "10"])
        .args(["--connect-timeout", "30", "--speed-limit", "1", "--speed-time", &stall])
        .args(["--max-filesize", &size, "--output"])
        .arg(to)
        .args(["--", url]);
    run(command, "curl")?;
    // Servers need not say how much they send.
    if std::fs::metadata(to)?.len() > bounds.bytes {
        return Err(io::Error::other("it is too large"));
    }
    Ok(())
}

/// Fetches by the Hadoop client, of `HADOOP_HOME` or in the path.
pub(super) fn hadoop(url: &str, to: &Path) -> io::Result<()> {
    let home = std::env::var_os("HADOOP_HOME").filter(|home| !home.is_empty());
    let program = home.map_or("hadoop".into(), |home| Path::new(&home).join("bin/hadoop"));
    let mut command = Command::new(&program);
    command.args(["fs", "-copyToLocal", url]).arg(to);
    run(command, &program.display().to_string())
}

fn run(mut command: Command, name: &str) -> io::Result<()> {
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).status();
    let status = status.map_err(|error| io::Error::other(format!("cannot run {name}: {error}")))?;
    let failed = || io::Error::other(format!("{name} failed: {status}"));
    status.success().then_some(()).ok_or_else(failed)
}
