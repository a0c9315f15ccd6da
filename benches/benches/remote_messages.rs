//! Claim: a node takes messages from the wire at a stated share of the rate of a loop that does nothing else.
//!
//! One connection over the loopback, pipelined, each request answered 202. The peer is a bare tokio
//! loop on each side: the sender writes bytes that were framed beforehand, the receiver parses heads
//! with httparse and hands nothing to anybody.

use std::net::{Ipv4Addr, SocketAddr};

use bytes::{Buf, BytesMut};
use futures::channel::oneshot;
use libprocess::{Ctx, Pid, Process, Routes, real};
use prost::{Message, Name};
use protos::mesos::internal::StatusUpdateAcknowledgementMessage as Body;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const MESSAGES: u64 = 300_000;
const BURST: u64 = 1_000;

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

struct Receiver {
    seen: u64,
    done: Option<oneshot::Sender<()>>,
}

impl Process for Receiver {
    fn routes(routes: &mut Routes<Self>) {
        routes.on::<Body>(|process, body, _| {
            std::hint::black_box(body);
            process.seen += 1;
            if process.seen == MESSAGES
                && let Some(done) = process.done.take()
            {
                let _ = done.send(());
            }
        });
    }
}

struct Sender {
    to: Pid,
    body: Body,
    sent: u64,
}

impl Process for Sender {
    fn routes(_: &mut Routes<Self>) {}

    fn initialize(&mut self, cx: &mut Ctx<Self>) {
        cx.link(&self.to);
        self.burst(cx);
    }
}

impl Sender {
    fn burst(&mut self, cx: &mut Ctx<Self>) {
        (0..BURST).for_each(|_| cx.send(&self.to, &self.body));
        self.sent += BURST;
        if self.sent < MESSAGES {
            cx.later(Self::burst);
        }
    }
}

async fn libprocess() -> Outcome<f64> {
    let config = real::Config { ip: Ipv4Addr::LOCALHOST, ..real::Config::default() };
    let (here, there) = (real::start(config.clone()).await?, real::start(config).await?);
    let (done, finished) = oneshot::channel();
    let to = there.spawn("receiver", Receiver { seen: 0, done: Some(done) })?.pid().clone();
    let start = here.now();
    here.spawn("sender", Sender { to, body: benches::message(), sent: 0 })?;
    finished.await?;
    let took = here.now() - start;
    here.close();
    there.close();
    Ok(benches::rate(MESSAGES, took))
}

/// One request as nodes frame it.
fn framed() -> Vec<u8> {
    let body = benches::message().encode_to_vec();
    let head = format!(
        "POST /receiver/{} HTTP/1.1\r\nUser-Agent: libprocess/sender@127.0.0.1:40000\r\n\
         Libprocess-From: sender@127.0.0.1:40000\r\nConnection: Keep-Alive\r\n\
         Host: 127.0.0.1:40001\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n",
        Body::full_name(),
        body.len()
    );
    [head.as_bytes(), &body, b"\r\n0\r\n\r\n"].concat()
}

const ACCEPTED: &[u8] =
    b"HTTP/1.1 202 Accepted\r\nDate: Fri, 27 Nov 2026 01:02:03 GMT\r\nContent-Length: 0\r\n\r\n";

/// Length of the first whole request in `buffer`; None when more must be read.
fn request(buffer: &[u8]) -> Outcome<Option<usize>> {
    let mut headers = [httparse::EMPTY_HEADER; 16];
    let mut head = httparse::Request::new(&mut headers);
    let httparse::Status::Complete(start) = head.parse(buffer)? else { return Ok(None) };
    std::hint::black_box(head.path);
    let httparse::Status::Complete((digits, size)) =
        httparse::parse_chunk_size(&buffer[start..]).map_err(|_| "not a chunk")?
    else {
        return Ok(None);
    };
    let end = start + digits + usize::try_from(size)? + b"\r\n0\r\n\r\n".len();
    Ok((end <= buffer.len()).then_some(end))
}

async fn answer(listener: TcpListener) -> Outcome<()> {
    let (mut stream, _) = listener.accept().await?;
    let (mut buffer, mut replies) = (BytesMut::new(), Vec::new());
    loop {
        buffer.reserve(80 * 1024);
        if stream.read_buf(&mut buffer).await? == 0 {
            return Ok(());
        }
        while let Some(length) = request(&buffer)? {
            buffer.advance(length);
            replies.extend_from_slice(ACCEPTED);
        }
        stream.write_all(&replies).await?;
        replies.clear();
    }
}

async fn ask(peer: SocketAddr) -> Outcome<f64> {
    let (mut reader, mut writer) = TcpStream::connect(peer).await?.into_split();
    let burst = framed().repeat(usize::try_from(BURST)?);
    let start = tokio::time::Instant::now();
    let writing = actix_rt::spawn(async move {
        for _ in 0..MESSAGES / BURST {
            writer.write_all(&burst).await?;
        }
        Ok::<_, std::io::Error>(writer)
    });
    let mut left = usize::try_from(MESSAGES)? * ACCEPTED.len();
    let mut replies = vec![0; 64 * 1024];
    while left > 0 {
        let read = reader.read(&mut replies).await?;
        if read == 0 {
            return Err("the bare loop hung up".into());
        }
        left -= read;
    }
    let took = start.elapsed();
    drop(writing.await??);
    Ok(benches::rate(MESSAGES, took))
}

async fn bare_loop() -> Outcome<f64> {
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    listener.set_nonblocking(true)?;
    let peer = listener.local_addr()?;
    // A thread of its own, as a node has.
    let arbiter = actix_rt::Arbiter::new();
    arbiter.spawn(async move {
        let served = match TcpListener::from_std(listener) {
            Ok(listener) => answer(listener).await,
            Err(error) => Err(error.into()),
        };
        if let Err(error) = served {
            eprintln!("bare loop: {error}");
        }
    });
    let rate = ask(peer).await;
    arbiter.stop();
    rate
}

fn main() -> Outcome<()> {
    println!("remote messages: {} bytes of body, {} framed", body_len(), framed().len());
    real::run(async {
        let (mut ours, mut bare) = (Vec::new(), Vec::new());
        for _ in 0..3 {
            ours.push(libprocess().await?);
            bare.push(bare_loop().await?);
        }
        let (ours, bare) = (middle(ours), middle(bare));
        benches::report("libprocess, one connection", ours, "messages/s");
        benches::report("bare loop with httparse, one connection", bare, "messages/s");
        benches::ratio("libprocess", ours, "bare loop with httparse", bare);
        Ok(())
    })
}

fn body_len() -> usize {
    benches::message().encoded_len()
}

fn middle(mut rates: Vec<f64>) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates[rates.len() / 2]
}
