//! Messages, calls, timers, ends.

use std::path::PathBuf;
use std::time::Duration;

use libprocess::{Ctx, Process, Routes, Seen, SpawnError};

use crate::bed::{Bed, Log};
use crate::probe::{send, spawn};

/// Waits until the log has `lines` lines and returns them.
pub(crate) fn logged<B: Bed>(
    bed: &mut B,
    node: &libprocess::Node,
    log: &Log,
    lines: usize,
) -> Vec<String> {
    let node = node.clone();
    let seen = log.clone();
    bed.wait(async move {
        while seen.lines().len() < lines {
            node.sleep(Duration::from_millis(1)).await;
        }
    });
    log.lines()
}

pub(crate) fn messages_between_nodes_arrive_in_order<B: Bed>(bed: &mut B) {
    let (a, b) = (bed.plain(), bed.plain());
    let log = Log::default();
    let (sender, receiver) = (spawn(&a, "sender", &Log::default()), spawn(&b, "receiver", &log));
    let to = receiver.pid().clone();
    sender.tell(move |_, cx| {
        for number in 0..1_000 {
            cx.send_raw(&to, "n".into(), number.to_string().into());
        }
    });
    let lines = logged(bed, &a, &log, 1_000);
    let expected: Vec<_> = (0..1_000).map(|number| format!("n {number} from sender")).collect();
    assert_eq!(lines, expected);
}

pub(crate) fn messages_of_one_process_are_handled_in_order_and_others_unharmed<B: Bed>(
    bed: &mut B,
) {
    let node = bed.plain();
    let (log, other) = (Log::default(), Log::default());
    let (a, b) = (spawn(&node, "a", &log), spawn(&node, "b", &other));
    for number in 0..500 {
        send(&b, a.pid(), "n", number);
    }
    send(&a, b.pid(), "n", "hello");
    let lines = logged(bed, &node, &log, 500);
    assert_eq!(lines[499], "n 499 from b");
    assert_eq!(logged(bed, &node, &other, 1), ["n hello from a"]);
}

pub(crate) fn message_to_nobody_is_dropped_silently<B: Bed>(bed: &mut B) {
    let (a, b) = (bed.plain(), bed.plain());
    let log = Log::default();
    let (here, there) = (spawn(&a, "here", &Log::default()), spawn(&b, "there", &log));
    for nobody in [a.pid("nobody"), b.pid("nobody"), libprocess::Pid::empty()] {
        send(&here, &nobody, "x", "");
    }
    send(&here, there.pid(), "after", "");
    assert_eq!(logged(bed, &a, &log, 1), ["after  from here"]);
}

pub(crate) fn forwarded_message_keeps_its_sender<B: Bed>(bed: &mut B) {
    struct Relay(libprocess::Pid);
    impl Process for Relay {
        fn routes(routes: &mut Routes<Self>) {
            routes.otherwise(|relay, envelope, cx| cx.forward(&relay.0, envelope));
        }
    }
    let (a, b) = (bed.plain(), bed.plain());
    let log = Log::default();
    let (sender, receiver) = (spawn(&a, "sender", &Log::default()), spawn(&b, "receiver", &log));
    let relay = b.spawn("relay", Relay(receiver.pid().clone())).unwrap();
    send(&sender, relay.pid(), "m", 1);
    assert_eq!(logged(bed, &a, &log, 1), ["m 1 from sender"]);
}

pub(crate) fn delegated_messages_go_to_the_other_process<B: Bed>(bed: &mut B) {
    struct Front;
    impl Process for Front {
        fn routes(_: &mut Routes<Self>) {}
    }
    let node = bed.plain();
    let log = Log::default();
    let (sender, back) = (spawn(&node, "sender", &Log::default()), spawn(&node, "back", &log));
    let front = node.spawn("front", Front).unwrap();
    let to = back.pid().clone();
    front.tell(move |_, cx| cx.delegate("passed", Some(to)));
    send(&sender, front.pid(), "unknown", 0);
    send(&sender, front.pid(), "passed", 1);
    assert_eq!(logged(bed, &node, &log, 1), ["passed 1 from sender"]);
}

pub(crate) fn handler_is_atomic_though_it_starts_much<B: Bed>(bed: &mut B) {
    let node = bed.plain();
    let log = Log::default();
    let probe = spawn(&node, "probe", &log);
    probe.tell(|probe, cx| {
        probe.log.push("begin");
        cx.later(|probe, _| probe.log.push("later"));
        cx.after(Duration::ZERO, |probe, _| probe.log.push("timer"));
        cx.send_raw(&cx.pid().clone(), "message".into(), "".into());
        cx.defer(async {}, |probe, (), _| probe.log.push("deferred"));
        probe.log.push("end");
    });
    let lines = logged(bed, &node, &log, 6);
    assert_eq!(lines[..2], ["begin", "end"]);
    // What the process queues itself is in order; what comes from outside has none with it.
    let place = |what: &str| lines.iter().position(|line| line.starts_with(what));
    assert!(place("later") < place("message"));
}

pub(crate) fn timers_fire_by_deadline_and_not_once_cancelled<B: Bed>(bed: &mut B) {
    let node = bed.plain();
    let log = Log::default();
    let probe = spawn(&node, "probe", &log);
    probe.tell(|_, cx| {
        let push = |text: &'static str| {
            move |probe: &mut crate::probe::Probe, _: &mut Ctx<_>| probe.log.push(text)
        };
        cx.after(Duration::from_millis(60), push("third"));
        cx.after(Duration::from_millis(20), push("first"));
        let never = cx.after(Duration::from_millis(30), push("never"));
        cx.after(Duration::from_millis(40), push("second"));
        cx.cancel(&never);
    });
    assert_eq!(logged(bed, &node, &log, 3), ["first", "second", "third"]);
}

pub(crate) fn deferred_result_comes_as_an_event<B: Bed>(bed: &mut B) {
    let node = bed.plain();
    let log = Log::default();
    let probe = spawn(&node, "probe", &log);
    probe.tell(|_, cx| {
        let pause = cx.sleep(Duration::from_millis(5));
        let future = async move {
            pause.await;
            42
        };
        cx.defer(future, |probe, value, _| probe.log.push(format!("got {value}")));
    });
    assert_eq!(logged(bed, &node, &log, 1), ["got 42"]);
}

pub(crate) fn ask_of_a_process_that_is_gone_says_so<B: Bed>(bed: &mut B) {
    let node = bed.plain();
    let probe = spawn(&node, "probe", &Log::default());
    assert_eq!(bed.wait(probe.ask(|_, cx| cx.pid().id().to_owned())), Ok("probe".to_owned()));
    node.terminate(probe.pid(), true);
    bed.wait(node.wait(probe.pid()));
    assert!(bed.wait(probe.ask(|_, _| ())).is_err());
    assert!(!probe.tell(|_, _| ()));
}

fn queue_behind_a_terminate<B: Bed>(bed: &mut B, inject: bool) -> Vec<String> {
    let node = bed.plain();
    let log = Log::default();
    let (probe, me) = (spawn(&node, "probe", &log), node.clone());
    // From inside a handler, so that nothing is handled in between.
    probe.tell(move |_, cx| {
        cx.later(|probe, _| probe.log.push("before"));
        me.terminate(cx.pid(), inject);
        cx.later(|probe, _| probe.log.push("after"));
    });
    bed.wait(node.wait(probe.pid()));
    log.lines()
}

pub(crate) fn terminate_at_once_drops_what_is_queued<B: Bed>(bed: &mut B) {
    assert_eq!(queue_behind_a_terminate(bed, true), ["finalize probe"]);
}

pub(crate) fn terminate_in_turn_handles_what_is_queued<B: Bed>(bed: &mut B) {
    assert_eq!(queue_behind_a_terminate(bed, false), ["before", "finalize probe"]);
}

pub(crate) fn spawn_of_a_taken_id_fails_until_it_is_free<B: Bed>(bed: &mut B) {
    let node = bed.plain();
    let log = Log::default();
    let first = spawn(&node, "x", &log);
    let taken = node.spawn("x", crate::probe::Probe { log: log.clone() });
    assert_eq!(taken.map(drop), Err(SpawnError::Taken("x".to_owned())));
    node.terminate(first.pid(), false);
    bed.wait(node.wait(first.pid()));
    // A message to the name reaches whoever has it now.
    let (sender, second) = (spawn(&node, "sender", &log), spawn(&node, "x", &log));
    send(&sender, second.pid(), "m", 1);
    assert_eq!(logged(bed, &node, &log, 2), ["finalize x", "m 1 from sender"]);
    let numbered = node.spawn_numbered("n", crate::probe::Probe { log: log.clone() });
    assert_eq!(numbered.pid().id(), "n(1)");
}

pub(crate) fn panic_ends_one_process_and_tells_its_linkers<B: Bed>(bed: &mut B) {
    let node = bed.plain();
    let log = Log::default();
    let (victim, watcher) =
        (spawn(&node, "victim", &Log::default()), spawn(&node, "watcher", &log));
    let pid = victim.pid().clone();
    watcher.tell(move |_, cx| cx.link(&pid));
    send(&watcher, victim.pid(), "panic", "");
    assert_eq!(logged(bed, &node, &log, 1), ["exited victim"]);
    send(&watcher, watcher.pid(), "still", "");
    assert_eq!(logged(bed, &node, &log, 2)[1], "still  from watcher");
}

pub(crate) fn filter_drops_what_it_names<B: Bed>(bed: &mut B) {
    let node = bed.plain();
    let log = Log::default();
    let probe = spawn(&node, "probe", &log);
    node.set_filter(|to, seen| {
        matches!(seen, Seen::Message { name, .. } if **name == *"secret" && to.id() == "probe")
    });
    send(&probe, probe.pid(), "secret", 1);
    send(&probe, probe.pid(), "open", 2);
    assert_eq!(logged(bed, &node, &log, 1), ["open 2 from probe"]);
    node.clear_filter();
    send(&probe, probe.pid(), "secret", 3);
    assert_eq!(logged(bed, &node, &log, 2)[1], "secret 3 from probe");
}

pub(crate) fn files_written_are_read_back<B: Bed>(bed: &mut B) {
    let dir = tempfile::tempdir().unwrap();
    let node = bed.plain();
    let probe = spawn(&node, "probe", &Log::default());
    let (path, root): (PathBuf, PathBuf) = (dir.path().join("a/b"), dir.path().into());
    let done = probe.ask_later(move |_, cx| {
        let disk = cx.disk();
        async move {
            disk.write(&path, "one".into()).await?;
            disk.append(&path, " two".into()).await?;
            let read = disk.read(&path).await?;
            let names = disk.list(&root).await?;
            let missing = disk.read(&root.join("none")).await.is_err();
            disk.remove(&root.join("a")).await?;
            let gone = disk.stat(&path).await.is_err();
            Ok::<_, libprocess::disk::DiskError>((read, names.len(), missing, gone))
        }
    });
    let (read, names, missing, gone) = bed.wait(done).unwrap().unwrap();
    assert_eq!((read.as_ref(), names, missing, gone), (&b"one two"[..], 1, true, true));
}

pub(crate) fn finished_node_has_handled_everything<B: Bed>(bed: &mut B) {
    let node = bed.plain();
    let log = Log::default();
    let probe = spawn(&node, "probe", &log);
    for number in 0..100 {
        send(&probe, probe.pid(), "n", number);
    }
    bed.wait(node.finish());
    let lines = log.lines();
    // The sends were queued calls; the messages they made came behind the terminate event.
    assert_eq!(lines.last().map(String::as_str), Some("finalize probe"));
}
