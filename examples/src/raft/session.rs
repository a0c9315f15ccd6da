//! What all clients have in common: one wish at a time, asked of one server after the other until
//! it is answered.

use std::time::Duration;

use libprocess::Pid;

use super::messages::{Answer, Command, Redirect};

/// How long a client waits before it asks the next server.
pub const PATIENCE: Duration = Duration::from_millis(300);
/// How long it waits when a server has sent it elsewhere.
pub const PAUSE: Duration = Duration::from_millis(10);

/// A client's wish, and whom to ask.
#[derive(Debug)]
pub struct Session {
    servers: Vec<Pid>,
    server: usize,
    serial: u64,
    wish: Option<Command>,
}

impl Session {
    /// A session whose wishes have serial numbers above `serial`, which must be higher than all that
    /// an earlier session of the same PID used.
    pub fn new(servers: Vec<Pid>, serial: u64) -> Self {
        Self { servers, server: 0, serial, wish: None }
    }

    /// Wants to write a value, or to read. What was wanted before does not matter any more.
    pub fn begin(&mut self, me: &Pid, write: Option<u64>) {
        self.serial += 1;
        self.wish = Some(Command { client: me.to_string(), serial: self.serial, write });
    }

    /// What to ask, and whom.
    pub fn question(&self) -> Option<(&Pid, &Command)> {
        Some((self.servers.get(self.server)?, self.wish.as_ref()?))
    }

    /// No answer came: the next server is to be asked.
    pub fn turn(&mut self) {
        self.server = (self.server + 1) % self.servers.len().max(1);
    }

    /// A server does not lead; true when it is the wish of now that it does not answer.
    pub fn redirected(&mut self, redirect: &Redirect) -> bool {
        let concerned = self.waits_for(redirect.serial);
        if concerned {
            let leader = redirect.leader.as_ref().and_then(|pid| pid.parse::<Pid>().ok());
            match self.servers.iter().position(|server| Some(server) == leader.as_ref()) {
                Some(server) => self.server = server,
                None => self.turn(),
            }
        }
        concerned
    }

    /// An answer came; true when it is the one that is waited for, which ends the wish.
    pub fn answered(&mut self, answer: &Answer) -> bool {
        let concerned = self.waits_for(answer.serial);
        if concerned {
            self.wish = None;
        }
        concerned
    }

    /// Messages may be late, or come twice.
    fn waits_for(&self, serial: u64) -> bool {
        self.wish.as_ref().is_some_and(|wish| wish.serial == serial)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn session_asks_the_leader_that_it_is_told_and_else_one_after_the_other() {
        let server = |number: u8| format!("raft@10.0.0.{number}:1").parse::<Pid>().unwrap();
        let mut session = Session::new((1..=3).map(server).collect(), 7);
        session.begin(&server(9), Some(5));
        let asked = |session: &Session| session.question().map(|(to, _)| to.clone());
        assert_eq!(asked(&session), Some(server(1)));
        let leader = |number| Some(server(number).to_string());
        assert!(session.redirected(&Redirect { serial: 8, leader: leader(3) }));
        assert_eq!(asked(&session), Some(server(3)));
        assert!(!session.redirected(&Redirect { serial: 7, leader: leader(2) }));
        assert!(session.redirected(&Redirect { serial: 8, leader: None }));
        assert_eq!(asked(&session), Some(server(1)));
        assert!(!session.answered(&Answer { serial: 7, value: 1 }));
        assert!(session.answered(&Answer { serial: 8, value: 5 }));
        assert!(!session.answered(&Answer { serial: 8, value: 5 }));
        assert_eq!(asked(&session), None);
    }
}
