//! The toolbox and the built-in endpoints that go with it.

use std::ops::ControlFlow::{Break, Continue};
use std::time::Duration;

use libprocess::logging::Verbosity;
use libprocess::metrics::Unit;
use libprocess::toolbox::{
    CountDownLatch, Mutex, Queue, RateLimiter, Sequence, after, await_all, background, collect,
    repeat_in, run,
};
use libprocess::{Ctx, NodeConfig, Process, Routes};

use crate::bed::{Bed, Log};

const PACE: Duration = Duration::from_millis(20);

#[derive(Default)]
struct Counting {
    rounds: u32,
}

impl Process for Counting {
    fn routes(_: &mut Routes<Self>) {}
}

/// A mutex is handed on in the order of calls, though its waiters are polled in another.
pub(crate) fn mutex_is_handed_on_in_order<B: Bed>(bed: &mut B) {
    let (node, log) = (bed.plain(), Log::default());
    let mutex = Mutex::new(0);
    let places: Vec<_> = (0..20).map(|n| (n, mutex.lock())).collect();
    let jobs = places.into_iter().rev().map(|(n, place)| {
        let log = log.clone();
        background(&node, async move {
            let mut value = place.await;
            *value += 1;
            log.push(format!("{n} {value}", value = *value));
        })
    });
    let jobs: Vec<_> = jobs.collect();
    bed.wait(await_all(jobs));
    let expected: Vec<_> = (0..20).map(|n| format!("{n} {}", n + 1)).collect();
    assert_eq!(log.lines(), expected);
}

/// Permits are never closer than the pace, by the node's own time.
pub(crate) fn rate_limiter_keeps_its_pace<B: Bed>(bed: &mut B) {
    let node = bed.plain();
    let start = node.now();
    let limiter = RateLimiter::every(&node, PACE);
    let permits = (0..4).map(|_| {
        let (permit, node) = (limiter.acquire(), node.clone());
        async move {
            permit.await;
            node.now()
        }
    });
    let times = bed.wait(background(&node, await_all(permits))).unwrap();
    for (number, time) in (0_u32..).zip(times) {
        assert!(time - start >= PACE * number, "permit {number} came too early");
    }
}

/// Each piece of work starts after the one before; what is dropped with the sequence is discarded.
pub(crate) fn sequence_does_one_thing_after_another<B: Bed>(bed: &mut B) {
    let (node, log) = (bed.plain(), Log::default());
    let sequence = Sequence::new(&node);
    let results: Vec<_> = (0..3_u32)
        .map(|n| {
            let (log, node) = (log.clone(), node.clone());
            sequence.add(move || async move {
                log.push(format!("start {n}"));
                after(&node, PACE / (n + 1)).await;
                log.push(format!("end {n}"));
                n
            })
        })
        .collect();
    assert_eq!(bed.wait(collect(results)), Ok(vec![0, 1, 2]));
    assert_eq!(log.lines(), ["start 0", "end 0", "start 1", "end 1", "start 2", "end 2"]);
    let stuck = sequence.add(std::future::pending::<()>);
    drop(sequence);
    assert!(bed.wait(stuck).is_err());
}

/// Producers on the node, a consumer outside, an end that all of them reach.
pub(crate) fn queue_and_latch_join_work<B: Bed>(bed: &mut B) {
    let node = bed.plain();
    let (queue, latch) = (Queue::new(), CountDownLatch::new(10));
    for n in 0..10_u32 {
        let (queue, latch) = (queue.clone(), latch.clone());
        drop(background(&node, async move {
            queue.put(n);
            latch.decrement();
        }));
    }
    bed.wait(latch.triggered());
    let items: Vec<_> = (0..10).map(|_| queue.get()).collect();
    let mut items = bed.wait(await_all(items));
    items.sort_unstable();
    assert_eq!(items, (0..10).collect::<Vec<_>>());
}

/// A loop inside a process, and work on a process of its own.
pub(crate) fn loops_and_throwaway_processes_end_with_a_value<B: Bed>(bed: &mut B) {
    let node = bed.plain();
    let counting = node.spawn("counting", Counting::default()).unwrap();
    let rounds = repeat_in(
        counting,
        |_: &mut Counting, cx: &mut Ctx<Counting>| cx.sleep(PACE / 10),
        |counting, (), _| {
            counting.rounds += 1;
            if counting.rounds == 5 { Break(counting.rounds) } else { Continue(()) }
        },
    );
    assert_eq!(bed.wait(rounds), Ok(5));
    assert_eq!(bed.wait(run(&node, || 6 * 7)), Ok(42));
}

/// Late gauges are left out and they alone; timers, windows and the Prometheus form are served.
pub(crate) fn metrics_are_served_in_both_forms<B: Bed>(bed: &mut B) {
    let node = bed.node(NodeConfig { metrics_rate_limit: None, ..Default::default() });
    let metrics = node.metrics();
    metrics.counter("x/count").add(3);
    metrics.gauge_later("x/never", std::future::pending);
    let timer = metrics.timer("x/step", Unit::Milliseconds);
    bed.wait(timer.time(after(&node, PACE)));
    assert!(timer.last() >= Some(20.0));
    let page = |bed: &mut B, form: &str| {
        let answer = bed.get(&node, &format!("/metrics/{form}?timeout=100ms"));
        assert_eq!(answer.status, 200);
        String::from_utf8(answer.bytes().to_vec()).unwrap()
    };
    let json: serde_json::Value = serde_json::from_str(&page(bed, "snapshot")).unwrap();
    assert_eq!((&json["x/count"], &json["x/step_ms/count"]), (&3.0.into(), &1.0.into()));
    assert!(json.get("x/never").is_none());
    let prometheus = page(bed, "prometheus");
    assert!(prometheus.contains("# TYPE x_count counter\nx_count 3\n"), "{prometheus}");
    assert!(prometheus.contains("x_step_ms_window_count 1\n"), "{prometheus}");
}

/// The log is more verbose for a while.
pub(crate) fn verbosity_is_raised_and_reverts<B: Bed>(bed: &mut B) {
    let verbosity = Verbosity::default();
    let node = bed.node(NodeConfig { verbosity: verbosity.clone(), ..Default::default() });
    assert_eq!(bed.get(&node, "/logging/toggle?level=1").status, 400);
    assert_eq!(bed.get(&node, "/logging/toggle?level=1&duration=50ms").status, 200);
    let reverted = async {
        while verbosity.get() > 0 {
            after(&node, PACE).await;
        }
    };
    bed.wait(reverted);
    assert_eq!(bed.get(&node, "/logging/toggle").bytes(), "0\n");
    assert_eq!(bed.get(&node, "/profiler/start").status, 400);
}
