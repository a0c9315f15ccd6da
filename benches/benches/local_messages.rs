//! Claim: a message between two processes of a node costs a stated multiple of what carries it.
//!
//! Sender and receiver share a thread and take turns, a thousand messages each, everywhere.

use actix::{Actor, AsyncContext, Context, Handler};
use bytes::Bytes;
use futures::channel::oneshot;
use libprocess::{Ctx, Envelope, MessageName, NodeConfig, Pid, Process, Routes, real};
use prost::{Message, Name};
use protos::mesos::internal::StatusUpdateAcknowledgementMessage as Body;

const MESSAGES: u64 = 1_000_000;
const BURST: u64 = 1_000;
const RAW: MessageName = MessageName::fixed("raw");

/// Counts to the end, then says so.
struct Tally {
    seen: u64,
    done: Option<oneshot::Sender<()>>,
}

impl Tally {
    fn new() -> (Self, oneshot::Receiver<()>) {
        let (sender, receiver) = oneshot::channel();
        (Self { seen: 0, done: Some(sender) }, receiver)
    }

    fn count(&mut self) {
        self.seen += 1;
        if self.seen == MESSAGES
            && let Some(done) = self.done.take()
        {
            let _ = done.send(());
        }
    }
}

struct Receiver(Tally);

impl Process for Receiver {
    fn routes(routes: &mut Routes<Self>) {
        routes.on::<Body>(|process, body, _| {
            std::hint::black_box(body);
            process.0.count();
        });
        routes.on_raw("raw", |process, envelope: Envelope, _| {
            std::hint::black_box(envelope.body);
            process.0.count();
        });
    }
}

struct Sender {
    to: Pid,
    body: Body,
    encoded: Option<Bytes>,
    sent: u64,
}

impl Process for Sender {
    fn routes(_: &mut Routes<Self>) {}

    fn initialize(&mut self, cx: &mut Ctx<Self>) {
        self.burst(cx);
    }
}

impl Sender {
    fn burst(&mut self, cx: &mut Ctx<Self>) {
        for _ in 0..BURST {
            match &self.encoded {
                Some(encoded) => cx.send_raw(&self.to, RAW, encoded.clone()),
                None => cx.send(&self.to, &self.body),
            }
        }
        self.sent += BURST;
        if self.sent < MESSAGES {
            cx.later(Self::burst);
        }
    }
}

async fn libprocess(typed: bool) -> Result<f64, Box<dyn std::error::Error>> {
    let config = real::Config {
        ip: std::net::Ipv4Addr::LOCALHOST,
        node: NodeConfig::default(),
        ..real::Config::default()
    };
    let node = real::start(config).await?;
    let (tally, done) = Tally::new();
    let to = node.spawn("receiver", Receiver(tally))?.pid().clone();
    let body = benches::message();
    let encoded = (!typed).then(|| body.encode_to_vec().into());
    let start = node.now();
    node.spawn("sender", Sender { to, body, encoded, sent: 0 })?;
    done.await?;
    let took = node.now() - start;
    node.close();
    Ok(benches::rate(MESSAGES, took))
}

struct Parcel(Bytes);

impl actix::Message for Parcel {
    type Result = ();
}

struct ActixReceiver {
    tally: Tally,
    typed: bool,
}

impl Actor for ActixReceiver {
    type Context = Context<Self>;
}

impl Handler<Parcel> for ActixReceiver {
    type Result = ();

    fn handle(&mut self, parcel: Parcel, _: &mut Context<Self>) {
        if self.typed {
            let _ = std::hint::black_box(Body::decode(parcel.0));
        } else {
            std::hint::black_box(parcel.0);
        }
        self.tally.count();
    }
}

struct ActixSender {
    to: actix::Addr<ActixReceiver>,
    body: Body,
    encoded: Bytes,
    typed: bool,
    sent: u64,
}

struct Go;

impl actix::Message for Go {
    type Result = ();
}

impl Actor for ActixSender {
    type Context = Context<Self>;

    fn started(&mut self, cx: &mut Context<Self>) {
        cx.notify(Go);
    }
}

impl Handler<Go> for ActixSender {
    type Result = ();

    fn handle(&mut self, _: Go, cx: &mut Context<Self>) {
        for _ in 0..BURST {
            let bytes =
                if self.typed { self.body.encode_to_vec().into() } else { self.encoded.clone() };
            self.to.do_send(Parcel(bytes));
        }
        self.sent += BURST;
        if self.sent < MESSAGES {
            cx.notify(Go);
        }
    }
}

async fn actix_do_send(typed: bool) -> Result<f64, Box<dyn std::error::Error>> {
    let (tally, done) = Tally::new();
    let to = ActixReceiver { tally, typed }.start();
    let body = benches::message();
    let encoded = body.encode_to_vec().into();
    let start = tokio::time::Instant::now();
    ActixSender { to, body, encoded, typed, sent: 0 }.start();
    done.await?;
    Ok(benches::rate(MESSAGES, start.elapsed()))
}

async fn tokio_channel() -> Result<f64, Box<dyn std::error::Error>> {
    let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel::<Bytes>();
    let encoded: Bytes = benches::message().encode_to_vec().into();
    let start = tokio::time::Instant::now();
    let sending = actix_rt::spawn(async move {
        for sent in 1..=MESSAGES {
            let _ = sender.send(encoded.clone());
            if sent % BURST == 0 {
                tokio::task::yield_now().await;
            }
        }
    });
    let mut seen = 0;
    while let Some(bytes) = receiver.recv().await {
        std::hint::black_box(bytes);
        seen += 1;
    }
    sending.await?;
    Ok(benches::rate(seen, start.elapsed()))
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let size = benches::message().encoded_len();
    println!("local messages: {} of {size} bytes", Body::full_name());
    real::run(async {
        let (raw, typed) = (libprocess(false).await?, libprocess(true).await?);
        let (actix, actix_typed) = (actix_do_send(false).await?, actix_do_send(true).await?);
        let tokio = tokio_channel().await?;
        benches::report("libprocess, encoded bytes", raw, "messages/s");
        benches::report("libprocess, encode and decode", typed, "messages/s");
        benches::report("actix do_send, encoded bytes", actix, "messages/s");
        benches::report("actix do_send, encode and decode", actix_typed, "messages/s");
        benches::report("tokio unbounded channel, encoded bytes", tokio, "messages/s");
        benches::ratio("libprocess, encoded bytes", raw, "actix do_send", actix);
        benches::ratio("libprocess, encode and decode", typed, "actix do_send", actix_typed);
        benches::ratio("libprocess, encoded bytes", raw, "tokio unbounded channel", tokio);
        Ok(())
    })
}
