//! Links and exited events.

use std::net::{Ipv4Addr, SocketAddrV4};

use libprocess::{Handle, Pid};

use crate::bed::{Bed, Log};
use crate::events::logged;
use crate::probe::{Probe, send, spawn};

fn link(from: &Handle<Probe>, to: &Pid) {
    let to = to.clone();
    assert!(from.tell(move |_, cx| cx.link(&to)));
}

pub(crate) fn link_to_a_dead_process_or_address_exits<B: Bed>(bed: &mut B) {
    let node = bed.plain();
    let log = Log::default();
    let linker = spawn(&node, "linker", &log);
    link(&linker, &Pid::empty());
    link(&linker, &node.pid("nobody"));
    assert_eq!(logged(bed, &node, &log, 1), ["exited nobody"]);
    // Nobody listens on port 1 of the loopback, nor anywhere in the simulated world.
    link(&linker, &Pid::new("far", SocketAddrV4::new(Ipv4Addr::LOCALHOST, 1)));
    assert_eq!(logged(bed, &node, &log, 2)[1], "exited far");
}

pub(crate) fn link_twice_to_a_process_exits_once<B: Bed>(bed: &mut B) {
    let node = bed.plain();
    let log = Log::default();
    let (linker, linked) = (spawn(&node, "linker", &log), spawn(&node, "linked", &Log::default()));
    link(&linker, linked.pid());
    link(&linker, linked.pid());
    bed.wait(linker.ask(|_, _| ())).unwrap();
    node.terminate(linked.pid(), true);
    logged(bed, &node, &log, 1);
    send(&linker, linker.pid(), "after", "");
    assert_eq!(logged(bed, &node, &log, 2), ["exited linked", "after  from linker"]);
}

pub(crate) fn link_is_used_up_by_its_event<B: Bed>(bed: &mut B) {
    let node = bed.plain();
    let log = Log::default();
    let linker = spawn(&node, "linker", &log);
    for _ in 0..2 {
        let linked = spawn(&node, "linked", &Log::default());
        link(&linker, linked.pid());
        bed.wait(linker.ask(|_, _| ())).unwrap();
        node.terminate(linked.pid(), true);
        bed.wait(node.wait(linked.pid()));
    }
    assert_eq!(logged(bed, &node, &log, 2), ["exited linked", "exited linked"]);
    let third = spawn(&node, "linked", &Log::default());
    node.terminate(third.pid(), true);
    bed.wait(node.wait(third.pid()));
    bed.wait(linker.ask(|_, _| ())).unwrap();
    assert_eq!(log.lines().len(), 2, "nobody linked to the third");
}

pub(crate) fn link_of_a_linker_that_ended_is_forgotten<B: Bed>(bed: &mut B) {
    let node = bed.plain();
    let log = Log::default();
    let linked = spawn(&node, "linked", &Log::default());
    let linker = spawn(&node, "linker", &log);
    link(&linker, linked.pid());
    bed.wait(linker.ask(|_, _| ())).unwrap();
    node.terminate(linker.pid(), true);
    bed.wait(node.wait(linker.pid()));
    let heir = spawn(&node, "linker", &log);
    node.terminate(linked.pid(), true);
    bed.wait(node.wait(linked.pid()));
    bed.wait(heir.ask(|_, _| ())).unwrap();
    assert_eq!(log.lines(), ["finalize linker"]);
}

pub(crate) fn link_to_a_node_exits_for_all_its_linkers_when_it_dies<B: Bed>(bed: &mut B) {
    let (a, b) = (bed.plain(), bed.plain());
    let (log, echo) = (Log::default(), Log::default());
    let (x, y) = (spawn(&b, "x", &echo), spawn(&b, "y", &echo));
    let (first, second) = (spawn(&a, "first", &log), spawn(&a, "second", &log));
    for (from, to) in [(&first, &x), (&first, &y), (&second, &x)] {
        link(from, to.pid());
        send(from, to.pid(), "hello", "");
    }
    // The connection is made once messages have come over it.
    logged(bed, &a, &echo, 3);
    bed.kill(&b);
    let mut lines = logged(bed, &a, &log, 3);
    lines.sort();
    assert_eq!(lines, ["exited x", "exited x", "exited y"]);
}

pub(crate) fn link_to_an_unknown_id_on_a_living_node_stays<B: Bed>(bed: &mut B) {
    let (a, b) = (bed.plain(), bed.plain());
    let (log, echo) = (Log::default(), Log::default());
    let (linker, there) = (spawn(&a, "linker", &log), spawn(&b, "there", &echo));
    link(&linker, &b.pid("nobody"));
    send(&linker, there.pid(), "hello", "");
    logged(bed, &a, &echo, 1);
    b.terminate(there.pid(), true);
    bed.wait(b.wait(there.pid()));
    bed.wait(linker.ask(|_, _| ())).unwrap();
    assert_eq!(log.lines(), Vec::<String>::new(), "links watch the node, not the process");
}
