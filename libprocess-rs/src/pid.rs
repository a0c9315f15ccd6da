//! Process identifiers: `<id>@<ip>:<port>`.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::str::FromStr;
use std::sync::Arc;

/// Names one process on one node, printed `<id>@<ip>:<port>`.
///
/// Equality and order look at id, ip and port. The id is never escaped when printed; the wire
/// carries it raw in paths and in the `Libprocess-From` header.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pid {
    id: Arc<str>,
    address: SocketAddrV4,
}

/// Why a text is no PID.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PidError {
    /// The text has no `@` between id and address.
    #[error("pid '{0}' has no '@'")]
    NoAt(String),
    /// The address has no `:` between host and port.
    #[error("pid '{0}' has no ':' after the host")]
    NoColon(String),
    /// The host is no IPv4 literal; names must be resolved before parsing.
    #[error("pid '{0}' has no IPv4 address")]
    BadHost(String),
    /// The port does not start with digits or exceeds 65535.
    #[error("pid '{0}' has no port in 0..65535")]
    BadPort(String),
}

impl Pid {
    /// A PID from its parts; `id` may be empty, which names no process.
    pub fn new(id: impl Into<Arc<str>>, address: SocketAddrV4) -> Self {
        Self { id: id.into(), address }
    }

    /// The PID that names nothing: empty id, `0.0.0.0:0`.
    pub fn empty() -> Self {
        Self::new("", SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0))
    }

    /// The name of the process on its node.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// A cheaply cloned id.
    pub(crate) fn id_arc(&self) -> &Arc<str> {
        &self.id
    }

    /// True when both share one id in memory; equal PIDs may not.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.id, &other.id) && self.address == other.address
    }

    /// Where the node can be dialled.
    pub fn address(&self) -> SocketAddrV4 {
        self.address
    }

    /// True when id, ip and port are all unset: sends and links to it do nothing.
    pub fn is_empty(&self) -> bool {
        self.id.is_empty() && self.address.ip().is_unspecified() && self.address.port() == 0
    }

    /// True when id, ip and port are all set. Not the complement of [`Pid::is_empty`]: a PID with
    /// some parts set is neither.
    pub fn is_complete(&self) -> bool {
        !self.id.is_empty() && !self.address.ip().is_unspecified() && self.address.port() != 0
    }

    /// Splits at the first `@` and then the first `:` and reads the leading digits of the port, as
    /// the wire's receivers do. `resolve` turns a host that is no IPv4 literal into an address.
    ///
    /// # Errors
    /// One [`PidError`] for each part that may be missing or out of range.
    pub fn parse_with(
        text: &str,
        resolve: impl FnOnce(&str) -> Option<Ipv4Addr>,
    ) -> Result<Self, PidError> {
        let text = text.trim();
        let (id, rest) = text.split_once('@').ok_or_else(|| PidError::NoAt(text.into()))?;
        let (host, port) = rest.split_once(':').ok_or_else(|| PidError::NoColon(text.into()))?;
        let ip = match host.parse::<Ipv4Addr>() {
            Ok(ip) => ip,
            Err(_) => resolve(host).ok_or_else(|| PidError::BadHost(text.into()))?,
        };
        let digits = port.bytes().take_while(u8::is_ascii_digit).count();
        let port = port[..digits].parse::<u16>().map_err(|_| PidError::BadPort(text.into()))?;
        Ok(Self::new(id, SocketAddrV4::new(ip, port)))
    }
}

impl FromStr for Pid {
    type Err = PidError;

    fn from_str(text: &str) -> Result<Self, PidError> {
        Self::parse_with(text, |_| None)
    }
}

impl fmt::Display for Pid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.id, self.address)
    }
}

impl fmt::Debug for Pid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Default for Pid {
    fn default() -> Self {
        Self::empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pid_printed_form_parses_back() {
        for text in
            ["master@10.0.0.1:5050", "worker(1)@127.0.0.1:5051", "@1.2.3.4:5", "a b@1.1.1.1:0"]
        {
            assert_eq!(text.parse::<Pid>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn pid_with_trailing_junk_after_the_port_is_tolerated() {
        assert_eq!("x@1.2.3.4:80junk".parse::<Pid>().unwrap().to_string(), "x@1.2.3.4:80");
    }

    #[test]
    fn pid_malformed_text_names_the_missing_part() {
        type Expected = fn(String) -> PidError;
        let cases: [(&str, Expected); 6] = [
            ("master", PidError::NoAt),
            ("master@10.0.0.1", PidError::NoColon),
            ("master@host:80", PidError::BadHost),
            ("master@::1:80", PidError::BadHost),
            ("master@1.2.3.4:", PidError::BadPort),
            ("master@1.2.3.4:70000", PidError::BadPort),
        ];
        for (text, error) in cases {
            assert_eq!(text.parse::<Pid>(), Err(error(text.into())));
        }
    }

    #[test]
    fn pid_with_some_parts_unset_is_neither_empty_nor_complete() {
        let partial: Pid = "@1.2.3.4:5".parse().unwrap();
        assert!(!partial.is_empty() && !partial.is_complete());
        assert!(Pid::empty().is_empty());
    }
}
