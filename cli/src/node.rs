//! The node of a tool: it has to be reached by those that the tool asks.

use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::time::Duration;

use coordination::url::MasterUrl;
use libprocess::{Node, NodeConfig, real};

/// Of sessions with ZooKeeper: the original's default.
pub const SESSION: Duration = Duration::from_secs(10);

/// The address of this host from which `server` (`host:port`) is reached; None when there is no way
/// to it. Nothing is sent.
fn towards(server: &str) -> Option<Ipv4Addr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    socket.connect(server).ok()?;
    match socket.local_addr().ok()?.ip() {
        IpAddr::V4(ip) => Some(ip),
        IpAddr::V6(_) => None,
    }
}

/// A node that can be reached from where `servers` are. `LIBPROCESS_*` variables have the last word.
///
/// # Errors
/// When there is no such address, or no port.
pub async fn reached_from(servers: &[String], log: slog::Logger) -> Result<Node, real::StartError> {
    let ip = servers.iter().find_map(|server| towards(server)).unwrap_or(Ipv4Addr::UNSPECIFIED);
    let node = NodeConfig { schema: protos::required::schema_check, log, ..NodeConfig::default() };
    let config = real::Config { ip, node, ..real::Config::default() };
    real::start(config.from_env(|name| std::env::var(name).ok())?).await
}

/// A node that a master can reach, or all masters of an ensemble.
///
/// # Errors
/// As [`reached_from`].
pub async fn client(master: &MasterUrl, log: slog::Logger) -> Result<Node, real::StartError> {
    match master {
        MasterUrl::Standalone(pid) => reached_from(&[pid.address().to_string()], log).await,
        MasterUrl::ZooKeeper(url) => reached_from(&url.servers, log).await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn address_towards_the_loopback_is_on_it() {
        assert_eq!(towards("127.0.0.1:5050"), Some(Ipv4Addr::LOCALHOST));
        assert_eq!(towards("no such host:1"), None);
    }
}
