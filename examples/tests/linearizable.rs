//! The judge of histories: known cases, and the same verdict as trying every order.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests")]

use examples::raft::history::{Action, History, Operation, Recorder};
use examples::raft::linearizable::check;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Plays what clients do, an event for each word: `0w5` client 0 begins to write 5, `1r` client 1
/// begins to read, `0.` client 0 gets its answer, `1=5` client 1 gets the answer 5.
fn history(events: &str) -> History {
    let recorder = Recorder::default();
    for event in events.split_whitespace() {
        let (client, rest) = event.split_at(1);
        let client = client.parse().unwrap();
        let (kind, value) = rest.split_at(1);
        match kind {
            "w" => assert!(recorder.call(client, Action::Write(value.parse().unwrap()))),
            "r" => assert!(recorder.call(client, Action::Read(None))),
            "." => recorder.returned(client, 0),
            "=" => recorder.returned(client, value.parse().unwrap()),
            _ => panic!("what is {event}?"),
        }
    }
    recorder.seen()
}

#[test]
fn history_that_one_register_can_show_is_linearizable() {
    let cases = [
        "",
        "0r 0=0",
        "0w1 0. 1r 1=1",
        // At the same time: before or after.
        "0w1 1r 1=0 0.",
        "0w1 1r 1=1 0.",
        "0w1 1w2 0. 1. 2r 2=1",
        "0w1 1w2 0. 1. 2r 2=2",
        // Never answered: took effect, or not.
        "0w1 1r 1=1 1r 1=1",
        "0w1 1r 1=0 1r 1=0",
        "0w1 1w2 1. 2r 2=2 2r 2=1",
        "0r 1w1 1. 1r 1=1",
    ];
    for case in cases {
        assert!(check(0, &history(case)).is_ok(), "{case}");
    }
}

#[test]
fn history_that_no_register_can_show_is_not_linearizable() {
    let cases = [
        "0r 0=1",
        // Stale.
        "0w1 0. 1r 1=0",
        // There and back again.
        "0w1 1r 1=1 1r 1=0",
        "0w1 1r 2r 1=1 2=0 2r 2=0",
        "0w1 1w2 0. 1. 2r 2=1 3r 3=2",
        // Lost.
        "0w1 0. 0w2 0. 1r 1=1",
        "0w1 1w2 1. 2r 2=2 2r 2=1 2r 2=2",
    ];
    for case in cases {
        assert!(check(0, &history(case)).is_err(), "{case}");
    }
}

#[test]
fn violation_tells_the_order_up_to_it_and_what_does_not_fit() {
    let violation = check(0, &history("0w1 0. 0w2 0. 1r 1=1")).unwrap_err();
    let text = violation.to_string();
    assert!(
        text.contains("client 0: write 2 [3, 4]\nleaves the value 2, but next come\n"),
        "{text}"
    );
    assert!(text.ends_with("client 1: read 1 [5, 6]\n"), "{text}");
}

/// Every order, without memory and without clients: slow and plain.
fn any_order_fits(value: u64, left: &[Operation]) -> bool {
    left.iter().all(|operation| operation.returned.is_none())
        || left.iter().enumerate().any(|(first, operation)| {
            let mut rest = left.to_vec();
            rest.remove(first);
            let is_late =
                |other: &Operation| other.returned.is_some_and(|at| at < operation.called);
            let after = match operation.action {
                Action::Write(written) => Some(written),
                Action::Read(read) => read.is_none_or(|read| read == value).then_some(value),
            };
            !rest.iter().any(is_late) && after.is_some_and(|after| any_order_fits(after, &rest))
        })
}

#[test]
fn judge_agrees_with_trying_every_order() {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let mut fits = 0;
    for _ in 0..2000 {
        let recorder = Recorder::default();
        let mut waits = [false; 3];
        for _ in 0..12 {
            let client = rng.random_range(0..waits.len());
            let write = Action::Write(rng.random_range(1..4));
            let is_write = rng.random_bool(0.5);
            match waits[client] {
                true => recorder.returned(client, rng.random_range(0..4)),
                false => {
                    recorder.call(client, if is_write { write } else { Action::Read(None) });
                }
            }
            waits[client] = !waits[client];
        }
        let history = recorder.seen();
        let expected = any_order_fits(0, &history.clients.concat());
        assert_eq!(check(0, &history).is_ok(), expected, "{history:?}");
        fits += usize::from(expected);
    }
    assert!((200..1800).contains(&fits), "{fits} of 2000 fit");
}
