//! The algorithm without time, network and disk: hand-made schedules, message by message.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests")]

use examples::raft::Bug;
use examples::raft::machine::{Effects, Event, Machine, Message, Reply, Role};
use examples::raft::messages::{Command, Record};
use examples::raft::storage::{Recovered, encode, recover};

/// Servers whose messages are delivered by hand, and their disks.
struct Bench {
    machines: Vec<Machine>,
    disks: Vec<Vec<Record>>,
    /// From, to, what.
    wire: Vec<(usize, usize, Message)>,
    replies: Vec<(usize, Reply)>,
    bug: Option<Bug>,
}

impl Bench {
    fn new(size: usize, bug: Option<Bug>) -> Self {
        let fresh = |me| Machine::new(me, size, Recovered::default(), bug);
        let machines = (0..size).map(fresh).collect();
        let disks = vec![Vec::new(); size];
        Self { machines, disks, wire: Vec::new(), replies: Vec::new(), bug }
    }

    fn step(&mut self, server: usize, event: Event) {
        let Effects { save, messages, replies, .. } = self.machines[server].step(event);
        self.disks[server].extend(save);
        self.wire.extend(messages.into_iter().map(|(to, message)| (server, to, message)));
        self.replies.extend(replies.into_iter().map(|(_, reply)| (server, reply)));
    }

    /// Delivers what is on the wire between `among` until nothing is; all else is lost.
    fn deliver(&mut self, among: &[usize]) {
        while !self.wire.is_empty() {
            for (from, to, message) in std::mem::take(&mut self.wire) {
                if among.contains(&from) && among.contains(&to) {
                    self.step(to, Event::Message(from, message));
                }
            }
        }
    }

    /// Delivers the next message from one server to another.
    fn pass(&mut self, from: usize, to: usize) {
        let at = self.wire.iter().position(|(a, b, _)| (*a, *b) == (from, to)).unwrap();
        let (_, _, message) = self.wire.remove(at);
        self.step(to, Event::Message(from, message));
    }

    fn elect(&mut self, server: usize, among: &[usize]) {
        self.step(server, Event::ElectionTimeout);
        self.deliver(among);
        assert!(self.leads(server), "{server} is not elected");
    }

    fn leads(&self, server: usize) -> bool {
        matches!(self.machines[server].state().0, Role::Leader { .. })
    }

    fn write(&mut self, server: usize, value: u64) {
        let client = format!("client{value}@10.0.0.9:1");
        self.step(server, Event::Command(Command { client, serial: 1, write: Some(value) }));
    }

    fn restart(&mut self, server: usize) {
        let file: Vec<u8> = self.disks[server].iter().flat_map(encode).collect();
        let (recovered, _) = recover(&file);
        self.machines[server] = Machine::new(server, self.machines.len(), recovered, self.bug);
    }

    fn value(&self, server: usize) -> u64 {
        self.machines[server].state().3
    }

    fn answered(&self, value: u64) -> bool {
        let is_it = |reply: &Reply| matches!(reply, Reply::Answer(answer) if answer.value == value);
        self.replies.iter().any(|(_, reply)| is_it(reply))
    }
}

#[test]
fn raft_write_on_a_majority_is_answered_and_on_a_minority_not() {
    let mut bench = Bench::new(5, None);
    bench.elect(0, &[0, 1, 2, 3, 4]);
    bench.write(0, 7);
    bench.deliver(&[0, 1]);
    assert!(!bench.answered(7));
    bench.step(0, Event::Repeat);
    bench.deliver(&[0, 1, 2]);
    assert!(bench.answered(7));
    assert_eq!((bench.value(0), bench.value(3)), (7, 0));
}

#[test]
fn raft_candidate_that_lacks_what_is_committed_is_not_elected() {
    let mut bench = Bench::new(3, None);
    bench.elect(0, &[0, 1, 2]);
    bench.write(0, 7);
    bench.deliver(&[0, 1]);
    assert!(bench.answered(7));
    bench.step(2, Event::ElectionTimeout);
    bench.deliver(&[1, 2]);
    assert!(!bench.leads(2));
    bench.elect(1, &[1, 2]);
    bench.step(1, Event::Repeat);
    bench.deliver(&[1, 2]);
    assert_eq!(bench.value(2), 7);
}

#[test]
fn raft_follower_names_the_leader_to_clients() {
    let mut bench = Bench::new(3, None);
    bench.elect(2, &[0, 1, 2]);
    bench.write(0, 7);
    assert_eq!(bench.replies, [(0, Reply::Redirect(1, Some(2)))]);
}

#[test]
fn raft_voter_that_restarts_keeps_its_vote_unless_it_forgets_votes() {
    for bug in [None, Some(Bug::ForgetsVotes)] {
        let mut bench = Bench::new(3, bug);
        // Both want to lead term 1, and hear nothing of each other.
        bench.step(0, Event::ElectionTimeout);
        bench.step(1, Event::ElectionTimeout);
        bench.pass(0, 2);
        bench.restart(2);
        bench.pass(2, 0);
        bench.pass(1, 2);
        bench.pass(2, 1);
        assert!(bench.leads(0));
        assert_eq!(bench.leads(1), bug.is_some(), "two leaders of one term");
    }
}

/// The paper's figure 8, on three servers. True when writes are answered and then lost.
fn figure_8(bug: Option<Bug>) -> bool {
    let mut bench = Bench::new(3, bug);
    // Term 1: server 0 leads. Its writes, as many as a message carries, reach nobody.
    bench.elect(0, &[0, 1, 2]);
    (1..=4).for_each(|value| bench.write(0, value));
    bench.wire.clear();
    // Term 2: server 2 leads by the vote of server 1. Its first entry reaches nobody.
    bench.step(2, Event::ElectionTimeout);
    bench.pass(2, 1);
    bench.pass(1, 2);
    assert!(bench.leads(2));
    bench.wire.clear();
    // Term 3: server 0, which had crashed, leads by the vote of server 1, and finds out what that one
    // lacks.
    bench.restart(0);
    bench.step(0, Event::ElectionTimeout);
    bench.wire.clear();
    bench.step(0, Event::ElectionTimeout);
    for _ in 0..2 {
        bench.pass(0, 1);
        bench.pass(1, 0);
    }
    // The old writes come to stand on a majority, without an entry of term 3 behind them.
    bench.pass(0, 1);
    bench.pass(1, 0);
    bench.wire.clear();
    // Term 4: server 0 has crashed again. Server 2, which had crashed too, may lead by the vote of
    // server 1, as its last entry is of a later term, and replaces them.
    bench.restart(2);
    bench.step(2, Event::ElectionTimeout);
    bench.wire.clear();
    bench.elect(2, &[1, 2]);
    bench.write(2, 9);
    bench.deliver(&[1, 2]);
    assert!(bench.answered(9));
    bench.answered(4)
}

#[test]
fn raft_old_entries_on_a_majority_are_not_committed_by_counting() {
    assert!(!figure_8(None));
    assert!(figure_8(Some(Bug::CountsOldTerms)));
}
