use super::rules::*;
use protos::mesos::internal::log::metadata::Status;
use protos::mesos::internal::log::{
    Action, PromiseRequest, WriteRequest, action, promise_response, write_response,
};

fn voting() -> (Rules, Vec<Change>) {
    let (mut rules, mut changes) = (Rules::default(), Vec::new());
    rules.enter(Status::Voting, 0, &mut changes);
    changes.clear();
    (rules, changes)
}

fn write(proposal: u64, position: u64, text: &'static str) -> WriteRequest {
    WriteRequest {
        proposal,
        position,
        r#type: action::Type::Append.into(),
        append: Some(action::Append { bytes: text.into(), cksum: None }),
        ..WriteRequest::default()
    }
}

fn truncate(position: u64, to: u64) -> Action {
    Action {
        position,
        promised: 1,
        performed: Some(1),
        r#type: Some(action::Type::Truncate.into()),
        truncate: Some(action::Truncate { to }),
        ..Action::default()
    }
}

fn ask(rules: &mut Rules, proposal: u64, position: Option<u64>) -> (Promised, Vec<Change>) {
    let mut changes = Vec::new();
    (rules.promise(&PromiseRequest { proposal, position }, &mut changes), changes)
}

fn kind(promised: &Promised) -> (promise_response::Type, u64) {
    match promised {
        Promised::Whole(response) => (response.r#type(), response.proposal),
        Promised::With { proposal, .. } => (promise_response::Type::Accept, *proposal),
    }
}

#[test]
fn replica_that_does_not_vote_ignores_writers_and_tells_recoverers_its_status() {
    use promise_response::Type::Ignored;
    for status in [Status::Empty, Status::Starting, Status::Recovering] {
        let (mut rules, mut changes) = voting();
        rules.enter(status, 0, &mut changes);
        changes.clear();
        assert_eq!(kind(&ask(&mut rules, 9, None).0), (Ignored, 9));
        assert_eq!(kind(&ask(&mut rules, 9, Some(1)).0), (Ignored, 9));
        let written = rules.write(&write(9, 1, "x"), &mut changes).unwrap();
        assert_eq!(written.r#type(), write_response::Type::Ignored);
        assert!(changes.is_empty());
        let answer = rules.recover();
        assert_eq!((answer.status(), answer.begin, answer.end), (status, None, None));
    }
}

#[test]
fn implicit_promise_is_kept_and_only_a_higher_one_follows() {
    use promise_response::Type::{Accept, Reject};
    let (mut rules, _) = voting();
    let (answer, changes) = ask(&mut rules, 5, None);
    assert_eq!(kind(&answer), (Accept, 5));
    assert!(matches!(&changes[..], [Change::Metadata(metadata)] if metadata.promised == 5));
    for late in [0, 4, 5] {
        let (answer, changes) = ask(&mut rules, late, None);
        assert_eq!((kind(&answer), changes.len()), ((Reject, 5), 0));
    }
}

#[test]
fn explicit_promise_follows_the_table() {
    use promise_response::Type::{Accept, Reject};
    let (mut rules, mut changes) = voting();
    ask(&mut rules, 5, None);
    // Nothing there: the promise for all positions counts.
    assert_eq!(kind(&ask(&mut rules, 5, Some(3)).0), (Reject, 5));
    let (answer, kept) = ask(&mut rules, 6, Some(3));
    assert_eq!((kind(&answer), kept.len()), ((Accept, 6), 1));
    assert_eq!(rules.end(), 3);
    // Something there: its own promise counts.
    assert_eq!(kind(&ask(&mut rules, 6, Some(3)).0), (Reject, 6));
    assert!(rules.write(&write(7, 3, "x"), &mut changes).unwrap().okay);
    let (answer, kept) = ask(&mut rules, 8, Some(3));
    assert_eq!(answer, Promised::With { position: 3, proposal: 8 });
    assert_eq!(kept, [Change::Promised { position: 3, proposal: 8 }]);
    // Truncated.
    rules.learn(truncate(9, 7), &mut changes);
    let (answer, kept) = ask(&mut rules, 1, Some(3));
    let Promised::Whole(answer) = answer else { panic!("{answer:?}") };
    assert_eq!(answer.action, Some(tombstone(3, 1)));
    assert!(kept.is_empty());
}

#[test]
fn write_follows_the_table() {
    use write_response::Type::{Accept, Reject};
    let (mut rules, mut changes) = voting();
    ask(&mut rules, 5, None);
    let mut answer = |rules: &mut Rules, proposal, text| {
        let response = rules.write(&write(proposal, 1, text), &mut changes);
        response.map(|response| (response.r#type(), response.proposal))
    };
    assert_eq!(answer(&mut rules, 4, "x"), Some((Reject, 5)));
    assert_eq!(answer(&mut rules, 5, "x"), Some((Accept, 5)));
    assert_eq!(answer(&mut rules, 5, "x"), Some((Accept, 5)));
    ask(&mut rules, 8, Some(1));
    assert_eq!(answer(&mut rules, 7, "y"), Some((Reject, 8)));
    assert_eq!(answer(&mut rules, 8, "y"), Some((Accept, 8)));
    let learned = Action { position: 1, performed: Some(8), ..truncate(1, 0) };
    rules.learn(learned, &mut Vec::new());
    assert_eq!(answer(&mut rules, 9, "z"), None);
}

#[test]
fn learning_truncates_and_replaying_what_was_kept_gives_the_same_state() {
    let (mut rules, mut changes) = (Rules::default(), Vec::new());
    rules.enter(Status::Voting, 0, &mut changes);
    for position in 1..6 {
        rules.write(&write(1, position, "x"), &mut changes);
        let action = Action { performed: Some(1), ..truncate(position, 0) };
        rules.learn(action, &mut changes);
    }
    rules.learn(truncate(6, 4), &mut changes);
    assert_eq!((rules.begin(), rules.end(), rules.missing(0, 6)), (4, 6, vec![]));
    rules.learn(tombstone(4, 9), &mut changes);
    assert_eq!((rules.begin(), rules.end()), (5, 6));
    rules.learn(tombstone(8, 9), &mut changes);
    assert_eq!((rules.begin(), rules.end()), (9, 8));
    let mut replayed = Rules::default();
    changes.iter().for_each(|change| replayed.replay(change));
    assert_eq!(replayed, rules);
}

#[test]
fn missing_positions_are_those_not_learned() {
    let (mut rules, mut changes) = voting();
    assert_eq!(rules.missing(0, 0), [0]);
    rules.write(&write(1, 2, "x"), &mut changes);
    rules.learn(Action { position: 3, ..truncate(3, 0) }, &mut changes);
    assert_eq!(rules.missing(0, rules.end()), [0, 1, 2]);
}

#[test]
fn write_that_is_asked_for_again_is_accepted_and_not_stored_again() {
    let (mut rules, mut changes) = voting();
    for stored in [1, 0] {
        changes.clear();
        let answer = rules.write(&write(3, 1, "x"), &mut changes).unwrap();
        assert_eq!((answer.r#type(), changes.len()), (write_response::Type::Accept, stored));
    }
}
