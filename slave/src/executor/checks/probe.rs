//! One look at a task.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use libprocess::subprocess::{Command, Ended, Output, Subprocesses, Target};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::Probe;

const SIGKILL: i32 = 9;
/// Longest status line that is read.
const MAX_STATUS_LINE: usize = 1024;

/// What a look saw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Seen {
    /// A command's exit code.
    Exited(i32),
    /// An HTTP status.
    Answered(u16),
    /// Whether a connection was taken.
    Connected(bool),
}

impl Seen {
    /// Whether that is good: exit code 0, status 200 to 399, a connection.
    pub(crate) fn verdict(&self) -> Result<(), String> {
        match self {
            Seen::Exited(0) | Seen::Connected(true) | Seen::Answered(200..400) => Ok(()),
            Seen::Exited(code) => Err(format!("the command exited with status {code}")),
            Seen::Connected(false) => Err("the connection was refused".to_owned()),
            Seen::Answered(status) => Err(format!("the answer has status {status}")),
        }
    }
}

/// Looks over the network, as long as it takes; the task listens at `host`.
pub(super) async fn look(
    probe: Probe,
    host: IpAddr,
    os: Arc<dyn Subprocesses>,
) -> Result<Seen, String> {
    match probe {
        Probe::Command(_) => Err("commands are run, not asked for".to_owned()),
        Probe::Tcp { port, .. } => {
            Ok(Seen::Connected(TcpStream::connect((host, port)).await.is_ok()))
        }
        Probe::Http { scheme, port, path, .. } if scheme == "http" => {
            ask((host, port).into(), &path).await
        }
        Probe::Http { scheme, port, path, .. } => {
            curl(&format!("{scheme}://{}{path}", SocketAddr::from((host, port))), os).await
        }
    }
}

/// A command that is killed with all that it started when the look is given up.
struct Running {
    pid: u32,
    os: Arc<dyn Subprocesses>,
}

impl Drop for Running {
    fn drop(&mut self) {
        // What has ended already cannot be killed.
        let _ = self.os.signal(Target::Tree(self.pid), SIGKILL);
    }
}

async fn finish(command: Command, os: Arc<dyn Subprocesses>) -> Result<Ended, String> {
    let child = os.spawn(command).await.map_err(|error| error.to_string())?;
    let running = Running { pid: child.pid, os };
    let ended = child.ended.await;
    drop(running);
    Ok(ended)
}

pub(in crate::executor) async fn run(
    command: Command,
    os: Arc<dyn Subprocesses>,
) -> Result<Seen, String> {
    let status = finish(command, os).await?.status.ok_or("the command's status is unknown")?;
    match (status.code(), status.signal()) {
        (Some(code), _) => Ok(Seen::Exited(code)),
        (None, signal) => Err(format!("the command ended by signal {}", signal.unwrap_or(0))),
    }
}

async fn ask(address: SocketAddr, path: &str) -> Result<Seen, String> {
    if path.contains(['\r', '\n', ' ']) {
        return Err("the path is malformed".to_owned());
    }
    let failed = |error: std::io::Error| error.to_string();
    let mut stream = TcpStream::connect(address).await.map_err(failed)?;
    let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.map_err(failed)?;
    let mut line = Vec::new();
    while !line.contains(&b'\n') && line.len() < MAX_STATUS_LINE {
        if stream.read_buf(&mut line).await.map_err(failed)? == 0 {
            break;
        }
    }
    let line = String::from_utf8_lossy(&line);
    let status = line.split(' ').nth(1).and_then(|code| code.parse().ok());
    status.map(Seen::Answered).ok_or_else(|| "the answer is malformed".to_owned())
}

/// Asks by `curl`, which knows TLS; certificates are not looked at.
async fn curl(url: &str, os: Arc<dyn Subprocesses>) -> Result<Seen, String> {
    let argv = ["curl", "-s", "-S", "-k", "-g", "-o", "/dev/null", "-w", "%{http_code}", "--", url];
    let path = std::env::var("PATH").unwrap_or_default();
    let command = Command {
        program: "curl".to_owned(),
        argv: argv.map(str::to_owned).to_vec(),
        env: [("PATH".to_owned(), path)].into(),
        stdout: Output::Collect,
        stderr: Output::Null,
        session: true,
        die_with_parent: true,
        ..Command::default()
    };
    let ended = finish(command, os).await?;
    let status = String::from_utf8_lossy(&ended.stdout).trim().parse().ok();
    let status = status.filter(|status| *status != 0);
    status.map(Seen::Answered).ok_or_else(|| "there is no answer".to_owned())
}
