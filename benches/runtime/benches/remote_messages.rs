//! Claim: messages of 100 bytes over one connection between two OS processes, each answered 202:
//! a million a second, three times what actix-web and hyper do with the same client, at most
//! 0.4 us of the server's CPU time each; 64 connections reach four fifths of that rate.
//!
//! The server is this program, started again with its kind as argument. The client is a bare loop
//! that writes requests framed beforehand, with a window of unanswered ones.

use std::io::{BufRead, BufReader, Read};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, Command, Stdio};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use libprocess::{Ctx, Pid, Process, Routes, real};
use prost::{Message, Name};
use runtime_benches::{Blob, Instant, Outcome, ROUNDS, best, cpu_time, rate, ratio, report};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const MESSAGES: u64 = 1_000_000;
const WINDOW: usize = 128;

#[derive(Default)]
struct Receiver {
    seen: u64,
}

impl Process for Receiver {
    fn routes(routes: &mut Routes<Self>) {
        routes.on::<Blob>(|process, blob, _| {
            std::hint::black_box(blob);
            process.seen += 1;
        });
        // Asks how far the receiver is.
        routes.on_raw("mark", |_, envelope, cx| {
            cx.send_raw(&envelope.from, "marked".into(), envelope.body);
        });
    }
}

/// Serves until standard input ends.
fn serve(kind: &str) -> Outcome<()> {
    real::run(async {
        match kind {
            "libprocess" => {
                let node = runtime_benches::loopback(1).await?;
                node.spawn("receiver", Receiver::default())?;
                println!("{}", node.address().port());
                wait().await?;
                node.close();
            }
            "actix-web" => actix_web().await?,
            _ => hyper().await?,
        }
        Ok(())
    })
}

async fn wait() -> Outcome<()> {
    Ok(tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new()).map(drop))
        .await??)
}

async fn actix_web() -> Outcome<()> {
    use actix_web::{App, HttpResponse, HttpServer, web};
    let server = HttpServer::new(|| {
        App::new().default_service(web::to(|body: Bytes| async {
            std::hint::black_box(Blob::decode(body).ok());
            HttpResponse::Accepted().finish()
        }))
    });
    let server = server.workers(1).keep_alive(actix_web::http::KeepAlive::Os);
    let server = server.bind((Ipv4Addr::LOCALHOST, 0))?;
    println!("{}", server.addrs()[0].port());
    let running = actix_rt::spawn(server.run());
    wait().await?;
    running.abort();
    Ok(())
}

async fn hyper() -> Outcome<()> {
    use hyper::service::service_fn;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    println!("{}", listener.local_addr()?.port());
    let accept = async {
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let answer = |request: hyper::Request<hyper::body::Incoming>| async {
                let body = request.into_body().collect().await?.to_bytes();
                std::hint::black_box(Blob::decode(body).ok());
                let mut accepted = hyper::Response::new(Full::new(Bytes::new()));
                *accepted.status_mut() = hyper::StatusCode::ACCEPTED;
                Ok::<_, hyper::Error>(accepted)
            };
            let mut http = hyper::server::conn::http1::Builder::new();
            let io = hyper_util::rt::TokioIo::new(stream);
            let served = http.pipeline_flush(true).serve_connection(io, service_fn(answer));
            actix_rt::spawn(served);
        }
    };
    tokio::select! {
        served = accept => served,
        waited = wait() => waited,
    }
}

/// A server in an OS process of its own.
struct Server {
    child: Child,
    address: SocketAddr,
}

impl Server {
    fn start(kind: &str) -> Outcome<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(["serve", kind])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        let output = child.stdout.take().ok_or("no output")?;
        BufReader::new(output).read_line(&mut line)?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, line.trim().parse()?));
        Ok(Self { child, address })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One request as nodes frame it.
fn framed() -> Vec<u8> {
    let body = Blob::of(100).encode_to_vec();
    let head = format!(
        "POST /receiver/{} HTTP/1.1\r\nUser-Agent: libprocess/sender@127.0.0.1:40000\r\n\
         Libprocess-From: sender@127.0.0.1:40000\r\nConnection: Keep-Alive\r\n\
         Host: 127.0.0.1:40001\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n",
        Blob::full_name(),
        body.len()
    );
    [head.as_bytes(), &body, b"\r\n0\r\n\r\n"].concat()
}

/// Sends messages over one connection with a window of unanswered ones.
async fn client(peer: SocketAddr, messages: u64) -> Outcome<()> {
    let mut stream = TcpStream::connect(peer).await?;
    stream.set_nodelay(true)?;
    let request = framed();
    let mut answer = vec![0; 64 * 1024];
    stream.write_all(&request).await?;
    let mut read = 0;
    while !answer[..read].ends_with(b"\r\n\r\n") {
        read += stream.read(&mut answer[read..]).await?;
    }
    if !answer.starts_with(b"HTTP/1.1 202") {
        return Err(String::from_utf8_lossy(&answer[..read]).into());
    }
    // All answers have the same length.
    let length = read;
    let burst = request.repeat(WINDOW);
    let (mut sent, mut answered, mut partial) = (1, 1, 0);
    while answered < messages {
        let room = WINDOW as u64 - (sent - answered);
        let more = room.min(messages - sent);
        // Half a window at least, so that both sides work on many at once.
        if more >= WINDOW as u64 / 2 || (more > 0 && sent + more == messages) {
            stream.write_all(&burst[..more as usize * request.len()]).await?;
            sent += more;
        }
        let read = stream.read(&mut answer).await?;
        if read == 0 {
            return Err("the server hung up".into());
        }
        partial += read;
        answered += (partial / length) as u64;
        partial %= length;
    }
    Ok(())
}

/// The rate, and the server's CPU time for each message in microseconds.
async fn drive(server: &Server, connections: u64) -> Outcome<(f64, f64)> {
    let before = cpu_time(server.child.id())?;
    let start = Instant::now();
    let clients = (0..connections).map(|_| client(server.address, MESSAGES / connections));
    for outcome in futures::future::join_all(clients).await {
        outcome?;
    }
    let took = start.elapsed();
    let cpu = cpu_time(server.child.id())?.saturating_sub(before);
    Ok((rate(MESSAGES, took), cpu.as_secs_f64() * 1e6 / MESSAGES as f64))
}

async fn measure(kind: &str, connections: u64) -> Outcome<f64> {
    let server = Server::start(kind)?;
    let (mut rates, mut costs) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let (rate, cost) = drive(&server, connections).await?;
        rates.push(rate);
        costs.push(-cost);
    }
    let what = format!("{kind}, {connections} connection(s)");
    let (rate, cost) = (best(rates), costs.into_iter().fold(f64::MIN, f64::max));
    report(&what, rate, "messages/s");
    report(&format!("{what}: server's CPU for each"), -cost, "us");
    Ok(rate)
}

struct Sender {
    to: Pid,
    sent: u64,
}

/// Messages between two marks; two such runs may be under way.
const RUN: u64 = 10_000;

impl Process for Sender {
    fn routes(routes: &mut Routes<Self>) {
        routes.on_raw("marked", |sender, _, cx| sender.burst(cx));
    }

    fn initialize(&mut self, cx: &mut Ctx<Self>) {
        cx.link(&self.to);
        self.burst(cx);
        self.burst(cx);
    }
}

impl Sender {
    fn burst(&mut self, cx: &mut Ctx<Self>) {
        if self.sent < MESSAGES {
            (0..RUN).for_each(|_| cx.send(&self.to, &Blob::of(100)));
            self.sent += RUN;
            cx.send_raw(&self.to, "mark".into(), Bytes::new());
        }
    }
}

/// A node on both sides: what `cx.send` reaches.
async fn node_to_node() -> Outcome<f64> {
    let (here, there) = (runtime_benches::loopback(1).await?, runtime_benches::loopback(1).await?);
    let receiver = there.spawn("receiver", Receiver::default())?;
    let start = Instant::now();
    here.spawn("sender", Sender { to: receiver.pid().clone(), sent: 0 })?;
    while receiver.ask(|receiver, _| receiver.seen).await? < MESSAGES {
        here.sleep(std::time::Duration::from_millis(1)).await;
    }
    let took = start.elapsed();
    here.close();
    there.close();
    Ok(rate(MESSAGES, took))
}

fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, verb, kind] = &arguments[..]
        && verb == "serve"
    {
        return serve(kind);
    }
    println!("remote messages: 100 bytes of body, {} framed, window {WINDOW}", framed().len());
    real::run(async {
        let ours = measure("libprocess", 1).await?;
        for peer in ["actix-web", "hyper"] {
            let theirs = measure(peer, 1).await?;
            ratio("libprocess", ours, peer, theirs);
        }
        let many = measure("libprocess", 64).await?;
        ratio("libprocess, 64 connections", many, "one connection", ours);
        let mut nodes = Vec::new();
        for _ in 0..ROUNDS {
            nodes.push(node_to_node().await?);
        }
        report("node to node, in one OS process", best(nodes), "messages/s");
        Ok(())
    })
}
