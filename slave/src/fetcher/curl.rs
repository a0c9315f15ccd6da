//! Schemes that the host's `curl` serves: those with TLS, and FTP.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use super::budget::too_large;
use super::download::Bounds;

/// Fetches by `curl`: https, ftp and ftps.
pub(super) fn curl(url: &str, to: &Path, bounds: &Bounds) -> io::Result<()> {
    let stall = bounds.stall.as_secs().max(1).to_string();
    let size = bounds.budget.left().to_string();
    let mut command = Command::new("curl");
    command
        .args(["--silent", "--show-error", "--fail", "--globoff", "--location"])
        .args(["--proto", "=https,ftp,ftps", "--proto-redir", "=https,http", "--max-redirs", "10"])
        .args(["--connect-timeout", "30", "--speed-limit", "1", "--speed-time", &stall])
        .args(["--max-filesize", &size, "--", url]);
    command.stdin(Stdio::null());
    let mut transfer = Transfer::start(command, "curl", bounds.budget.left())?;
    bounds.budget.copy(&mut transfer, &mut File::create(to)?)?;
    transfer.finish()
}

/// What a program writes, as long as that is not too much: servers need not say how much they send.
/// The program is killed when nobody wants the rest.
pub(crate) struct Transfer {
    name: &'static str,
    child: Child,
    output: ChildStdout,
    left: u64,
}

impl Transfer {
    /// Starts a program whose output is wanted.
    pub(crate) fn start(mut command: Command, name: &'static str, most: u64) -> io::Result<Self> {
        let cannot = |error: io::Error| io::Error::other(format!("cannot run {name}: {error}"));
        let mut child = command.stdout(Stdio::piped()).spawn().map_err(cannot)?;
        let output = child.stdout.take().ok_or_else(|| io::Error::other("no output"))?;
        Ok(Self { name, child, output, left: most })
    }

    /// Tells the program something on its standard input, if that was asked for.
    pub(crate) fn tell(&mut self, text: &str) -> io::Result<()> {
        let input = self.child.stdin.take();
        input.map_or(Ok(()), |mut input| input.write_all(text.as_bytes()))
    }

    /// Waits for its end; an error when that is none of success.
    pub(crate) fn finish(mut self) -> io::Result<()> {
        let status = self.child.wait()?;
        let failed = || io::Error::other(format!("{} failed: {status}", self.name));
        status.success().then_some(()).ok_or_else(failed)
    }
}

impl Read for Transfer {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.output.read(buffer)?;
        let left = self.left.checked_sub(read as u64);
        self.left = left.ok_or_else(too_large)?;
        Ok(read)
    }
}

impl Drop for Transfer {
    fn drop(&mut self) {
        // One that has ended, and was waited for, is not signalled.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transfer_without_end_is_cut_off() {
        let mut endless = Command::new("sh");
        endless.args(["-c", "exec cat /dev/zero"]);
        let mut transfer = Transfer::start(endless, "sh", 1 << 20).unwrap();
        let mut bytes = Vec::new();
        let error = transfer.read_to_end(&mut bytes).unwrap_err();
        assert!(error.to_string().contains("too large"), "{error}");
        assert!(bytes.len() <= 1 << 20);
    }

    #[test]
    fn transfer_that_fails_says_so() {
        let mut failing = Command::new("sh");
        failing.args(["-c", "echo half; exit 7"]);
        let mut transfer = Transfer::start(failing, "sh", 100).unwrap();
        let mut text = String::new();
        transfer.read_to_string(&mut text).unwrap();
        assert_eq!(text, "half\n");
        assert!(transfer.finish().is_err());
    }
}
