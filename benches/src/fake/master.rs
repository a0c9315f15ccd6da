//! The master as operators run it: an OS process of its own.

use std::net::{Ipv4Addr, SocketAddrV4, TcpListener};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Duration;

use libprocess::{Node, Pid};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::Outcome;

/// The first argument that makes a bench a master.
const WORD: &str = "as-master";

/// Runs a master when this program was started as one: its exit code.
pub(super) fn is_master() -> Option<ExitCode> {
    let mut arguments = std::env::args().skip(1);
    (arguments.next().as_deref() == Some(WORD)).then(|| master::run(arguments))
}

/// A master in a child process.
pub struct MasterProcess {
    child: Child,
    /// Where it listens.
    pub address: SocketAddrV4,
}

impl MasterProcess {
    /// Starts one with these flags besides address and port; `node` is for waiting. The program must be
    /// run by [`super::main`].
    ///
    /// # Errors
    /// When it does not listen within ten seconds.
    pub async fn start(node: &Node, flags: &[&str]) -> Outcome<Self> {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        Self::start_at(node, SocketAddrV4::new(Ipv4Addr::LOCALHOST, port), flags).await
    }

    /// As [`MasterProcess::start`], at that address.
    ///
    /// # Errors
    /// When it does not listen within ten seconds.
    pub async fn start_at(node: &Node, address: SocketAddrV4, flags: &[&str]) -> Outcome<Self> {
        // It is alone; the default is a log that masters share.
        let unsaid = !flags.iter().any(|flag| flag.starts_with("--registry="));
        let child = Command::new(std::env::current_exe()?)
            .arg(WORD)
            .arg(format!("--ip={}", address.ip()))
            .arg(format!("--port={}", address.port()))
            .args(unsaid.then_some("--registry=in_memory"))
            .args(flags)
            .stderr(Stdio::null())
            .spawn()?;
        let started = Self { child, address };
        for _ in 0..10_000 {
            if TcpStream::connect(address).await.is_ok() {
                return Ok(started);
            }
            node.sleep(Duration::from_millis(1)).await;
        }
        Err("the master does not listen".into())
    }

    /// The PID that slaves and frameworks speak to.
    ///
    /// # Errors
    /// Never, as the address can always be written.
    pub fn pid(&self) -> Outcome<Pid> {
        Ok(format!("master@{}", self.address).parse()?)
    }

    fn stat(&self) -> Outcome<procfs::process::Stat> {
        Ok(procfs::process::Process::new(i32::try_from(self.child.id())?)?.stat()?)
    }

    /// User and system time so far.
    ///
    /// # Errors
    /// When the process is gone.
    pub fn cpu(&self) -> Outcome<Duration> {
        let stat = self.stat()?;
        let ticks = stat.utime + stat.stime;
        Ok(Duration::from_secs_f64(ticks as f64 / procfs::ticks_per_second() as f64))
    }

    /// Resident memory, in bytes.
    ///
    /// # Errors
    /// When the process is gone.
    pub fn memory(&self) -> Outcome<u64> {
        Ok(self.stat()?.rss * procfs::page_size())
    }

    /// Ends it with SIGKILL.
    pub fn kill(self) {
        drop(self);
    }
}

impl Drop for MasterProcess {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Asks for a document over a connection of its own: how many bytes came, and how long that took.
///
/// # Errors
/// When the connection breaks or the answer is not 200.
pub async fn get(address: SocketAddrV4, path: &str) -> Outcome<(usize, Duration)> {
    let start = tokio::time::Instant::now();
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: master\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let (mut buffer, mut head, mut count) = (vec![0; 256 * 1024], Vec::new(), 0);
    loop {
        let read = stream.read(&mut buffer).await?;
        if read == 0 {
            break;
        }
        if head.len() < 12 {
            head.extend_from_slice(&buffer[..read.min(64)]);
        }
        count += read;
    }
    if !head.starts_with(b"HTTP/1.1 200") {
        return Err(format!("{path}: {}", String::from_utf8_lossy(&head)).into());
    }
    Ok((count, start.elapsed()))
}
