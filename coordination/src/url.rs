//! How masters are named: `host:port`, `master@host:port`, `zk://…/path`, and files that hold one
//! of these.

use std::net::{Ipv4Addr, SocketAddr, ToSocketAddrs};
use std::str::FromStr;

use libprocess::Pid;

/// A master's name on a command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MasterUrl {
    /// One master, without election.
    Standalone(Pid),
    /// A ZooKeeper ensemble and the group's path in it.
    ZooKeeper(ZkUrl),
}

/// A text names no master.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// Nothing of the known forms.
    #[error(
        "'{0}' names no master: expected host:port, master@host:port or zk://host:port,.../path"
    )]
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
        if text.starts_with("zk://") {
            return Ok(Self::ZooKeeper(text.parse()?));
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

/// A group in a ZooKeeper ensemble: `zk://[user:password@]host:port[,host:port…]/path`.
#[derive(Clone, PartialEq, Eq)]
pub struct ZkUrl {
    /// The servers, as `host:port`.
    pub servers: Vec<String>,
    /// User and password of the digest scheme.
    pub auth: Option<(String, String)>,
    /// The group's znode, starting with `/`, never `/` itself.
    pub path: String,
}

impl ZkUrl {
    /// The group whose znode lies under this one's, such as `log_replicas` for a log's replicas.
    #[must_use]
    pub fn child(&self, name: &str) -> Self {
        Self { path: format!("{}/{name}", self.path), ..self.clone() }
    }
}

impl FromStr for ZkUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        let shown = || without_password(text.trim());
        let form = || UrlError::Form(shown());
        let rest = text.trim().strip_prefix("zk://").ok_or_else(form)?;
        let (auth, rest) = match rest.rsplit_once('@') {
            Some((auth, rest)) => {
                let (user, password) = auth.split_once(':').ok_or_else(form)?;
                (Some((user.to_owned(), password.to_owned())), rest)
            }
            None => (None, rest),
        };
        let (servers, path) = rest.split_once('/').ok_or_else(|| UrlError::Path(shown()))?;
        let path = path.trim_end_matches('/');
        if path.is_empty() || path.split('/').any(str::is_empty) {
            return Err(UrlError::Path(shown()));
        }
        let servers: Vec<String> = servers.split(',').map(str::to_owned).collect();
        let is_server = |server: &String| {
            let port = server.rsplit_once(':').filter(|(host, _)| !host.is_empty());
            port.is_some_and(|(_, port)| port.parse::<u16>().is_ok_and(|port| port > 0))
        };
        if !servers.iter().all(is_server) {
            return Err(form());
        }
        Ok(Self { servers, auth, path: format!("/{path}") })
    }
}

impl std::fmt::Display for ZkUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let user = self.auth.as_ref().map(|(user, _)| format!("{user}:***@")).unwrap_or_default();
        write!(f, "zk://{user}{}{}", self.servers.join(","), self.path)
    }
}

impl std::fmt::Debug for ZkUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

/// The text with what stands before an `@` after `zk://` hidden, for messages.
fn without_password(text: &str) -> String {
    match (text.strip_prefix("zk://"), text.rsplit_once('@')) {
        (Some(_), Some((_, rest))) => format!("zk://***@{rest}"),
        _ => text.to_owned(),
    }
}

/// A URL as it is given in a flag: itself, or what the file holds that `file:///path` names.
///
/// # Errors
/// When the file cannot be read.
pub fn given(text: &str) -> std::io::Result<String> {
    match text.trim().strip_prefix("file://") {
        Some(path) => Ok(std::fs::read_to_string(path)?.trim().to_owned()),
        None => Ok(text.trim().to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zk_url_names_servers_credentials_and_path_and_hides_the_password() {
        let url: ZkUrl = "zk://user:pa:ss@h1:2181,h2:2182/a/b".parse().unwrap();
        assert_eq!(url.servers, ["h1:2181", "h2:2182"]);
        assert_eq!(url.auth, Some(("user".into(), "pa:ss".into())));
        assert_eq!(url.path, "/a/b");
        assert_eq!(format!("{url} {url:?}"), "zk://user:***@h1:2181,h2:2182/a/b ".repeat(2).trim());
        let plain: ZkUrl = "zk://h1:2181/mesos/".parse().unwrap();
        assert_eq!((plain.auth, plain.path.as_str()), (None, "/mesos"));
        for bad in ["zk://h1/a", "zk://h1:0/a", "zk://:1/a", "zk://u:secret@h1:1/", "zk://u@h1:1/a"]
        {
            let error = bad.parse::<ZkUrl>().unwrap_err();
            assert!(!error.to_string().contains("secret"), "{error}");
        }
    }

    #[test]
    fn url_forms_are_told_apart() {
        let master = MasterUrl::Standalone("master@127.0.0.1:5050".parse().unwrap());
        assert_eq!("127.0.0.1:5050".parse(), Ok(master.clone()));
        assert_eq!("master@127.0.0.1:5050".parse(), Ok(master));
        let zookeeper = "zk://a:1,b:2/mesos";
        assert_eq!(zookeeper.parse(), Ok(MasterUrl::ZooKeeper(zookeeper.parse().unwrap())));
        for bad in
            ["", "host", ":5050", "1.2.3.4:", "1.2.3.4:99999", "http://x:1/", "zk://h", "zk://h/"]
        {
            assert!(bad.parse::<MasterUrl>().is_err(), "{bad}");
        }
    }
}
