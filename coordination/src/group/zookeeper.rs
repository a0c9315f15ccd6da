//! Sessions with ZooKeeper.
//!
//! Each session has a client of its own on a thread of its own, whose end takes all of it along:
//! the client has no way to stop while it is looking for a server. Credentials are sent again on
//! each connection, which the client does not do by itself.

use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use libprocess::Node;
use tokio::sync::{mpsc, oneshot};
use zookeeper_async::{
    Acl, CreateMode, WatchedEvent, WatchedEventType, ZkError, ZkState, ZooKeeper,
};

use super::session::{Connect, Events, Session, SessionError, SessionEvent, SessionFuture};
use crate::url::ZkUrl;

/// Between attempts to reach a server: without a pause the client would not rest.
const RETRY: Duration = Duration::from_millis(200);
/// How long a session that is closed may take to say so.
const FAREWELL: Duration = Duration::from_millis(500);

/// Makes sessions with a ZooKeeper ensemble.
#[derive(Debug, Clone)]
pub struct ZooKeeperConnect {
    url: ZkUrl,
}

impl ZooKeeperConnect {
    /// For the group that a URL names.
    pub fn new(url: ZkUrl) -> Self {
        Self { url }
    }
}

type Shared = Arc<dyn Fn(SessionEvent) + Send + Sync>;

impl Connect for ZooKeeperConnect {
    fn connect(
        &self,
        node: &Node,
        timeout: Duration,
        attempt: u64,
        events: Events,
    ) -> Arc<dyn Session> {
        let (sender, commands) = mpsc::unbounded_channel();
        let (url, log) = (self.url.clone(), node.log().clone());
        let shift =
            usize::try_from(attempt).unwrap_or(0) + usize::from(node.random_uuid().as_bytes()[0]);
        let events: Shared = Arc::from(events);
        let run = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            match runtime {
                Ok(runtime) => {
                    runtime.block_on(serve(&url, timeout, shift, &events, commands, &log));
                    // Whatever the client still does ends here.
                    runtime.shutdown_background();
                }
                Err(error) => slog::error!(log, "cannot start a ZooKeeper client: {error}"),
            }
        };
        let name = "zookeeper".to_owned();
        if let Err(error) = std::thread::Builder::new().name(name).spawn(run) {
            slog::error!(node.log(), "cannot start a ZooKeeper client: {error}");
        }
        Arc::new(ZooKeeperSession { commands: sender, url: self.url.clone() })
    }

    fn name(&self) -> String {
        self.url.to_string()
    }
}

/// Something to do with a client.
type Work = Box<dyn FnOnce(Arc<ZooKeeper>) -> BoxFuture<'static, ()> + Send>;
/// Work, or None to end the session.
type Commands = mpsc::UnboundedReceiver<Option<Work>>;

/// The servers' addresses, in an order that differs from session to session.
fn addresses(url: &ZkUrl, shift: usize, log: &slog::Logger) -> Vec<SocketAddr> {
    let mut addresses = Vec::new();
    for server in &url.servers {
        match server.to_socket_addrs() {
            Ok(found) => addresses.extend(found),
            Err(error) => slog::warn!(log, "cannot find ZooKeeper server '{server}': {error}"),
        }
    }
    addresses.sort_unstable();
    addresses.dedup();
    if !addresses.is_empty() {
        let shift = shift % addresses.len();
        addresses.rotate_left(shift);
    }
    addresses
}

/// Serves one session until it is closed.
async fn serve(
    url: &ZkUrl,
    timeout: Duration,
    shift: usize,
    events: &Shared,
    mut commands: Commands,
    log: &slog::Logger,
) {
    let connected = connect(url, timeout, shift, events, log);
    let (client, mut states) = tokio::select! {
        connected = connected => match connected {
            Some(connected) => connected,
            // Whoever asked finds the session silent, and asks for another.
            None => return wait_for_end(&mut commands).await,
        },
        () = wait_for_end(&mut commands) => return,
    };
    loop {
        tokio::select! {
            biased;
            state = states.recv() => match state {
                Some(ZkState::Connected) => {
                    let (client, auth, events) = (client.clone(), url.auth.clone(), events.clone());
                    tokio::spawn(async move {
                        match authenticate(&client, auth).await {
                            Ok(()) => events(SessionEvent::Connected),
                            // The connection is gone already, or refused: the next one may do.
                            Err(_) => events(SessionEvent::Disconnected),
                        }
                    });
                }
                Some(ZkState::Connecting | ZkState::ConnectedReadOnly) => {
                    events(SessionEvent::Disconnected);
                }
                // The client says so of a session that the server does not know any more; it
                // would go on with a new one.
                Some(_) | None => {
                    events(SessionEvent::Expired);
                    return wait_for_end(&mut commands).await;
                }
            },
            command = commands.recv() => match command {
                Some(Some(work)) => _ = tokio::spawn(work(client.clone())),
                Some(None) | None => {
                    // A server that does not answer finds out by itself.
                    let _ = tokio::time::timeout(FAREWELL, client.close()).await;
                    return;
                }
            },
        }
    }
}

/// Refuses all requests (by dropping them) until the session is closed.
async fn wait_for_end(commands: &mut Commands) {
    while let Some(Some(work)) = commands.recv().await {
        drop(work);
    }
}

type Connected = (Arc<ZooKeeper>, mpsc::UnboundedReceiver<ZkState>);

async fn connect(
    url: &ZkUrl,
    timeout: Duration,
    shift: usize,
    events: &Shared,
    log: &slog::Logger,
) -> Option<Connected> {
    let servers: Vec<String> =
        addresses(url, shift, log).iter().map(SocketAddr::to_string).collect();
    if servers.is_empty() {
        return None;
    }
    let watch = events.clone();
    let watcher = move |event: WatchedEvent| {
        if event.event_type == WatchedEventType::NodeChildrenChanged {
            watch(SessionEvent::Changed);
        }
    };
    let servers = servers.join(",");
    let client = ZooKeeper::connect_with_retry_time(&servers, timeout, watcher, RETRY).await;
    match client {
        Ok(client) => {
            let (sender, states) = mpsc::unbounded_channel();
            // On this one thread nothing has happened since the client was made.
            client.add_listener(move |state| _ = sender.send(state));
            Some((Arc::new(client), states))
        }
        Err(error) => {
            slog::warn!(log, "cannot connect to {url}: {error}");
            None
        }
    }
}

async fn authenticate(client: &ZooKeeper, auth: Option<(String, String)>) -> Result<(), ZkError> {
    match auth {
        Some((user, password)) => {
            client.add_auth("digest", format!("{user}:{password}").into_bytes()).await
        }
        None => Ok(()),
    }
}

fn failed(error: ZkError) -> SessionError {
    match error {
        ZkError::ConnectionLoss | ZkError::OperationTimeout | ZkError::SessionMoved => {
            SessionError::Disconnected
        }
        ZkError::SessionExpired => SessionError::Expired,
        other => SessionError::Refused(other.to_string()),
    }
}

struct ZooKeeperSession {
    commands: mpsc::UnboundedSender<Option<Work>>,
    url: ZkUrl,
}

impl ZooKeeperSession {
    fn ask<T, F>(&self, work: impl FnOnce(Arc<ZooKeeper>) -> F + Send + 'static) -> SessionFuture<T>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, ZkError>> + Send + 'static,
    {
        let (sender, receiver) = oneshot::channel();
        let command: Work = Box::new(move |client| {
            let working = work(client);
            Box::pin(async move {
                // Who asked may be gone.
                let _ = sender.send(working.await);
            })
        });
        // A client that is gone drops the command, and its answer with it.
        let _ = self.commands.send(Some(command));
        Box::pin(
            async move { receiver.await.map_err(|_| SessionError::Disconnected)?.map_err(failed) },
        )
    }

    fn child(&self, name: &str) -> String {
        format!("{}/{name}", self.url.path)
    }

    fn acl(&self) -> Vec<Acl> {
        match self.url.auth {
            Some(_) => Acl::creator_all().clone(),
            None => Acl::open_unsafe().clone(),
        }
    }
}

/// Makes a znode and its parents, where they are missing.
async fn make(client: &ZooKeeper, path: &str, acl: &[Acl]) -> Result<(), ZkError> {
    let ends = path.match_indices('/').map(|(at, _)| at).skip(1).chain([path.len()]);
    for end in ends {
        let made =
            client.create(&path[..end], Vec::new(), acl.to_vec(), CreateMode::Persistent).await;
        match made {
            Ok(_) | Err(ZkError::NodeExists) => {}
            // Parents that exist need not be ours to write to.
            Err(ZkError::NoAuth) if end < path.len() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Makes a child with the next number as its name. The client refuses to name the parent alone, as
/// the server would want it for that; so the number is worked out as the server does it, from how
/// many children there ever were.
async fn create_numbered(
    client: &ZooKeeper,
    group: &str,
    data: &Bytes,
    acl: &[Acl],
) -> Result<String, ZkError> {
    let mut least = 0;
    loop {
        let stat = client.exists(group, false).await?.ok_or(ZkError::NoNode)?;
        // Changes are creations and removals, and what was created and not removed is there.
        let created = (i64::from(stat.cversion) + i64::from(stat.num_children)) / 2;
        let number = created.max(least);
        let path = format!("{group}/{number:010}");
        match client.create(&path, data.to_vec(), acl.to_vec(), CreateMode::Ephemeral).await {
            // Somebody was faster.
            Err(ZkError::NodeExists) => least = number + 1,
            created => return created,
        }
    }
}

impl Session for ZooKeeperSession {
    fn create(&self, prefix: String, data: Bytes) -> SessionFuture<String> {
        let (path, acl, group) = (self.child(&prefix), self.acl(), self.url.path.clone());
        self.ask(move |client| async move {
            let create = || async {
                if prefix.is_empty() {
                    return create_numbered(&client, &group, &data, &acl).await;
                }
                let mode = CreateMode::EphemeralSequential;
                client.create(&path, data.to_vec(), acl.clone(), mode).await
            };
            let created = match create().await {
                Err(ZkError::NoNode) => {
                    make(&client, &group, &acl).await?;
                    create().await
                }
                created => created,
            };
            created.map(|path| path.rsplit('/').next().unwrap_or_default().to_owned())
        })
    }

    fn delete(&self, name: String, version: Option<i32>) -> SessionFuture<bool> {
        let path = self.child(&name);
        self.ask(move |client| async move {
            match client.delete(&path, version).await {
                Ok(()) => Ok(true),
                Err(ZkError::NoNode | ZkError::BadVersion) => Ok(false),
                Err(error) => Err(error),
            }
        })
    }

    fn children(&self) -> SessionFuture<Vec<String>> {
        let (path, acl) = (self.url.path.clone(), self.acl());
        self.ask(move |client| async move {
            match client.get_children(&path, true).await {
                Err(ZkError::NoNode) => {
                    make(&client, &path, &acl).await?;
                    client.get_children(&path, true).await
                }
                children => children,
            }
        })
    }

    fn read(&self, name: String) -> SessionFuture<Option<(Bytes, i32)>> {
        let path = self.child(&name);
        self.ask(move |client| async move {
            match client.get_data(&path, false).await {
                Ok((data, stat)) => Ok(Some((data.into(), stat.version))),
                Err(ZkError::NoNode) => Ok(None),
                Err(error) => Err(error),
            }
        })
    }

    fn write(&self, name: String, data: Bytes, version: Option<i32>) -> SessionFuture<bool> {
        let (path, acl, group) = (self.child(&name), self.acl(), self.url.path.clone());
        self.ask(move |client| async move {
            let data = data.to_vec();
            if version.is_some() {
                return match client.set_data(&path, data, version).await {
                    Ok(_) => Ok(true),
                    Err(ZkError::NoNode | ZkError::BadVersion) => Ok(false),
                    Err(error) => Err(error),
                };
            }
            let create = || client.create(&path, data.clone(), acl.clone(), CreateMode::Persistent);
            let created = match create().await {
                Err(ZkError::NoNode) => {
                    make(&client, &group, &acl).await?;
                    create().await
                }
                created => created,
            };
            match created {
                Ok(_) => Ok(true),
                Err(ZkError::NodeExists) => Ok(false),
                Err(error) => Err(error),
            }
        })
    }

    fn close(&self) {
        // The thread may have ended already.
        let _ = self.commands.send(None);
    }

    fn closed(&self) -> BoxFuture<'static, ()> {
        let commands = self.commands.clone();
        Box::pin(async move { commands.closed().await })
    }
}
