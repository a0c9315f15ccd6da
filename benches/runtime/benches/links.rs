//! Claim: 100,000 links to 1,000 addresses take 1,000 sockets, and all linkers learn of the peers'
//! end within a second.
//!
//! The addresses are loopback addresses on one port, served by one bare listener, which drops all
//! connections at once.

use std::net::{Ipv4Addr, SocketAddrV4};

use futures::channel::oneshot;
use libprocess::{Ctx, Pid, Process, Routes, real};
use runtime_benches::{Instant, Outcome, report};
use tokio::net::TcpListener;

const ADDRESSES: usize = 1_000;
const LINKERS: usize = 100;

struct Linker {
    peers: Vec<Pid>,
    left: usize,
    done: Option<oneshot::Sender<()>>,
}

impl Process for Linker {
    fn routes(_: &mut Routes<Self>) {}

    fn initialize(&mut self, cx: &mut Ctx<Self>) {
        self.peers.iter().for_each(|peer| cx.link(peer));
    }

    fn exited(&mut self, _: &Pid, _: &mut Ctx<Self>) {
        self.left -= 1;
        if self.left == 0 {
            drop(self.done.take());
        }
    }
}

fn peer(number: usize, port: u16) -> SocketAddrV4 {
    let ip = Ipv4Addr::from(u32::from(Ipv4Addr::new(127, 1, 0, 1)) + number as u32);
    SocketAddrV4::new(ip, port)
}

fn main() -> Outcome<()> {
    println!("{} links to {ADDRESSES} addresses", LINKERS * ADDRESSES);
    real::run(async {
        let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).await?;
        let port = listener.local_addr()?.port();
        let node = runtime_benches::loopback(1).await?;
        let peers: Vec<_> = (0..ADDRESSES).map(|n| Pid::new("peer", peer(n, port))).collect();
        let mut ends = Vec::new();
        let start = Instant::now();
        for _ in 0..LINKERS {
            let (done, end) = oneshot::channel();
            let (peers, left) = (peers.clone(), peers.len());
            node.spawn_numbered("linker", Linker { peers, left, done: Some(done) });
            ends.push(end);
        }
        let mut sockets = Vec::new();
        while sockets.len() < ADDRESSES {
            sockets.push(listener.accept().await?.0);
        }
        report("linked", start.elapsed().as_secs_f64(), "s");
        let more = async {
            loop {
                sockets.push(listener.accept().await?.0)
            }
        };
        let more: Result<Outcome<()>, _> =
            tokio::time::timeout(std::time::Duration::from_millis(300), more).await;
        drop(more);
        report("sockets", sockets.len() as f64, "");
        let start = Instant::now();
        drop(sockets);
        drop(listener);
        for end in ends {
            let _ = end.await;
        }
        report("all told of the end", start.elapsed().as_secs_f64(), "s");
        node.close();
        Ok(())
    })
}
