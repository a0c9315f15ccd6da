//! Programs of this crate, run as OS processes that end with the test.

use std::io::{BufRead, BufReader, Lines};
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
        use std::io::Write;
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
