//! How masters are named: `host:port`, `master@host:port`, `zk://…/path`, `file:///path`.

use std::net::{Ipv4Addr, SocketAddr, ToSocketAddrs};
use std::str::FromStr;

use libprocess::Pid;

/// A master's name on a command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MasterUrl {
    /// One master, without election.
    Standalone(Pid),
    /// A ZooKeeper ensemble and the group's path in it.
    ZooKeeper(String),
}

/// A text names no master.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// Nothing of the known forms.
    #[error("'{0}' names no master: expected host:port, master@host:port or zk://hosts/path")]
    Form(String),
    /// The host cannot be found.
    #[error("cannot find an IPv4 address for master '{0}'")]
    Unresolved(String),
    /// The group's path is missing or `/`.
    #[error("'{0}' needs a path other than '/'")]
    Path(String),
}

impl FromStr for MasterUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        let text = text.trim();
        if let Some(rest) = text.strip_prefix("zk://") {
            return match rest.split_once('/') {
                Some((hosts, path)) if !hosts.is_empty() && !path.is_empty() => {
                    Ok(Self::ZooKeeper(text.to_owned()))
                }
                _ => Err(UrlError::Path(text.to_owned())),
            };
        }
        let form = || UrlError::Form(text.to_owned());
        let address = text.strip_prefix("master@").unwrap_or(text);
        let (host, port) = address.rsplit_once(':').ok_or_else(form)?;
        let port: u16 = port.parse().map_err(|_| form())?;
        if host.is_empty() || port == 0 || host.contains(['/', '@', ' ']) {
            return Err(form());
        }
        let ip = match host.parse::<Ipv4Addr>() {
            Ok(ip) => ip,
            Err(_) => resolve(host).ok_or_else(|| UrlError::Unresolved(text.to_owned()))?,
        };
        Ok(Self::Standalone(Pid::new("master", std::net::SocketAddrV4::new(ip, port))))
    }
}

fn resolve(host: &str) -> Option<Ipv4Addr> {
    (host, 0).to_socket_addrs().ok()?.find_map(|address| match address {
        SocketAddr::V4(v4) => Some(*v4.ip()),
        SocketAddr::V6(_) => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn url_forms_are_told_apart() {
        let master = MasterUrl::Standalone("master@127.0.0.1:5050".parse().unwrap());
        assert_eq!("127.0.0.1:5050".parse(), Ok(master.clone()));
        assert_eq!("master@127.0.0.1:5050".parse(), Ok(master));
        let zookeeper = "zk://a:1,b:2/mesos";
        assert_eq!(zookeeper.parse(), Ok(MasterUrl::ZooKeeper(zookeeper.into())));
        for bad in
            ["", "host", ":5050", "1.2.3.4:", "1.2.3.4:99999", "http://x:1/", "zk://h", "zk://h/"]
        {
            assert!(bad.parse::<MasterUrl>().is_err(), "{bad}");
        }
    }
}
