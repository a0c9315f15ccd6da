//! The simulator under small processes: messages, faults, links, timers, crashes, determinism.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail their test")]

use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use libprocess::http::{Answer, Request, Response};
use libprocess::sim::{Cut, World, check_determinism, loss, partition, slow};
use libprocess::{Ctx, Envelope, Help, NodeConfig, Pid, Process, Routes};

const LIMIT: Duration = Duration::from_secs(60);

type Log = Arc<Mutex<Vec<String>>>;

fn ip(last: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 0, 0, last)
}

fn address(last: u8) -> SocketAddrV4 {
    SocketAddrV4::new(ip(last), 5050)
}

fn entries(log: &Log) -> Vec<String> {
    log.lock().unwrap().clone()
}

/// Logs what it gets; answers `Ping` by `Pong`; links to `watch`; counts its lives on disk.
#[derive(Default)]
struct Probe {
    log: Log,
    watch: Option<Pid>,
}

impl Probe {
    fn logging(log: &Log) -> Self {
        Self { log: log.clone(), watch: None }
    }

    fn watching(log: &Log, pid: Pid) -> Self {
        Self { log: log.clone(), watch: Some(pid) }
    }

    fn note(&self, text: impl Into<String>) {
        self.log.lock().unwrap().push(text.into());
    }

    fn message(&mut self, envelope: Envelope, cx: &mut Ctx<Self>) {
        self.note(format!("{} {}", envelope.name, String::from_utf8_lossy(&envelope.body)));
        if envelope.name == "Ping" {
            cx.send_raw(&envelope.from, "Pong".into(), envelope.body);
        }
    }

    fn slow_answer(&mut self, _: Request, cx: &mut Ctx<Self>) -> Answer {
        let pause = cx.sleep(Duration::from_secs(5));
        Answer::later(async move {
            pause.await;
            Response::ok("text/plain", "done")
        })
    }
}

impl Process for Probe {
    fn routes(routes: &mut Routes<Self>) {
        routes.otherwise(Self::message).get("/slow", Help::new("", ""), Self::slow_answer);
    }

    fn initialize(&mut self, cx: &mut Ctx<Self>) {
        if let Some(pid) = &self.watch {
            cx.link(pid);
        }
    }

    fn exited(&mut self, pid: &Pid, _: &mut Ctx<Self>) {
        self.note(format!("exited {}", pid.id()));
    }
}

/// Two nodes with a probe each; the first one's log is returned.
fn pair(world: &mut World) -> (Pid, Pid, Log) {
    let log = Log::default();
    let a = world.node(address(1), NodeConfig::default());
    let b = world.node(address(2), NodeConfig::default());
    let b_pid = b.pid("b");
    b.spawn("b", Probe::default()).unwrap();
    a.spawn("a", Probe::watching(&log, b_pid.clone())).unwrap();
    world.settle();
    (a.pid("a"), b_pid, log)
}

fn ping(world: &World, from: &Pid, to: &Pid, body: &str) {
    let envelope = Envelope {
        from: from.clone(),
        to: to.clone(),
        name: "Ping".into(),
        body: body.to_owned().into(),
    };
    world.living(from).unwrap().post(envelope);
}

#[test]
fn messages_between_nodes_arrive_in_order_and_are_answered() {
    let mut world = World::new(1);
    let (a, b, log) = pair(&mut world);
    for number in 0..50 {
        ping(&world, &a, &b, &number.to_string());
    }
    world.settle();
    let expected: Vec<_> = (0..50).map(|number| format!("Pong {number}")).collect();
    assert_eq!(entries(&log), expected);
}

#[test]
fn loss_of_half_the_messages_lets_about_a_quarter_of_the_answers_through() {
    let mut world = World::new(2);
    let (a, b, log) = pair(&mut world);
    let rule = world.add_rule(loss(0.5));
    for _ in 0..1000 {
        ping(&world, &a, &b, "x");
    }
    world.settle();
    let answers = entries(&log).len();
    assert!((200..300).contains(&answers), "{answers} answers");
    world.remove_rule(rule);
    ping(&world, &a, &b, "last");
    world.settle();
    assert_eq!(entries(&log).last().unwrap(), "Pong last");
}

#[test]
fn partition_hides_a_crash_until_it_is_healed() {
    let mut world = World::new(3);
    let (a, b, log) = pair(&mut world);
    let cut = world.add_rule(partition([ip(1)], [ip(2)], Cut::Both));
    ping(&world, &a, &b, "x");
    world.crash(&b);
    world.run_for(Duration::from_secs(30));
    assert_eq!(entries(&log), Vec::<String>::new());
    world.remove_rule(cut);
    world.run_until(LIMIT, |_| entries(&log) == ["exited b"]).unwrap();
}

#[test]
fn partition_fires_no_exit_until_connections_are_reset() {
    let mut world = World::new(3);
    let (a, b, log) = pair(&mut world);
    world.add_rule(partition([ip(1)], [ip(2)], Cut::OneWay));
    world.run_for(Duration::from_secs(100));
    assert!(entries(&log).is_empty());
    world.reset_connections(&a, &b);
    world.settle();
    assert_eq!(entries(&log), ["exited b"]);
}

#[test]
fn link_to_a_dead_node_exits_and_to_a_crashing_one_too() {
    let mut world = World::new(4);
    let (_, b, log) = pair(&mut world);
    world.crash(&b);
    world.settle();
    assert_eq!(entries(&log), ["exited b"]);
    let late = Log::default();
    let c = world.node(address(3), NodeConfig::default());
    c.spawn("c", Probe::watching(&late, b)).unwrap();
    world.settle();
    assert_eq!(entries(&late), ["exited b"]);
}

#[test]
fn slow_link_delays_one_way() {
    let mut world = World::new(5);
    let (a, b, log) = pair(&mut world);
    world.add_rule(slow(ip(1), ip(2), Duration::from_secs(3)));
    let sent = world.now();
    ping(&world, &a, &b, "x");
    let arrived = world.run_until(LIMIT, |_| !entries(&log).is_empty()).unwrap();
    let took = arrived - sent;
    assert!(took > Duration::from_secs(3) && took < Duration::from_millis(3100), "{took:?}");
}

#[test]
fn timers_fire_in_the_order_of_their_deadlines_and_cancelled_ones_never() {
    let mut world = World::new(6);
    let log = Log::default();
    let node = world.node(address(1), NodeConfig::default());
    let probe = node.spawn("a", Probe::logging(&log)).unwrap();
    probe.tell(|_, cx| {
        for (delay, name) in [(30, "late"), (10, "first"), (10, "second")] {
            cx.after(Duration::from_millis(delay), move |probe: &mut Probe, _| probe.note(name));
        }
        let timer = cx.after(Duration::from_millis(20), |probe: &mut Probe, _| probe.note("never"));
        cx.cancel(&timer);
    });
    world.run_for(Duration::from_secs(1));
    assert_eq!(entries(&log), ["first", "second", "late"]);
}

#[test]
fn node_crashed_and_restarted_keeps_only_what_was_synced() {
    let mut world = World::new(7);
    let node = world.node(address(1), NodeConfig::default());
    let log = Log::default();
    let seen = log.clone();
    world.on_start(&node, move |node| {
        let probe = node.spawn("a", Probe::logging(&seen)).unwrap();
        probe.tell(|_, cx| {
            let read = cx.disk().read("/lives".as_ref());
            let disk = cx.disk();
            let grow = async move {
                let before = read.await.unwrap_or_default();
                disk.append("/lives".as_ref(), "x".into()).await.unwrap();
                before.len()
            };
            cx.defer(grow, |probe: &mut Probe, lives, _| probe.note(lives.to_string()));
        });
    });
    world.settle();
    world.restart(&node);
    world.settle();
    // Crashed before the append is on disk.
    let third = world.restart(&node).unwrap();
    world.run_for(Duration::from_micros(10));
    world.restart(&third);
    world.settle();
    assert_eq!(entries(&log), ["0", "1", "2"]);
    assert_eq!(world.file(&node, "/lives").unwrap().len(), 3);
}

#[test]
fn node_crashed_amid_appends_keeps_a_prefix_and_all_that_was_promised() {
    let all: String = (10..60).map(|number| number.to_string()).collect();
    let (mut torn, mut lengths) = (false, std::collections::BTreeSet::new());
    for seed in 0..40 {
        let mut world = World::new(seed);
        let node = world.node(address(1), NodeConfig::default());
        let log = Log::default();
        let probe = node.spawn("a", Probe::logging(&log)).unwrap();
        probe.tell(|_, cx| {
            for number in 10..60 {
                let done = cx.disk().append("/log".as_ref(), number.to_string().into());
                cx.defer(done, |probe: &mut Probe, done, _| probe.note(format!("{done:?}")));
            }
        });
        world.run_for(Duration::from_millis(6));
        world.crash_torn(&node);
        world.settle();
        let kept = world.file(&node, "/log").unwrap_or_default();
        assert_eq!(kept.as_ref(), &all.as_bytes()[..kept.len()]);
        assert!(kept.len() >= 2 * entries(&log).len());
        torn |= kept.len() % 2 == 1;
        lengths.insert(kept.len());
    }
    assert!(torn && lengths.len() > 10, "{lengths:?}");
}

#[test]
fn node_crashed_amid_appends_to_several_files_keeps_a_prefix_of_each() {
    let all: String = (10..30).map(|number| number.to_string()).collect();
    let mut uneven = false;
    for seed in 0..40 {
        let mut world = World::new(seed);
        let node = world.node(address(1), NodeConfig::default());
        let probe = node.spawn("a", Probe::default()).unwrap();
        probe.tell(|_, cx| {
            for number in 10..30 {
                for file in ["/one", "/two"] {
                    drop(cx.disk().append(file.as_ref(), number.to_string().into()));
                }
            }
        });
        world.run_for(Duration::from_millis(6));
        world.crash_torn(&node);
        world.settle();
        let kept = ["/one", "/two"].map(|file| world.file(&node, file).unwrap_or_default());
        for kept in &kept {
            assert_eq!(kept.as_ref(), &all.as_bytes()[..kept.len()]);
        }
        uneven |= kept[0].len() + 2 <= kept[1].len();
    }
    assert!(uneven, "appends under way together become durable in any order");
}

#[test]
fn frozen_node_handles_nothing_until_it_thaws() {
    let mut world = World::new(8);
    let (a, b, log) = pair(&mut world);
    world.freeze(&b);
    ping(&world, &a, &b, "x");
    world.run_for(Duration::from_secs(10));
    assert!(entries(&log).is_empty());
    world.thaw(&b);
    world.settle();
    assert_eq!(entries(&log), ["Pong x"]);
}

#[test]
fn http_answers_come_in_virtual_time_and_dead_nodes_give_503() {
    let mut world = World::new(9);
    let (a, b, _) = pair(&mut world);
    let before = world.now();
    let response = world.http(&b, "GET", "/b/slow");
    assert_eq!((response.status, response.bytes().as_ref()), (200, "done".as_bytes()));
    assert_eq!(world.now() - before, Duration::from_secs(5));
    assert_eq!(world.http(&a, "GET", "/nobody").status, 404);
    assert_eq!(world.http(&a, "GET", "/__processes__").status, 200);
    world.crash(&b);
    assert_eq!(world.http(&b, "GET", "/b/slow").status, 503);
}

#[test]
fn handle_to_a_crashed_process_learns_that_it_is_gone() {
    let mut world = World::new(10);
    let node = world.node(address(1), NodeConfig::default());
    let probe = node.spawn("a", Probe::default()).unwrap();
    world.settle();
    let asked = probe.ask(|_, _| ());
    world.crash(&node);
    assert!(futures::executor::block_on(asked).is_err());
    assert!(!probe.tell(|_, _| ()));
}

#[test]
fn skewed_clock_shifts_what_the_node_reads_and_no_timers() {
    let mut world = World::new(11);
    let node = world.node(address(1), NodeConfig::default());
    world.skew(&node, -1_000_000_000);
    assert_eq!(world.now() - node.now(), Duration::from_secs(1));
}

fn scenario(world: &mut World) {
    world.add_rule(loss(0.2));
    let (a, b, _) = pair(world);
    for number in 0..100 {
        ping(world, &a, &b, &number.to_string());
        world.run_for(Duration::from_millis(3));
    }
    world.crash(&b);
    world.settle();
}

#[test]
fn seed_run_twice_gives_one_trace_and_another_seed_another() {
    let one = check_determinism(1, scenario).unwrap();
    let two = check_determinism(2, scenario).unwrap();
    assert_ne!(one, two);
}

#[test]
fn scenario_that_looks_outside_is_caught_at_its_first_difference() {
    let mut runs = 0;
    let diverged = check_determinism(1, |world| {
        runs += 1;
        let (a, b, _) = pair(world);
        if runs > 1 {
            ping(world, &a, &b, "only the second time");
        }
        world.settle();
    })
    .unwrap_err();
    assert!(diverged.line.contains("b@10.0.0.2:5050 Ping"), "{diverged}");
}

#[test]
fn process_that_panics_is_reported() {
    let mut world = World::new(12);
    let node = world.node(address(1), NodeConfig::default());
    let probe = node.spawn("a", Probe::default()).unwrap();
    probe.tell(|_, _| panic!("on purpose"));
    world.settle();
    assert_eq!(world.panics(), ["a@10.0.0.1:5050"]);
}
