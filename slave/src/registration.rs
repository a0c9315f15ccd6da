//! How a slave finds and keeps its master: a small state machine without IO.

use std::time::Duration;

use libprocess::Pid;

/// Longest wait between two attempts.
const RETRY_MAX: Duration = Duration::from_secs(60);
/// Silence of the master that the slave puts up with unless the master says otherwise.
pub(crate) const DEFAULT_PING_TIMEOUT: Duration = Duration::from_secs(75);

/// Where the slave stands with its master.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Standing {
    /// What an earlier run left is being read.
    Recovering,
    /// No master, or one that has not answered yet.
    Disconnected,
    /// The master knows this slave.
    Running,
    /// The slave is on its way out.
    Terminating,
}

/// The slave's side of registration.
#[derive(Debug)]
pub(crate) struct Registration {
    pub(crate) standing: Standing,
    pub(crate) master: Option<Pid>,
    backoff: Duration,
    /// Upper bound of the next wait.
    limit: Duration,
    /// Counts attempts and pings, so that an old reminder is recognised.
    pub(crate) epoch: u64,
    pub(crate) ping_timeout: Duration,
}

impl Registration {
    pub(crate) fn new(backoff: Duration) -> Self {
        Self {
            standing: Standing::Recovering,
            master: None,
            backoff,
            limit: backoff,
            epoch: 0,
            ping_timeout: DEFAULT_PING_TIMEOUT,
        }
    }

    /// Another master leads, or none does. Returns the longest wait before the first attempt.
    pub(crate) fn detected(&mut self, master: Option<Pid>) -> Option<Duration> {
        if self.standing == Standing::Terminating {
            return None;
        }
        self.standing = Standing::Disconnected;
        self.master = master;
        self.epoch += 1;
        self.limit = self.backoff * 2;
        self.master.as_ref().map(|_| self.backoff)
    }

    /// True when the attempt numbered `epoch` is still wanted.
    pub(crate) fn wants(&self, epoch: u64) -> bool {
        self.standing == Standing::Disconnected && self.epoch == epoch && self.master.is_some()
    }

    /// An attempt was made: the longest wait before the next.
    pub(crate) fn attempted(&mut self) -> Duration {
        let wait = self.limit.min(RETRY_MAX);
        self.limit = (self.limit * 2).min(RETRY_MAX);
        wait
    }

    /// The master knows this slave.
    pub(crate) fn registered(&mut self, ping_timeout: Option<Duration>) {
        self.standing = Standing::Running;
        self.epoch += 1;
        self.ping_timeout = ping_timeout.unwrap_or(DEFAULT_PING_TIMEOUT);
    }

    /// True when the message comes from the master that this slave follows.
    pub(crate) fn is_master(&self, pid: &Pid) -> bool {
        self.master.as_ref() == Some(pid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registration_waits_double_up_to_a_minute() {
        let mut registration = Registration::new(Duration::from_secs(1));
        let master: Pid = "master@1.2.3.4:5050".parse().unwrap();
        assert_eq!(registration.detected(Some(master.clone())), Some(Duration::from_secs(1)));
        let waits: Vec<u64> = (0..8).map(|_| registration.attempted().as_secs()).collect();
        assert_eq!(waits, [2, 4, 8, 16, 32, 60, 60, 60]);
        let epoch = registration.epoch;
        assert!(registration.wants(epoch));
        registration.registered(None);
        assert!(!registration.wants(epoch));
        assert!(registration.is_master(&master));
        assert_eq!(registration.detected(None), None);
    }
}
