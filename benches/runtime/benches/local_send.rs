//! Claim: an empty message to an actor costs a third of actix's `do_send`, a tenth of ractor's and
//! kameo's, on one thread and across threads.
//!
//! 10 million messages in all cases. On one thread sender and receiver take turns, 1,000 messages
//! each; across threads the sender just sends.

use actix::{Actor, Addr, AsyncContext, Context, Handler};
use futures::channel::oneshot;
use libprocess::{Ctx, Handle, Node, Process, Routes, real};
use runtime_benches::{Instant, Outcome, ROUNDS, best, rate, ratio, report};

const MESSAGES: u64 = 10_000_000;
const BURST: u64 = 1_000;

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
    fn routes(_: &mut Routes<Self>) {}
}

struct Sender {
    to: Handle<Receiver>,
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
            self.to.tell(|receiver, _| receiver.0.count());
        }
        self.sent += BURST;
        if self.sent < MESSAGES {
            cx.later(Self::burst);
        }
    }
}

async fn libprocess_same(node: &Node) -> Outcome<f64> {
    let (tally, done) = Tally::new();
    let to = node.spawn_numbered("receiver", Receiver(tally));
    let start = Instant::now();
    node.spawn_numbered("sender", Sender { to, sent: 0 });
    done.await?;
    Ok(rate(MESSAGES, start.elapsed()))
}

async fn libprocess_across(node: &Node) -> Outcome<f64> {
    let (tally, done) = Tally::new();
    let to = node.spawn_numbered("receiver", Receiver(tally));
    let start = Instant::now();
    for _ in 0..MESSAGES {
        to.tell(|receiver, _| receiver.0.count());
    }
    done.await?;
    Ok(rate(MESSAGES, start.elapsed()))
}

struct Empty;

impl actix::Message for Empty {
    type Result = ();
}

struct ActixReceiver(Tally);

impl Actor for ActixReceiver {
    type Context = Context<Self>;
}

impl Handler<Empty> for ActixReceiver {
    type Result = ();

    fn handle(&mut self, _: Empty, _: &mut Context<Self>) {
        self.0.count();
    }
}

struct ActixSender {
    to: Addr<ActixReceiver>,
    sent: u64,
}

impl Actor for ActixSender {
    type Context = Context<Self>;

    fn started(&mut self, cx: &mut Context<Self>) {
        cx.notify(Empty);
    }
}

impl Handler<Empty> for ActixSender {
    type Result = ();

    fn handle(&mut self, _: Empty, cx: &mut Context<Self>) {
        (0..BURST).for_each(|_| self.to.do_send(Empty));
        self.sent += BURST;
        if self.sent < MESSAGES {
            cx.notify(Empty);
        }
    }
}

async fn actix_same() -> Outcome<f64> {
    let (tally, done) = Tally::new();
    let to = ActixReceiver(tally).start();
    let start = Instant::now();
    ActixSender { to, sent: 0 }.start();
    done.await?;
    Ok(rate(MESSAGES, start.elapsed()))
}

async fn actix_across() -> Outcome<f64> {
    let (tally, done) = Tally::new();
    let arbiter = actix_rt::Arbiter::new();
    let to = ActixReceiver::start_in_arbiter(&arbiter.handle(), |_| ActixReceiver(tally));
    let start = Instant::now();
    (0..MESSAGES).for_each(|_| to.do_send(Empty));
    done.await?;
    arbiter.stop();
    Ok(rate(MESSAGES, start.elapsed()))
}

struct RactorReceiver;

impl ractor::Actor for RactorReceiver {
    type Msg = ();
    type State = Tally;
    type Arguments = Tally;

    async fn pre_start(
        &self,
        _: ractor::ActorRef<()>,
        tally: Tally,
    ) -> Result<Tally, ractor::ActorProcessingErr> {
        Ok(tally)
    }

    async fn handle(
        &self,
        _: ractor::ActorRef<()>,
        (): (),
        tally: &mut Tally,
    ) -> Result<(), ractor::ActorProcessingErr> {
        tally.count();
        Ok(())
    }
}

/// Fewer messages, for what is slower: the rate is what counts.
async fn ractor(threads: usize) -> Outcome<f64> {
    runtime(threads)?.block_on(async {
        let (mut tally, done) = Tally::new();
        tally.seen = MESSAGES - SLOW;
        let (to, _) = ractor::Actor::spawn(None, RactorReceiver, tally).await?;
        let start = Instant::now();
        for sent in 1..=SLOW {
            to.cast(())?;
            if threads == 1 && sent % BURST == 0 {
                tokio::task::yield_now().await;
            }
        }
        done.await?;
        Ok(rate(SLOW, start.elapsed()))
    })
}

const SLOW: u64 = MESSAGES / 10;

struct KameoReceiver(Tally);

impl kameo::Actor for KameoReceiver {
    type Args = Self;
    type Error = kameo::error::Infallible;

    async fn on_start(
        args: Self,
        _: kameo::actor::ActorRef<Self>,
    ) -> Result<Self, kameo::error::Infallible> {
        Ok(args)
    }
}

impl kameo::message::Message<Empty> for KameoReceiver {
    type Reply = ();

    async fn handle(&mut self, _: Empty, _: &mut kameo::message::Context<Self, ()>) {
        self.0.count();
    }
}

async fn kameo(threads: usize) -> Outcome<f64> {
    runtime(threads)?.block_on(async {
        let (mut tally, done) = Tally::new();
        tally.seen = MESSAGES - SLOW;
        let mailbox = kameo::mailbox::unbounded();
        let to = <KameoReceiver as kameo::Actor>::spawn_with_mailbox(KameoReceiver(tally), mailbox);
        let start = Instant::now();
        for sent in 1..=SLOW {
            to.tell(Empty).await?;
            if threads == 1 && sent % BURST == 0 {
                tokio::task::yield_now().await;
            }
        }
        done.await?;
        Ok(rate(SLOW, start.elapsed()))
    })
}

fn runtime(threads: usize) -> Outcome<tokio::runtime::Runtime> {
    Ok(match threads {
        1 => tokio::runtime::Builder::new_current_thread().enable_all().build()?,
        _ => tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?,
    })
}

async fn tokio_same() -> Outcome<f64> {
    let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel::<()>();
    let start = Instant::now();
    let sending = actix_rt::spawn(async move {
        for sent in 1..=MESSAGES {
            let _ = sender.send(());
            if sent % BURST == 0 {
                tokio::task::yield_now().await;
            }
        }
    });
    while receiver.recv().await.is_some() {}
    sending.await?;
    Ok(rate(MESSAGES, start.elapsed()))
}

fn main() -> Outcome<()> {
    println!("local send: {MESSAGES} empty messages to one actor");
    let (mut ours, mut actix, mut tokio) = ([vec![], vec![]], [vec![], vec![]], vec![]);
    real::run(async {
        let node = runtime_benches::loopback(1).await?;
        for _ in 0..ROUNDS {
            ours[0].push(libprocess_same(&node).await?);
            actix[0].push(actix_same().await?);
            tokio.push(tokio_same().await?);
            ours[1].push(libprocess_across(&node).await?);
            actix[1].push(actix_across().await?);
        }
        node.close();
        Outcome::Ok(())
    })?;
    let tokio = best(tokio);
    for (at, place) in ["same thread", "across threads"].into_iter().enumerate() {
        let (ours, actix) = (best(ours[at].clone()), best(actix[at].clone()));
        let peers = [
            ("actix do_send", actix),
            ("ractor", best([block(ractor(at + 1))?, block(ractor(at + 1))?])),
            ("kameo", best([block(kameo(at + 1))?, block(kameo(at + 1))?])),
            ("tokio unbounded channel, same thread", tokio),
        ];
        report(&format!("libprocess, {place}"), ours, "messages/s");
        for (peer, theirs) in peers {
            report(&format!("{peer}, {place}"), theirs, "messages/s");
            ratio(&format!("libprocess, {place}"), ours, peer, theirs);
        }
    }
    Ok(())
}

/// These futures make a runtime of their own inside and never wait outside of it.
fn block<T>(future: impl Future<Output = T>) -> T {
    futures::executor::block_on(future)
}
