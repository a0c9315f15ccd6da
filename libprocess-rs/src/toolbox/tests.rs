use std::net::{Ipv4Addr, SocketAddrV4};
use std::ops::ControlFlow::{Break, Continue};
use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::sim::World;
use crate::{Ctx, Node, NodeConfig, Process, Routes, Time};

const LIMIT: Duration = Duration::from_secs(3600);

/// What happened, and when, in milliseconds since the start.
#[derive(Clone)]
struct Log {
    node: Node,
    start: Time,
    lines: Arc<StdMutex<Vec<String>>>,
}

impl Log {
    fn note(&self, what: impl std::fmt::Display) {
        let passed = (self.node.now() - self.start).as_millis();
        held(&self.lines).push(format!("{passed} {what}"));
    }

    fn lines(&self) -> Vec<String> {
        held(&self.lines).clone()
    }
}

fn stage() -> (World, Node, Log) {
    let mut world = World::new(7);
    let address = SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, 1), 5050);
    let node = world.node(address, NodeConfig::default());
    let log = Log { node: node.clone(), start: world.now(), lines: Arc::default() };
    (world, node, log)
}

fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// Runs `future` beside the node's processes to its end.
fn finish<T: Send + 'static>(
    world: &mut World,
    node: &Node,
    future: impl Future<Output = T> + Send + 'static,
) -> T {
    let mut work = background(node, future);
    world.run_until(LIMIT, |_| work.is_done()).unwrap();
    work.take().unwrap()
}

#[test]
fn rate_limiter_under_a_burst_spaces_permits_evenly_in_order() {
    let (mut world, node, log) = stage();
    let limiter = RateLimiter::new(&node, 4.try_into().unwrap(), Duration::from_secs(1));
    let permits: Vec<_> = (0..4).map(|n| (n, limiter.acquire())).collect();
    let jobs = permits.into_iter().rev().map(|(n, permit)| {
        let log = log.clone();
        background(&node, async move {
            permit.await;
            log.note(n);
        })
    });
    finish(&mut world, &node, await_all(jobs));
    assert_eq!(log.lines(), ["0 0", "250 1", "500 2", "750 3"]);
}

#[test]
fn rate_limiter_after_idle_time_allows_no_burst() {
    let (mut world, node, log) = stage();
    let limiter = RateLimiter::every(&node, ms(100));
    world.run_for(Duration::from_secs(10));
    let noted = log.clone();
    finish(&mut world, &node, async move {
        for n in 0..3 {
            limiter.acquire().await;
            noted.note(n);
        }
    });
    assert_eq!(log.lines(), ["10000 0", "10100 1", "10200 2"]);
}

#[test]
fn rate_limiter_permit_that_is_given_up_is_not_used() {
    let (mut world, node, log) = stage();
    let limiter = RateLimiter::every(&node, ms(100));
    let (first, second, third) = (limiter.acquire(), limiter.acquire(), limiter.acquire());
    drop(second);
    let noted = log.clone();
    finish(&mut world, &node, async move {
        first.await;
        third.await;
        noted.note("third");
    });
    assert_eq!(log.lines(), ["100 third"]);
    assert_eq!(limiter.waiting(), 0);
}

#[test]
fn mutex_is_handed_on_in_the_order_of_calls() {
    let (mut world, node, log) = stage();
    let mutex = Mutex::new(0);
    let places: Vec<_> = (0..5).map(|n| (n, mutex.lock())).collect();
    // Polled last first: that must not matter.
    let jobs = places.into_iter().rev().map(|(n, place)| {
        let (log, node) = (log.clone(), node.clone());
        background(&node.clone(), async move {
            let mut value = place.await;
            after(&node, ms(10)).await;
            *value += 1;
            log.note(format!("{n} made {}", *value));
        })
    });
    finish(&mut world, &node, await_all(jobs));
    let expected = ["10 0 made 1", "20 1 made 2", "30 2 made 3", "40 3 made 4", "50 4 made 5"];
    assert_eq!(log.lines(), expected);
    assert_eq!(*mutex.try_lock().unwrap(), 5);
}

#[test]
fn mutex_waiters_that_give_up_are_passed_over_without_recursion() {
    let (mut world, node, _) = stage();
    let mutex = Mutex::new(());
    let held_first = mutex.try_lock().unwrap();
    let impatient: Vec<_> = (0..100_000).map(|_| mutex.lock()).collect();
    let last = mutex.lock();
    assert!(mutex.try_lock().is_none());
    drop(impatient);
    drop(held_first);
    finish(&mut world, &node, async move { drop(last.await) });
    assert!(mutex.try_lock().is_some());
}

#[test]
fn read_write_lock_lets_readers_share_but_not_overtake_a_writer() {
    let (mut world, node, log) = stage();
    let lock = ReadWriteLock::new(1);
    let visit = |name: &'static str, reading: Reading<i32>| {
        let (log, node) = (log.clone(), node.clone());
        background(&node.clone(), async move {
            let value = reading.await;
            log.note(format!("{name} sees {}", *value));
            after(&node, ms(10)).await;
        })
    };
    let mut jobs = vec![visit("first", lock.read()), visit("second", lock.read())];
    let (writing, noted) = (lock.write(), log.clone());
    jobs.push(background(&node, async move {
        *writing.await += 1;
        noted.note("written");
    }));
    jobs.push(visit("late", lock.read()));
    finish(&mut world, &node, await_all(jobs));
    assert_eq!(log.lines(), ["0 first sees 1", "0 second sees 1", "10 written", "10 late sees 2"]);
}

#[test]
fn read_write_lock_writer_that_gives_up_lets_readers_behind_it_in() {
    let (mut world, node, _) = stage();
    let lock = ReadWriteLock::new(());
    let inside = finish(&mut world, &node, lock.read());
    let writer = lock.write();
    let reader = background(&node, lock.read());
    world.run_for(ms(5));
    assert!(!reader.is_done());
    drop(writer);
    world.run_until(LIMIT, |_| reader.is_done()).unwrap();
    drop(inside);
}

#[test]
fn queue_serves_takers_in_order_and_loses_nothing_to_those_that_left() {
    let (mut world, node, _) = stage();
    let queue = Queue::new();
    let (gone, first, handed, second) = (queue.get(), queue.get(), queue.get(), queue.get());
    drop(gone);
    (1..=4).for_each(|n| queue.put(n));
    // Number 2 is on its way to `handed` and must come first again.
    drop(handed);
    let taken = finish(&mut world, &node, await_all([second, first, queue.get(), queue.get()]));
    assert_eq!(taken, [3, 1, 2, 4]);
    assert!(queue.is_empty());
}

#[test]
fn sequence_starts_each_when_the_one_before_is_over() {
    let (mut world, node, log) = stage();
    let sequence = Sequence::new(&node);
    let results = (0..3_u64).map(|n| {
        let (log, node) = (log.clone(), node.clone());
        sequence.add(move || async move {
            after(&node, ms(30 - 10 * n)).await;
            log.note(n);
            n
        })
    });
    let results = finish(&mut world, &node, collect(results));
    assert_eq!(results.unwrap(), [0, 1, 2]);
    assert_eq!(log.lines(), ["30 0", "50 1", "60 2"]);
}

#[test]
fn sequence_goes_on_past_what_was_discarded_and_past_dropped_results() {
    let (mut world, node, log) = stage();
    let sequence = Sequence::new(&node);
    let stuck = sequence.add(std::future::pending::<()>);
    let (first, second) = (log.clone(), log.clone());
    let skipped = sequence.add(move || async move { first.note("skipped") });
    drop(sequence.add(move || async move { second.note("unwatched") }));
    skipped.discard();
    world.run_for(ms(10));
    stuck.discard();
    assert_eq!(finish(&mut world, &node, stuck), Err(Discarded));
    world.run_for(ms(10));
    assert_eq!(log.lines(), ["10 unwatched"]);
}

#[test]
fn sequence_that_is_dropped_discards_what_is_left() {
    let (mut world, node, _) = stage();
    let sequence = Sequence::new(&node);
    let running = sequence.add(std::future::pending::<()>);
    let waiting = sequence.add(std::future::pending::<()>);
    world.run_for(ms(10));
    drop(sequence);
    assert_eq!(finish(&mut world, &node, running), Err(Discarded));
    assert_eq!(finish(&mut world, &node, waiting), Err(Discarded));
}

#[test]
fn latch_opens_for_all_at_the_last_decrement() {
    let (mut world, node, _) = stage();
    let latch = CountDownLatch::new(2);
    let open = background(&node, latch.triggered());
    latch.decrement();
    world.run_for(ms(1));
    assert!(!open.is_done());
    latch.decrement();
    latch.decrement();
    world.run_until(LIMIT, |_| open.is_done()).unwrap();
    finish(&mut world, &node, latch.triggered());
    finish(&mut world, &node, CountDownLatch::new(0).triggered());
}

#[test]
fn once_is_done_by_the_next_when_the_first_gives_up() {
    let (mut world, node, _) = stage();
    let once = Once::new();
    let (first, second, third) = (once.begin(), once.begin(), once.begin());
    drop(finish(&mut world, &node, first).unwrap());
    finish(&mut world, &node, second).unwrap().done();
    assert!(finish(&mut world, &node, third).is_none());
}

#[test]
fn collect_fails_with_the_first_failure_while_await_all_waits_for_all() {
    let (mut world, node, log) = stage();
    let job = |result: Result<u8, u8>, delay: u64| {
        let pause = after(&node, ms(delay));
        async move {
            pause.await;
            result
        }
    };
    assert_eq!(finish(&mut world, &node, collect([job(Ok(1), 500), job(Err(2), 10)])), Err(2));
    log.note("failed");
    let all = finish(&mut world, &node, await_all([job(Ok(1), 500), job(Err(2), 10)]));
    assert_eq!(all, [Ok(1), Err(2)]);
    let first = select([job(Err(9), 10), job(Ok(3), 30), job(Ok(4), 20)]);
    assert_eq!(finish(&mut world, &node, first), 4);
    log.note("selected");
    assert_eq!(log.lines(), ["10 failed", "530 selected"]);
}

#[test]
fn select_of_failures_alone_does_not_end() {
    let (mut world, node, _) = stage();
    let never = select([std::future::ready(Err::<(), u8>(1))]);
    let pending = background(&node, never);
    let nothing = background(&node, select(Vec::<std::future::Ready<Result<(), u8>>>::new()));
    world.run_for(LIMIT);
    assert!(!pending.is_done() && !nothing.is_done());
}

#[test]
fn repeat_that_is_always_ready_gives_others_a_turn() {
    let (mut world, node, log) = stage();
    let (counting, other) = (log.clone(), log.clone());
    let mut rounds = 0;
    let busy = background(
        &node,
        repeat(
            || std::future::ready(()),
            move |()| {
                rounds += 1;
                let flow = if rounds == 1000 { Break(()) } else { Continue(()) };
                if rounds == 1000 {
                    counting.note("loop over");
                }
                std::future::ready(flow)
            },
        ),
    );
    let small = background(&node, async move { other.note("other") });
    finish(&mut world, &node, await_all([busy, small]));
    assert_eq!(log.lines(), ["0 other", "0 loop over"]);
}

#[derive(Default)]
struct Adder {
    sum: u32,
}

impl Process for Adder {
    fn routes(_: &mut Routes<Self>) {}
}

#[test]
fn repeat_in_a_process_runs_each_step_as_its_event() {
    let (mut world, node, log) = stage();
    let adder = node.spawn("adder", Adder::default()).unwrap();
    let steps = repeat_in(
        adder,
        |_: &mut Adder, cx: &mut Ctx<Adder>| cx.sleep(ms(10)),
        |adder, (), _| {
            adder.sum += 1;
            if adder.sum == 3 { Break(adder.sum) } else { Continue(()) }
        },
    );
    assert_eq!(finish(&mut world, &node, steps), Ok(3));
    log.note("over");
    assert_eq!(log.lines(), ["30 over"]);
}

#[test]
fn repeat_in_a_process_that_ends_tells_that_it_is_gone() {
    let (mut world, node, _) = stage();
    let adder = node.spawn("adder", Adder::default()).unwrap();
    let pid = adder.pid().clone();
    let next = |_: &mut Adder, cx: &mut Ctx<Adder>| cx.sleep(ms(10));
    let body = |_: &mut Adder, (), cx: &mut Ctx<Adder>| {
        cx.stop();
        Continue::<(), ()>(())
    };
    let gone = finish(&mut world, &node, repeat_in(adder, next, body));
    assert_eq!(gone, Err(crate::Gone(pid)));
}

#[test]
fn after_that_is_dropped_leaves_no_timer_behind() {
    let (mut world, node, _) = stage();
    world.run_for(ms(1));
    let start = world.now();
    drop(after(&node, LIMIT));
    finish(&mut world, &node, after(&node, ms(10)));
    assert_eq!(world.now() - start, ms(10));
    let events = world.events();
    world.run_for(LIMIT * 2);
    assert_eq!(world.events(), events, "nothing happens at the dropped timer's hour");
}

#[test]
fn run_does_its_work_once_and_leaves_no_process_behind() {
    let (mut world, node, _) = stage();
    let answer = run(&node, || 6 * 7);
    assert_eq!(finish(&mut world, &node, answer), Ok(42));
    let broken = run(&node, || assert!(node_is_fine()));
    assert_eq!(finish(&mut world, &node, broken), Err(Discarded));
    assert!(!node.processes().iter().any(|id| id.starts_with("__async__")));
}

fn node_is_fine() -> bool {
    false
}
