//! Programs of this crate, run as OS processes that end with the test.

use std::io::{BufRead, BufReader, Lines, Read, Write};
use std::net::{SocketAddrV4, TcpStream};
use std::process::{Child, ChildStdout, Command, Stdio};

/// A running program and what it prints.
pub(crate) struct Program {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Program {
    /// Starts a program on a free port of the loopback.
    pub(crate) fn start(path: &str, arguments: &[&str]) -> Self {
        let mut command = Command::new(path);
        command.args(arguments).env("LIBPROCESS_IP", "127.0.0.1").env("LIBPROCESS_PORT", "0");
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    /// The next line it prints; waits for it.
    pub(crate) fn line(&mut self) -> String {
        self.lines.next().expect("the program closed its output").unwrap()
    }

    /// Waits for its end: true when it succeeded, and what it printed meanwhile.
    #[allow(dead_code, reason = "not every test waits")]
    pub(crate) fn end(mut self) -> (bool, Vec<String>) {
        let rest = self.lines.by_ref().map_while(Result::ok).collect();
        (self.child.wait().unwrap().success(), rest)
    }

    /// Types a line.
    #[allow(dead_code, reason = "not every test types")]
    pub(crate) fn type_line(&mut self, line: &str) {
        writeln!(self.child.stdin.as_mut().unwrap(), "{line}").unwrap();
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Asks over HTTP; the body of the answer, if it is a success.
#[allow(dead_code, reason = "not every test asks")]
pub(crate) fn http(address: SocketAddrV4, method: &str, path: &str, body: &str) -> Option<String> {
    let mut stream = TcpStream::connect(address).ok()?;
    let head = format!("{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n");
    write!(stream, "{head}Content-Length: {}\r\n\r\n{body}", body.len()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    head.starts_with("HTTP/1.1 200 ").then(|| body.to_owned())
}
