//! The real driver: actix hosts processes, tokio drives sockets and timers.
//!
//! [`run`] starts the actor system and drives a future to its end; inside it [`start`] makes nodes,
//! each with a thread, a listening socket and an address of its own.

mod body;
mod carrier;
mod connection;
mod decoder;
mod disk;
mod driver;
mod files;
mod framer;
mod head;
mod io;
mod killing;
mod limits;
mod orphans;
mod outbound;
mod processes;
mod streaming;
mod subprocess;
mod timers;
mod tls;
mod web;
mod wire;

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::rc::Rc;
use std::sync::Arc;

use futures::channel::oneshot;
use tokio::net::{TcpListener, TcpStream};

use crate::{Node, NodeConfig};
/// What fuzz targets feed; no part of the interface.
#[doc(hidden)]
pub mod fuzzing {
    use super::decoder::{Decoder, Incoming};
    use super::limits::Limits;

    /// Takes bytes apart that come in pieces of `size`: one line for each request, and whether the
    /// stream broke.
    pub fn requests(bytes: &[u8], size: usize) -> (Vec<String>, bool) {
        let limits = Limits { head_bytes: 4096, body_bytes: 4096, ..Limits::default() };
        let (mut decoder, mut seen) = (Decoder::new(limits), Vec::new());
        for piece in bytes.chunks(size.max(1)) {
            decoder.buffer.extend_from_slice(piece);
            loop {
                match decoder.next(|_| false) {
                    Ok(Some(request)) => seen.push(line(&request)),
                    Ok(None) => break,
                    Err(_) => return (seen, true),
                }
            }
        }
        (seen, false)
    }

    fn line(request: &Incoming) -> String {
        match request {
            Incoming::Message { head, body, keep_alive } => {
                format!("{} {} {} {body:?} {keep_alive}", head.from, head.id, head.name)
            }
            Incoming::Plain { request, keep_alive } => format!("{request:?} {keep_alive}"),
            Incoming::Streaming { request, .. } => format!("streaming {request:?}"),
            Incoming::Refused { status, reason, .. } => format!("{status} {reason}"),
        }
    }
}

pub use limits::Limits;
pub use tls::{TlsError, TlsSettings};

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
    /// Bounds on what peers can make the node hold.
    pub limits: Limits,
    /// TLS (`LIBPROCESS_SSL_*`); None for clear text.
    pub tls: Option<TlsSettings>,
    /// Threads that run processes, at least 1 (`LIBPROCESS_NUM_WORKER_THREADS`). Each process stays
    /// on the thread that it was given when it was spawned.
    pub threads: usize,
    /// Orphans of processes that the node starts become this process's children, and are killed with
    /// the tree that they came from. Nothing but the node may start processes then.
    pub adopt_orphans: bool,
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
            limits: Limits::default(),
            tls: None,
            threads: 1,
            adopt_orphans: false,
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
    /// TLS cannot be set up.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// A thread, or the web application on it, could not be started.
    #[error("cannot start the node's thread: {0}")]
    Thread(String),
}

impl Config {
    /// Takes `LIBPROCESS_IP`, `_PORT`, `_ADVERTISE_IP`, `_ADVERTISE_PORT`,
    /// `_REQUIRE_PEER_ADDRESS_IP_MATCH`, `_NUM_WORKER_THREADS` (1 to 1024; anything else is passed
    /// over) and `_SSL_*` over what is set so far.
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
        let threads = lookup("LIBPROCESS_NUM_WORKER_THREADS").and_then(|text| text.parse().ok());
        self.threads = threads.filter(|n| (1..=1024).contains(n)).unwrap_or(self.threads);
        self.tls = TlsSettings::from_env(lookup)?.or(self.tls);
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
    let tls = config.tls.as_ref().map(tls::Tls::new).transpose()?.map(Arc::new);
    let workers: Vec<_> = (1..config.threads.max(1)).map(|_| actix_rt::Arbiter::new()).collect();
    let hosts = [&arbiter].into_iter().chain(&workers);
    let driver = RealDriver {
        arbiter: arbiter.handle(),
        carriers: hosts.map(|thread| carrier::Carrier::start(&thread.handle())).collect(),
        next: std::sync::atomic::AtomicUsize::new(0),
        workers: workers.iter().map(actix_rt::Arbiter::handle).collect(),
        clock: Clock::start(),
        timers: timers.clone(),
        outbound: outbound::Outbound::new(&node, arbiter.handle(), config.limits, tls.clone()),
        disk: Arc::new(disk),
        subprocesses: Arc::new(subprocess::RealSubprocesses::new(
            arbiter.handle(),
            config.adopt_orphans,
        )),
    };
    node.start(Arc::new(driver));
    let (sender, receiver) = oneshot::channel();
    let served = node.clone();
    arbiter.spawn_fn(move || {
        actix_rt::spawn(async move { timers.run().await });
        actix_rt::spawn(async move {
            let _ = match prepare(listener, served, &config, tls).await {
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
    config: &Config,
    tls: Option<Arc<tls::Tls>>,
) -> Result<(TcpListener, Rc<connection::Shared>), String> {
    let listener = TcpListener::from_std(listener).map_err(|error| error.to_string())?;
    let web = web::WebApp::new(node.clone()).await?;
    let shared = connection::Shared {
        node,
        web,
        require_peer_match: config.require_peer_match,
        limits: config.limits,
        tls,
        heads: Default::default(),
        open: Default::default(),
    };
    Ok((listener, Rc::new(shared)))
}

async fn accept(listener: TcpListener, shared: Rc<connection::Shared>) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                if shared.open.get() >= shared.limits.connections {
                    slog::warn!(shared.node.log(), "connection refused: there are too many";
                        "peer" => %peer, "limit" => shared.limits.connections);
                    continue;
                }
                shared.open.set(shared.open.get() + 1);
                let shared = shared.clone();
                actix_rt::spawn(async move {
                    secure_and_serve(stream, peer, &shared).await;
                    shared.open.set(shared.open.get() - 1);
                });
            }
            Err(error) => {
                // Out of descriptors, most likely: wait for some to be given back.
                slog::error!(shared.node.log(), "cannot accept a connection"; "reason" => %error);
                shared.node.sleep(std::time::Duration::from_millis(100)).await;
            }
        }
    }
}

async fn secure_and_serve(stream: TcpStream, peer: SocketAddr, shared: &Rc<connection::Shared>) {
    let opened = async {
        shared.limits.prepare(&stream)?;
        match &shared.tls {
            None => Ok(io::Io::new(Box::new(stream))),
            Some(tls) => tls.accept(stream).await,
        }
    };
    match opened.await {
        Ok(io) => connection::serve(io, peer, shared).await,
        Err(error) => slog::info!(shared.node.log(), "connection could not be secured";
            "peer" => %peer, "reason" => %error),
    }
}
