//! Checks of a running task: by a command, by HTTP, by a TCP connection.
//!
//! `health` decides what results of a health check mean, `probe` makes one look, `actor` lets time
//! pass between looks and reports.

mod actor;
mod health;
mod probe;

use std::time::Duration;

use protos::mesos::{self, CheckInfo, HealthCheck, check_info, health_check};

pub(super) use health::{Health, News};
pub(crate) use probe::Seen;
pub(super) use probe::run;

/// How a task is looked at.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Probe {
    /// Runs a command beside the task.
    Command(Box<mesos::CommandInfo>),
    /// Asks for a path on a port of this host.
    Http { scheme: String, port: u16, path: String, v6: bool },
    /// Connects to a port of this host.
    Tcp { port: u16, v6: bool },
}

/// How, and when, a task is looked at.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Schedule {
    pub(super) probe: Probe,
    /// Before the first look.
    pub(super) delay: Duration,
    /// From the end of one look to the next.
    pub(super) interval: Duration,
    /// How long one look may take; None for as long as it takes.
    pub(super) timeout: Option<Duration>,
}

impl Schedule {
    fn new(probe: Probe, delay: f64, interval: f64, timeout: f64) -> Self {
        let seconds = |seconds: f64| Duration::try_from_secs_f64(seconds).unwrap_or_default();
        let timeout = Some(seconds(timeout)).filter(|timeout| !timeout.is_zero());
        Self { probe, delay: seconds(delay), interval: seconds(interval), timeout }
    }

    /// Of a health check; None when it does not say how.
    pub(super) fn of_health(check: &HealthCheck) -> Option<Self> {
        let v6 = |protocol| protocol == mesos::network_info::Protocol::IPv6;
        let port = |port: u32| u16::try_from(port).ok();
        let probe = match (&check.command, &check.http, &check.tcp) {
            (Some(command), ..) if check.r#type() != health_check::Type::Http => {
                Probe::Command(Box::new(command.clone()))
            }
            (_, Some(http), _) => Probe::Http {
                scheme: http.scheme.clone().unwrap_or_else(|| "http".to_owned()),
                port: port(http.port)?,
                path: http.path.clone().unwrap_or_default(),
                v6: v6(http.protocol()),
            },
            (.., Some(tcp)) => Probe::Tcp { port: port(tcp.port)?, v6: v6(tcp.protocol()) },
            _ => return None,
        };
        let (delay, interval) = (check.delay_seconds(), check.interval_seconds());
        Some(Self::new(probe, delay, interval, check.timeout_seconds()))
    }

    /// Of a check whose results are only told; None when it does not say how.
    pub(super) fn of_check(check: &CheckInfo) -> Option<Self> {
        let port = |port: u32| u16::try_from(port).ok();
        let probe = match (&check.command, &check.http, &check.tcp) {
            (Some(command), ..) => Probe::Command(Box::new(command.command.clone())),
            (_, Some(http), _) => Probe::Http {
                scheme: "http".to_owned(),
                port: port(http.port)?,
                path: http.path.clone().unwrap_or_default(),
                v6: false,
            },
            (.., Some(tcp)) => Probe::Tcp { port: port(tcp.port)?, v6: false },
            _ => return None,
        };
        let (delay, interval) = (check.delay_seconds(), check.interval_seconds());
        Some(Self::new(probe, delay, interval, check.timeout_seconds()))
    }
}

/// A check's result on the wire; an empty one when nothing was seen.
pub(super) fn check_status(check: &CheckInfo, seen: Option<&Seen>) -> mesos::CheckStatusInfo {
    let mut status = mesos::CheckStatusInfo { r#type: check.r#type, ..Default::default() };
    match check.r#type() {
        check_info::Type::Command => {
            let exit_code = match seen {
                Some(Seen::Exited(code)) => Some(*code),
                _ => None,
            };
            status.command = Some(mesos::check_status_info::Command { exit_code });
        }
        check_info::Type::Http => {
            let status_code = match seen {
                Some(Seen::Answered(code)) => Some(u32::from(*code)),
                _ => None,
            };
            status.http = Some(mesos::check_status_info::Http { status_code });
        }
        check_info::Type::Tcp => {
            let succeeded = match seen {
                Some(Seen::Connected(succeeded)) => Some(*succeeded),
                _ => None,
            };
            status.tcp = Some(mesos::check_status_info::Tcp { succeeded });
        }
        check_info::Type::Unknown => {}
    }
    status
}
