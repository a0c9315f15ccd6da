//! The real driver: actix hosts processes, tokio drives sockets and timers.
//!
//! [`run`] starts the actor system and drives a future to its end; inside it [`start`] makes nodes,
//! each with a thread, a listening socket and an address of its own.

mod connection;
mod decoder;
mod disk;
mod driver;
mod host;
mod outbound;
mod subprocess;
mod timers;
mod web;
mod wire;

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::rc::Rc;
use std::sync::Arc;

use futures::channel::oneshot;
use tokio::net::TcpListener;

use crate::{Node, NodeConfig};
use driver::{Clock, RealDriver};

/// Connections that wait to be accepted.
const BACKLOG: i32 = 4096;

/// Where a node listens and what it tells others of itself.
#[derive(Clone)]
pub struct Config {
    /// Bind address; `0.0.0.0` listens on all and advertises the host name's address.
    pub ip: Ipv4Addr,
    /// Port; 0 takes any free one.
    pub port: u16,
    /// The ip that PIDs carry instead of the bound one.
    pub advertise_ip: Option<Ipv4Addr>,
    /// The port that PIDs carry instead of the bound one.
    pub advertise_port: Option<u16>,
    /// Refuse messages whose sender's ip is not the socket's peer
    /// (`LIBPROCESS_REQUIRE_PEER_ADDRESS_IP_MATCH`).
    pub require_peer_match: bool,
    /// The rest.
    pub node: NodeConfig,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            ip: Ipv4Addr::UNSPECIFIED,
            port: 0,
            advertise_ip: None,
            advertise_port: None,
            require_peer_match: false,
            node: NodeConfig::default(),
        }
    }
}

/// A node could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Bind {
        /// The address.
        address: SocketAddrV4,
        /// Why not.
        source: std::io::Error,
    },
    /// The host's name has no IPv4 address to advertise.
    #[error("cannot find an IPv4 address for this host ({0}): give an ip to bind or to advertise")]
    NoAddress(String),
    /// An environment variable has a value out of range.
    #[error("{name}='{value}' is not valid: {expected}")]
    Environment {
        /// The variable.
        name: String,
        /// Its value.
        value: String,
        /// What would be valid.
        expected: &'static str,
    },
    /// A thread, or the web application on it, could not be started.
    #[error("cannot start the node's thread: {0}")]
    Thread(String),
}

impl Config {
    /// Takes `LIBPROCESS_IP`, `_PORT`, `_ADVERTISE_IP`, `_ADVERTISE_PORT` and
    /// `_REQUIRE_PEER_ADDRESS_IP_MATCH` over what is set so far.
    ///
    /// # Errors
    /// [`StartError::Environment`] for a value out of range.
    pub fn from_env(mut self, lookup: impl Fn(&str) -> Option<String>) -> Result<Self, StartError> {
        fn read<T: std::str::FromStr>(
            lookup: &impl Fn(&str) -> Option<String>,
            name: &str,
            expected: &'static str,
        ) -> Result<Option<T>, StartError> {
            let name = format!("LIBPROCESS_{name}");
            let Some(value) = lookup(&name) else {
                return Ok(None);
            };
            match value.parse() {
                Ok(parsed) => Ok(Some(parsed)),
                Err(_) => Err(StartError::Environment { name, value, expected }),
            }
        }
        self.ip = read(&lookup, "IP", "an IPv4 address")?.unwrap_or(self.ip);
        self.port = read(&lookup, "PORT", "a port in 0..65535")?.unwrap_or(self.port);
        let ip = read(&lookup, "ADVERTISE_IP", "an IPv4 address")?;
        self.advertise_ip = ip.or(self.advertise_ip);
        let port: Option<std::num::NonZeroU16> =
            read(&lookup, "ADVERTISE_PORT", "a port in 1..65535")?;
        self.advertise_port = port.map(Into::into).or(self.advertise_port);
        let matched = read(&lookup, "REQUIRE_PEER_ADDRESS_IP_MATCH", "true or false")?;
        self.require_peer_match = matched.unwrap_or(self.require_peer_match);
        Ok(self)
    }
}

/// Starts the actor system on this thread and drives `main` to its end.
pub fn run<T>(main: impl Future<Output = T>) -> T {
    actix_rt::System::new().block_on(main)
}

/// The environment without `LIBPROCESS_IP` and `LIBPROCESS_PORT`: for daemons whose flags decide where
/// to listen.
pub fn environment_but_bind(name: &str) -> Option<String> {
    let bind = ["LIBPROCESS_IP", "LIBPROCESS_PORT"].contains(&name);
    if bind { None } else { std::env::var(name).ok() }
}

/// This host's own name.
pub fn host_name() -> String {
    nix::unistd::gethostname().unwrap_or_default().to_string_lossy().into_owned()
}

/// Waits for SIGINT or SIGTERM and names it. Must be called inside [`run`].
pub async fn stop_signal() -> &'static str {
    use tokio::signal::unix::{SignalKind, signal};
    // Without a handler the signal ends the OS process by itself.
    let (Ok(mut interrupt), Ok(mut terminate)) =
        (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => "SIGINT",
        _ = terminate.recv() => "SIGTERM",
    }
}

/// Starts a node: binds, then serves on a thread of its own. Must be called inside [`run`].
///
/// # Errors
/// [`StartError`] when the address cannot be bound or found.
pub async fn start(config: Config) -> Result<Node, StartError> {
    let (listener, advertised) = bind(&config)?;
    let node = Node::new(advertised, config.node.clone());
    let arbiter = actix_rt::Arbiter::new();
    let timers = Arc::new(timers::Timers::default());
    let disk = disk::RealDisk::start().map_err(|error| StartError::Thread(error.to_string()))?;
    let driver = RealDriver {
        arbiter: arbiter.handle(),
        clock: Clock::start(),
        timers: timers.clone(),
        outbound: outbound::Outbound::new(&node, arbiter.handle()),
        disk: Arc::new(disk),
        subprocesses: Arc::new(subprocess::RealSubprocesses { arbiter: arbiter.handle() }),
    };
    node.start(Arc::new(driver));
    let (sender, receiver) = oneshot::channel();
    let (served, require_peer_match) = (node.clone(), config.require_peer_match);
    arbiter.spawn_fn(move || {
        actix_rt::spawn(async move { timers.run().await });
        actix_rt::spawn(async move {
            let _ = match prepare(listener, served, require_peer_match).await {
                Ok((listener, shared)) => {
                    actix_rt::spawn(accept(listener, shared));
                    sender.send(Ok(()))
                }
                Err(reason) => sender.send(Err(reason)),
            };
        });
    });
    let outcome = receiver.await.unwrap_or_else(|_| Err("the thread ended".to_owned()));
    outcome.map_err(StartError::Thread)?;
    Ok(node)
}

fn bind(config: &Config) -> Result<(std::net::TcpListener, SocketAddrV4), StartError> {
    let address = SocketAddrV4::new(config.ip, config.port);
    let failed = |source| StartError::Bind { address, source };
    let socket = tokio::net::TcpSocket::new_v4().map_err(failed)?;
    socket.set_reuseaddr(true).map_err(failed)?;
    socket.bind(SocketAddr::V4(address)).map_err(failed)?;
    let listener = socket.listen(BACKLOG as u32).and_then(TcpListener::into_std).map_err(failed)?;
    let port = listener.local_addr().map_err(failed)?.port();
    let ip = match config.advertise_ip {
        Some(ip) => ip,
        None if config.ip.is_unspecified() => own_address()?,
        None => config.ip,
    };
    Ok((listener, SocketAddrV4::new(ip, config.advertise_port.unwrap_or(port))))
}

/// The IPv4 address that this host's name resolves to.
fn own_address() -> Result<Ipv4Addr, StartError> {
    use std::net::ToSocketAddrs;
    let name = host_name();
    let found = (name.as_str(), 0).to_socket_addrs().ok().and_then(|mut addresses| {
        addresses.find_map(|address| match address {
            SocketAddr::V4(v4) => Some(*v4.ip()),
            SocketAddr::V6(_) => None,
        })
    });
    found.ok_or(StartError::NoAddress(name))
}

async fn prepare(
    listener: std::net::TcpListener,
    node: Node,
    require_peer_match: bool,
) -> Result<(TcpListener, Rc<connection::Shared>), String> {
    let listener = TcpListener::from_std(listener).map_err(|error| error.to_string())?;
    let web = web::WebApp::new(node.clone()).await?;
    Ok((listener, Rc::new(connection::Shared { node, web, require_peer_match })))
}

async fn accept(listener: TcpListener, shared: Rc<connection::Shared>) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                actix_rt::spawn(connection::serve(stream, peer, shared.clone()));
            }
            Err(error) => {
                // Out of descriptors, most likely: wait for some to be given back.
                slog::error!(shared.node.log(), "cannot accept a connection"; "reason" => %error);
                shared.node.sleep(std::time::Duration::from_millis(100)).await;
            }
        }
    }
}
