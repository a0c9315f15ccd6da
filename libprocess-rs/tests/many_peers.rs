//! Ten thousand peers that do not read, and some that are dead, cost bounded memory and delay
//! nobody else. Alone in its OS process, whose memory is measured.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests")]

use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use libprocess::real::{Config, Limits, run, start};
use libprocess::{Ctx, Pid, Process, Routes};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::net::TcpSocket;

const PEERS: u32 = 10_000;
const MESSAGES: usize = 6;
const MESSAGE_BYTES: usize = 20_000;
const LIVE_MESSAGES: usize = 500;
const LIMIT: Duration = Duration::from_secs(60);
/// All queued bytes, what each peer may always have, and room for sockets and their tasks.
const MEMORY_BYTES: u64 = (64 << 20) + PEERS as u64 * (24 << 10) + (100 << 20);

#[derive(Default)]
struct Sender;

impl Process for Sender {
    fn routes(_: &mut Routes<Self>) {}
}

struct Live(Arc<AtomicUsize>);

impl Process for Live {
    fn routes(routes: &mut Routes<Self>) {
        routes.otherwise(|live, _, _| {
            live.0.fetch_add(1, Ordering::Relaxed);
        });
    }
}

fn resident_bytes() -> u64 {
    let stat = procfs::process::Process::myself().unwrap().stat().unwrap();
    stat.rss * procfs::page_size()
}

fn peer(number: u32, port: u16) -> Pid {
    let ip = Ipv4Addr::from(u32::from(Ipv4Addr::new(127, 2, 0, 1)) + number);
    Pid::new("peer", SocketAddrV4::new(ip, port))
}

/// Takes connections for ever and reads nothing.
async fn deaf_listener() -> u16 {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    socket.bind((Ipv4Addr::UNSPECIFIED, 0).into()).unwrap();
    let listener = socket.listen(4096).unwrap();
    let port = listener.local_addr().unwrap().port();
    actix_rt::spawn(async move {
        let mut held = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            held.push(stream);
        }
    });
    port
}

#[test]
fn ten_thousand_deaf_peers_cost_bounded_memory_and_delay_nobody() {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    // Two sockets for each peer that is not dead.
    let wanted = hard.max(u64::from(PEERS) * 2 - u64::from(PEERS) / 5 + 1_000);
    setrlimit(Resource::RLIMIT_NOFILE, wanted, wanted).unwrap();
    run(async {
        let limits =
            Limits { queued_bytes: 64 << 20, queued_bytes_reserved: 24 << 10, ..Limits::default() };
        let ip = Ipv4Addr::LOCALHOST;
        let node = start(Config { ip, limits, ..Config::default() }).await.unwrap();
        let other = start(Config { ip, ..Config::default() }).await.unwrap();
        let arrived = Arc::new(AtomicUsize::new(0));
        let live = other.spawn("live", Live(arrived.clone())).unwrap().pid().clone();
        let port = deaf_listener().await;
        let sender = node.spawn("sender", Sender).unwrap();
        let before = resident_bytes();
        let body = bytes::Bytes::from(vec![7; MESSAGE_BYTES]);
        for number in 0..PEERS {
            let body = body.clone();
            let flood = sender.ask(move |_, cx: &mut Ctx<Sender>| {
                // Every tenth is dead: nobody listens on port 1.
                let to = peer(number, if number % 10 == 9 { 1 } else { port });
                cx.link(&to);
                (0..MESSAGES).for_each(|_| cx.send_raw(&to, "flood".into(), body.clone()));
            });
            flood.await.unwrap();
        }
        let to = live.clone();
        sender.tell(move |_, cx| {
            (0..LIVE_MESSAGES).for_each(|_| cx.send_raw(&to, "live".into(), "x".into()));
        });
        let all = async {
            while arrived.load(Ordering::Relaxed) < LIVE_MESSAGES {
                node.sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(LIMIT, all).await.expect("the live peer is served in time");
        let grown = resident_bytes().saturating_sub(before);
        assert!(grown < MEMORY_BYTES, "{} MiB more than before", grown >> 20);
        node.close();
        other.close();
    });
}
