//! The real driver over loopback: framing on the wire, links, HTTP.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests")]

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::channel::oneshot;
use libprocess::http::{Answer, Request, Response};
use libprocess::real::{Config, run, start};
use libprocess::{Ctx, Envelope, Help, Node, Pid, Process, Routes};

const LIMIT: Duration = Duration::from_secs(20);

/// Takes any message and reports it; answers pings; reports exited links.
#[derive(Default)]
struct Probe {
    waiting: Vec<(String, oneshot::Sender<Envelope>)>,
    arrived: Vec<Envelope>,
}

impl Process for Probe {
    fn routes(routes: &mut Routes<Self>) {
        routes
            .otherwise(Self::message)
            .get("/now", Help::new("Answers at once", ""), Self::now)
            .get("/later", Help::new("Answers after a while", ""), Self::later);
    }

    fn exited(&mut self, pid: &Pid, cx: &mut Ctx<Self>) {
        let name = "exited";
        let to = cx.pid().clone();
        let envelope = Envelope { from: pid.clone(), to, name: name.into(), body: "".into() };
        self.message(envelope, cx);
    }
}

impl Probe {
    fn message(&mut self, envelope: Envelope, cx: &mut Ctx<Self>) {
        if envelope.name == "test.Ping" {
            cx.send_raw(&envelope.from, "test.Pong".into(), envelope.body.clone());
        }
        match self.waiting.iter().position(|(name, _)| *name == envelope.name) {
            Some(at) => {
                let _ = self.waiting.remove(at).1.send(envelope);
            }
            None => self.arrived.push(envelope),
        }
    }

    fn expect(&mut self, name: &str, sender: oneshot::Sender<Envelope>) {
        match self.arrived.iter().position(|envelope| envelope.name == name) {
            Some(at) => {
                let _ = sender.send(self.arrived.remove(at));
            }
            None => self.waiting.push((name.to_owned(), sender)),
        }
    }

    fn now(&mut self, _: Request, _: &mut Ctx<Self>) -> Response {
        Response::ok("text/plain", "now")
    }

    fn later(&mut self, _: Request, cx: &mut Ctx<Self>) -> Answer {
        let pause = cx.sleep(Duration::from_millis(30));
        Answer::later(async move {
            pause.await;
            Response::ok("text/plain", "x".repeat(2000))
        })
    }
}

async fn loopback() -> Node {
    let mut config = Config { ip: Ipv4Addr::LOCALHOST, ..Config::default() };
    config.node.delegate = Some("probe".into());
    start(config).await.unwrap()
}

async fn arrival(probe: &libprocess::Handle<Probe>, name: &'static str) -> Envelope {
    let (sender, receiver) = oneshot::channel();
    probe.tell(move |probe, _| probe.expect(name, sender));
    tokio::time::timeout(LIMIT, receiver).await.expect("message in time").unwrap()
}

/// Sends raw bytes from a thread of its own and returns what came back until `enough`.
async fn exchange(to: SocketAddrV4, bytes: Vec<u8>, enough: fn(&str) -> bool) -> String {
    tokio::task::spawn_blocking(move || {
        let mut stream = TcpStream::connect(to).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        // The peer may close while we still write.
        let _ = stream.write_all(&bytes);
        let mut seen = Vec::new();
        let mut buffer = [0; 4096];
        while !enough(&String::from_utf8_lossy(&seen)) {
            match stream.read(&mut buffer) {
                Ok(0) | Err(_) => break,
                Ok(read) => seen.extend_from_slice(&buffer[..read]),
            }
        }
        String::from_utf8_lossy(&seen).into_owned()
    })
    .await
    .unwrap()
}

fn statuses(seen: &str) -> Vec<&str> {
    seen.match_indices("HTTP/1.1 ").map(|(at, _)| &seen[at + 9..at + 12]).collect()
}

#[test]
fn nodes_exchange_messages_both_ways() {
    run(async {
        let (a, b) = (loopback().await, loopback().await);
        let probe_a = a.spawn("probe", Probe::default()).unwrap();
        let probe_b = b.spawn("probe", Probe::default()).unwrap();
        let to = probe_b.pid().clone();
        probe_a.tell(move |_, cx| cx.send_raw(&to, "test.Ping".into(), "payload".into()));
        let pong = arrival(&probe_a, "test.Pong").await;
        assert_eq!(pong.body.as_ref(), b"payload");
        assert_eq!(&pong.from, probe_b.pid());
    });
}

#[test]
fn messages_on_one_connection_arrive_in_order() {
    run(async {
        let (a, b) = (loopback().await, loopback().await);
        let sender = a.spawn("probe", Probe::default()).unwrap();
        let receiver = b.spawn("probe", Probe::default()).unwrap();
        let to = receiver.pid().clone();
        sender.tell(move |_, cx| {
            cx.link(&to);
            for number in 0..10_000_u32 {
                cx.send_raw(&to, "test.Count".into(), number.to_string().into());
            }
            cx.send_raw(&to, "test.End".into(), bytes::Bytes::new());
        });
        arrival(&receiver, "test.End").await;
        let order = receiver.ask(|probe, _| std::mem::take(&mut probe.arrived)).await.unwrap();
        let numbers: Vec<u32> =
            order.iter().map(|e| String::from_utf8_lossy(&e.body).parse().unwrap()).collect();
        assert_eq!(numbers, (0..10_000).collect::<Vec<_>>());
    });
}

#[test]
fn link_to_node_that_closes_fires_exited_once() {
    run(async {
        let (a, b) = (loopback().await, loopback().await);
        let probe = a.spawn("probe", Probe::default()).unwrap();
        let peer = b.spawn("probe", Probe::default()).unwrap();
        let to = peer.pid().clone();
        probe.tell(move |_, cx| {
            cx.link(&to);
            cx.link(&to);
            cx.send_raw(&to, "test.Ping".into(), "".into());
        });
        arrival(&probe, "test.Pong").await;
        b.close();
        assert_eq!(&arrival(&probe, "exited").await.from, peer.pid());
        let more = probe.ask(|probe, _| probe.arrived.len()).await.unwrap();
        assert_eq!(more, 0);
    });
}

#[test]
fn link_to_dead_address_and_dead_local_process_fires_exited() {
    run(async {
        let node = loopback().await;
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let probe = node.spawn("probe", Probe::default()).unwrap();
        let nobody = Pid::new("x", SocketAddrV4::new(Ipv4Addr::LOCALHOST, free));
        let to = nobody.clone();
        probe.tell(move |_, cx| cx.link(&to));
        assert_eq!(arrival(&probe, "exited").await.from, nobody);
        let local = node.pid("absent");
        let to = local.clone();
        probe.tell(move |_, cx| cx.link(&to));
        assert_eq!(arrival(&probe, "exited").await.from, local);
    });
}

#[test]
fn process_terminated_releases_linkers_and_waiters() {
    run(async {
        let node = loopback().await;
        let watcher = node.spawn("watcher", Probe::default()).unwrap();
        let doomed = node.spawn("doomed", Probe::default()).unwrap();
        let to = doomed.pid().clone();
        watcher.ask(move |_, cx| cx.link(&to)).await.unwrap();
        node.terminate(doomed.pid(), true);
        node.wait(doomed.pid()).await;
        assert_eq!(&arrival(&watcher, "exited").await.from, doomed.pid());
        assert!(doomed.ask(|_, _| ()).await.is_err());
        assert!(node.spawn("doomed", Probe::default()).is_ok());
        assert!(node.spawn("doomed", Probe::default()).is_err());
    });
}

#[test]
fn message_replies_follow_the_protocol() {
    run(async {
        let node = loopback().await;
        let probe = node.spawn("probe", Probe::default()).unwrap();
        let requests = b"POST /probe/test.A HTTP/1.1\r\nLibprocess-From: x@127.0.0.1:9\r\n\r\n\
            POST /absent/test.A HTTP/1.1\r\nUser-Agent: libprocess/x@127.0.0.1:9\r\n\r\n\
            POST /probe/test.B HTTP/1.1\r\nLibprocess-From: garbage\r\nConnection: close\r\n\
            Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n";
        let seen = exchange(node.address(), requests.to_vec(), |_| false).await;
        assert_eq!(statuses(&seen), ["202", "404", "202"]);
        assert_eq!(arrival(&probe, "test.A").await.from.to_string(), "x@127.0.0.1:9");
        let second = arrival(&probe, "test.B").await;
        assert!(second.from.is_empty());
        assert_eq!(second.body.as_ref(), b"hi");
    });
}

#[test]
fn plain_requests_pipelined_are_answered_in_order() {
    run(async {
        let node = loopback().await;
        node.spawn("probe", Probe::default()).unwrap();
        let requests = b"GET /probe/later HTTP/1.1\r\nHost: h\r\nAccept-Encoding: gzip\r\n\r\n\
            GET /now HTTP/1.1\r\n\r\nGET /probe/../x HTTP/1.1\r\n\r\n\
            POST /now HTTP/1.1\r\nContent-Length: 1\r\n\r\nx\
            POST /probe/test.A HTTP/1.1\r\nLibprocess-From: x@127.0.0.1:9\r\n\r\n\
            GET /probe/absent HTTP/1.0\r\n\r\n";
        let seen = exchange(node.address(), requests.to_vec(), |_| false).await;
        assert_eq!(statuses(&seen), ["200", "200", "404", "405", "202", "404"]);
        assert!(seen.contains("Content-Encoding: gzip"));
    });
}

#[test]
fn noise_closes_its_connection_only() {
    run(async {
        let node = loopback().await;
        node.spawn("probe", Probe::default()).unwrap();
        let noise: Vec<u8> =
            (0..1_000_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        assert_eq!(exchange(node.address(), noise, |_| false).await, "");
        let request = b"GET /now HTTP/1.1\r\nConnection: close\r\n\r\n".to_vec();
        assert!(exchange(node.address(), request, |_| false).await.ends_with("now"));
    });
}

/// Counts what it is told.
struct Listener(u64);

impl Process for Listener {
    fn routes(_: &mut Routes<Self>) {}
}

/// Tells the listener something, and itself to go on; notes how far it was ahead at most.
struct Talker {
    to: libprocess::Handle<Listener>,
    said: u64,
    heard: Arc<AtomicU64>,
    ahead: u64,
    done: Option<oneshot::Sender<u64>>,
}

impl Process for Talker {
    fn routes(_: &mut Routes<Self>) {}

    fn initialize(&mut self, cx: &mut Ctx<Self>) {
        self.talk(cx);
    }
}

impl Talker {
    fn talk(&mut self, cx: &mut Ctx<Self>) {
        self.said += 1;
        let heard = self.heard.clone();
        self.to.tell(move |listener, _| {
            listener.0 += 1;
            heard.store(listener.0, Ordering::Relaxed);
        });
        self.ahead = self.ahead.max(self.said - self.heard.load(Ordering::Relaxed));
        if self.said < 1_000 {
            cx.later(Self::talk);
        } else if let Some(done) = self.done.take() {
            let _ = done.send(self.ahead);
        }
    }
}

#[test]
fn process_that_sends_to_itself_does_not_run_ahead_of_its_receiver() {
    let ahead = run(async {
        let node = loopback().await;
        let to = node.spawn("listener", Listener(0)).unwrap();
        let (done, finished) = oneshot::channel();
        let heard = Arc::default();
        let talker = Talker { to, said: 0, heard, ahead: 0, done: Some(done) };
        node.spawn("talker", talker).unwrap();
        let ahead = finished.await.unwrap();
        node.close();
        ahead
    });
    assert!(ahead < 10, "{ahead} messages ahead");
}

#[test]
fn built_in_endpoints_answer() {
    run(async {
        let node = loopback().await;
        let probe = node.spawn("probe", Probe::default()).unwrap();
        node.metrics().counter("test/count").add(3);
        node.metrics().gauge("test/arrived", &probe, |probe| probe.arrived.len() as f64);
        let get = |target: &str| node.http(Request::new("GET", target).unwrap());
        let metrics = get("/metrics/snapshot").await.bytes();
        let metrics: serde_json::Value = serde_json::from_slice(&metrics).unwrap();
        assert_eq!(metrics["test/arrived"], 0.0);
        assert_eq!(metrics["test/count"], 3.0);
        assert!(metrics["system/cpus_total"].as_f64() >= Some(1.0));
        let system = get("/system/stats.json?jsonp=f").await.bytes();
        let system = String::from_utf8(system.to_vec()).unwrap();
        assert!(system.starts_with("f({\"avg_load_15min\":"), "{system}");
        assert!(system.contains("\"mem_total_bytes\":"), "{system}");
        assert_eq!(get("/metrics/snapshot?timeout=5").await.status, 400);
        let version = String::from_utf8(get("/version").await.bytes().to_vec()).unwrap();
        assert!(version.contains("\"version\""));
        let processes = String::from_utf8(get("/__processes__").await.bytes().to_vec()).unwrap();
        assert!(processes.contains(r#""id":"probe""#));
        assert_eq!(get("/help/probe/now").await.status, 200);
        assert_eq!(get("/help/probe/absent").await.status, 400);
        assert_eq!(get("/help/absent").await.status, 404);
    });
}
