//! Claim: protobuf messages of 4, 64 and 300 bytes are encoded, queued, decoded and handled on one
//! thread at millions a second.

use futures::channel::oneshot;
use libprocess::{Ctx, Pid, Process, Routes, real};
use prost::Message;
use runtime_benches::{Blob, Instant, Outcome, ROUNDS, best, rate, report};

const MESSAGES: u64 = 4_000_000;
const BURST: u64 = 1_000;

struct Receiver {
    seen: u64,
    done: Option<oneshot::Sender<()>>,
}

/// A message of strings and numbers, as protocols have them.
#[derive(Clone, PartialEq, prost::Message)]
struct Report {
    #[prost(string, tag = "1")]
    id: String,
    #[prost(string, tag = "2")]
    framework: String,
    #[prost(string, tag = "3")]
    executor: String,
    #[prost(uint64, tag = "4")]
    number: u64,
    #[prost(string, repeated, tag = "5")]
    labels: Vec<String>,
}

impl prost::Name for Report {
    const PACKAGE: &'static str = "bench";
    const NAME: &'static str = "Report";
}

#[derive(Clone, PartialEq, prost::Message)]
struct Number {
    #[prost(uint64, tag = "1")]
    number: u64,
}

impl prost::Name for Number {
    const PACKAGE: &'static str = "bench";
    const NAME: &'static str = "Number";
}

impl Receiver {
    fn take<M>(&mut self, message: M, _: &mut Ctx<Self>) {
        std::hint::black_box(message);
        self.seen += 1;
        if self.seen == MESSAGES
            && let Some(done) = self.done.take()
        {
            let _ = done.send(());
        }
    }
}

impl Process for Receiver {
    fn routes(routes: &mut Routes<Self>) {
        routes.on(Self::take::<Number>).on(Self::take::<Blob>).on(Self::take::<Report>);
    }
}

struct Sender<M> {
    to: Pid,
    message: M,
    sent: u64,
}

impl<M: Message + prost::Name + 'static> Process for Sender<M> {
    fn routes(_: &mut Routes<Self>) {}

    fn initialize(&mut self, cx: &mut Ctx<Self>) {
        self.burst(cx);
    }
}

impl<M: Message + prost::Name + 'static> Sender<M> {
    fn burst(&mut self, cx: &mut Ctx<Self>) {
        (0..BURST).for_each(|_| cx.send(&self.to, &self.message));
        self.sent += BURST;
        if self.sent < MESSAGES {
            cx.later(Self::burst);
        }
    }
}

async fn measure<M: Message + prost::Name + Clone + 'static>(message: M) -> Outcome<()> {
    let mut rates = Vec::new();
    let node = runtime_benches::loopback(1).await?;
    for _ in 0..ROUNDS {
        let (done, finished) = oneshot::channel();
        let receiver = Receiver { seen: 0, done: Some(done) };
        let to = node.spawn_numbered("receiver", receiver).pid().clone();
        let start = Instant::now();
        node.spawn_numbered("sender", Sender { to, message: message.clone(), sent: 0 });
        finished.await?;
        rates.push(rate(MESSAGES, start.elapsed()));
    }
    node.close();
    let what = format!("{} of {} bytes", M::NAME, message.encoded_len());
    report(&what, best(rates), "messages/s");
    Ok(())
}

fn main() -> Outcome<()> {
    println!("protobuf messages on one thread: encoded, queued, decoded, handled");
    let report = Report {
        id: "20261127-010203-16777343-5050-1-S12".to_owned(),
        framework: "20261127-010203-16777343-5050-1-0001".to_owned(),
        executor: "executor-of-a-task-with-a-long-name".to_owned(),
        number: 1 << 40,
        labels: (0..8).map(|number| format!("label-number-{number:06}")).collect(),
    };
    real::run(async {
        measure(Number { number: 1 << 20 }).await?;
        measure(Blob::of(64)).await?;
        measure(report).await
    })
}
