//! Claim: 100,000 pending timers leave the cost of a message as it is without any.

use std::time::Duration;

use futures::channel::oneshot;
use libprocess::{Ctx, Node, Process, Routes, real};
use runtime_benches::{Instant, Outcome, ROUNDS, best, rate, ratio, report};

const MESSAGES: u64 = 3_000_000;
const BURST: u64 = 1_000;
const TIMERS: usize = 100_000;

struct Looper {
    left: u64,
    done: Option<oneshot::Sender<()>>,
}

impl Process for Looper {
    fn routes(_: &mut Routes<Self>) {}
}

impl Looper {
    fn burst(&mut self, cx: &mut Ctx<Self>) {
        (0..BURST).for_each(|_| cx.later(|looper, _| looper.left -= 1));
        cx.later(|looper, cx| match looper.left {
            0 => drop(looper.done.take()),
            _ => looper.burst(cx),
        });
    }
}

async fn messages(node: &Node) -> Outcome<f64> {
    let (done, finished) = oneshot::channel();
    let looper = node.spawn_numbered("looper", Looper { left: MESSAGES, done: Some(done) });
    let start = Instant::now();
    looper.tell(Looper::burst);
    let _ = finished.await;
    Ok(rate(MESSAGES, start.elapsed()))
}

fn main() -> Outcome<()> {
    real::run(async {
        let node = runtime_benches::loopback(1).await?;
        let mut without = Vec::new();
        for _ in 0..ROUNDS {
            without.push(messages(&node).await?);
        }
        let holder = node.spawn("holder", Looper { left: 0, done: None })?;
        let start = Instant::now();
        let armed = holder.ask(|_, cx| {
            for number in 0..TIMERS {
                let delay = Duration::from_secs(3600) + Duration::from_millis(number as u64);
                cx.after(delay, |_, _| {});
            }
        });
        armed.await?;
        report("arming one", start.elapsed().as_secs_f64() * 1e9 / TIMERS as f64, "ns");
        let mut with = Vec::new();
        for _ in 0..ROUNDS {
            with.push(messages(&node).await?);
        }
        let (with, without) = (best(with), best(without));
        report("messages without timers", without, "messages/s");
        report(&format!("messages with {TIMERS} timers pending"), with, "messages/s");
        ratio("with timers", with, "without", without);
        node.close();
        Ok(())
    })
}
