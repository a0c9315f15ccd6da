//! What a behaviour needs of the driver it runs on.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use libprocess::http::{Request, Response};
use libprocess::sim::World;
use libprocess::{Node, NodeConfig, real};

const LIMIT: Duration = Duration::from_secs(20);

/// A place where nodes run.
pub(crate) trait Bed {
    /// Starts a node.
    fn node(&mut self, config: NodeConfig) -> Node;
    /// Lets things happen until the future is ready.
    fn wait<T>(&mut self, future: impl Future<Output = T>) -> T;
    /// Ends a node as if its OS process had died.
    fn kill(&mut self, node: &Node);

    fn plain(&mut self) -> Node {
        self.node(NodeConfig::default())
    }

    fn get(&mut self, node: &Node, target: &str) -> Response {
        self.ask(node, Request::new("GET", target).unwrap())
    }

    fn ask(&mut self, node: &Node, request: Request) -> Response {
        self.wait(node.http(request))
    }
}

/// Sockets and threads.
pub(crate) struct Real {
    system: actix_rt::SystemRunner,
    nodes: Vec<Node>,
}

impl Real {
    pub(crate) fn new() -> Self {
        Self { system: actix_rt::System::new(), nodes: Vec::new() }
    }
}

impl Bed for Real {
    fn node(&mut self, node: NodeConfig) -> Node {
        let config = real::Config { ip: Ipv4Addr::LOCALHOST, node, ..Default::default() };
        let node = self.system.block_on(real::start(config)).unwrap();
        self.nodes.push(node.clone());
        node
    }

    fn wait<T>(&mut self, future: impl Future<Output = T>) -> T {
        let limited = async { tokio::time::timeout(LIMIT, future).await };
        self.system.block_on(limited).expect("in time")
    }

    fn kill(&mut self, node: &Node) {
        node.close();
    }
}

impl Drop for Real {
    fn drop(&mut self) {
        self.nodes.iter().for_each(Node::close);
    }
}

/// Virtual time.
pub(crate) struct Sim {
    world: World,
    nodes: u8,
}

impl Sim {
    pub(crate) fn new() -> Self {
        Self { world: World::new(7), nodes: 0 }
    }
}

impl Bed for Sim {
    fn node(&mut self, config: NodeConfig) -> Node {
        self.nodes += 1;
        let address = SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, self.nodes), 5050);
        self.world.node(address, config)
    }

    fn wait<T>(&mut self, future: impl Future<Output = T>) -> T {
        let mut future = pin!(future);
        let mut context = Context::from_waker(Waker::noop());
        let mut ready = None;
        let reached = self.world.run_until(LIMIT, |_| {
            if let Poll::Ready(value) = future.as_mut().poll(&mut context) {
                ready = Some(value);
            }
            ready.is_some()
        });
        reached.expect("in time");
        ready.expect("reached")
    }

    fn kill(&mut self, node: &Node) {
        self.world.crash(node);
    }
}

/// Something that grows and can be looked at from outside.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<std::sync::Mutex<Vec<String>>>);

impl Log {
    pub(crate) fn push(&self, line: impl Into<String>) {
        self.0.lock().unwrap().push(line.into());
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

/// One behaviour on both drivers.
macro_rules! on_both {
    ($($name:ident)*) => {
        $(mod $name {
            #[test]
            fn real() {
                super::behaviours::$name(&mut super::bed::Real::new());
            }

            #[test]
            fn simulated() {
                super::behaviours::$name(&mut super::bed::Sim::new());
            }
        })*
    };
}
pub(crate) use on_both;
