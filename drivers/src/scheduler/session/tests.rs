use coordination::authenticatee::{Outcome, Patience};
use protos::credentials::Credential;
use protos::mesos::SlaveId as WireSlaveId;
use protos::mesos::internal::StatusUpdate;
use protos::mesos::scheduler::call;

use super::*;

fn pid(text: &str) -> Pid {
    text.parse().unwrap()
}

fn master() -> Pid {
    pid("master@10.0.0.1:5050")
}

fn framework() -> FrameworkInfo {
    FrameworkInfo { user: "u".into(), name: "n".into(), ..FrameworkInfo::default() }
}

fn session(framework: FrameworkInfo) -> Session {
    Session::new(framework, Duration::from_secs(2), true, Proof::default())
}

fn subscribed() -> Session {
    let mut session = session(framework());
    session.detected(Some(master()));
    session.registered(&master(), FrameworkId::new("F"), MasterInfo::default());
    session
}

fn calls_in(effects: &[Effect]) -> Vec<&Call> {
    effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Call(to, call) | Effect::Acknowledge(to, call) if *to == master() => {
                Some(&**call)
            }
            _ => None,
        })
        .collect()
}

fn told(effects: &[Effect]) -> Vec<&Event> {
    effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Tell(event) => Some(event),
            _ => None,
        })
        .collect()
}

fn update(uuid: Option<&'static [u8]>, pid: Option<&str>) -> StatusUpdateMessage {
    let status = protos::status::of(&TaskId::new("T"), TaskState::TaskRunning, 1.0).build();
    StatusUpdateMessage {
        update: StatusUpdate {
            framework_id: FrameworkId::new("F").wire(),
            slave_id: Some(SlaveId::new("S").wire()),
            status,
            timestamp: 2.0,
            uuid: uuid.map(bytes::Bytes::from_static),
            ..StatusUpdate::default()
        },
        pid: pid.map(str::to_owned),
    }
}

#[test]
fn detected_master_is_linked_and_subscribed_to() {
    let mut session = session(framework());
    let effects = session.detected(Some(master()));
    assert!(effects.contains(&Effect::Link(master())));
    assert!(effects.contains(&Effect::Retry(Duration::from_secs(2))));
    let subscribe = calls_in(&effects)[0];
    assert_eq!(subscribe.r#type(), call::Type::Subscribe);
    assert_eq!(subscribe.subscribe.as_ref().unwrap().force, Some(false));
    assert_eq!(subscribe.framework_id, None);
}

#[test]
fn subscribe_without_answer_waits_longer_up_to_the_cap() {
    let limits = |failover_timeout: f64| -> Vec<u64> {
        let mut session =
            session(FrameworkInfo { failover_timeout: Some(failover_timeout), ..framework() });
        session.detected(Some(master()));
        (0..6)
            .flat_map(|_| session.subscribe())
            .filter_map(|effect| match effect {
                Effect::Retry(limit) => Some(limit.as_secs()),
                _ => None,
            })
            .collect()
    };
    assert_eq!(limits(0.0), [4, 8, 16, 32, 60, 60]);
    assert_eq!(limits(100.0), [4, 8, 10, 10, 10, 10]);
}

#[test]
fn framework_with_id_takes_over_until_it_is_registered() {
    let mut session =
        session(FrameworkInfo { id: Some(FrameworkId::new("F").wire()), ..framework() });
    let force = |effects: &[Effect]| calls_in(effects)[0].subscribe.as_ref().unwrap().force;
    assert_eq!(force(&session.detected(Some(master()))), Some(true));
    session.registered(&master(), FrameworkId::new("F"), MasterInfo::default());
    let again = session.detected(Some(master()));
    assert_eq!(told(&again), [&Event::Disconnected]);
    assert_eq!(force(&again), Some(false));
}

#[test]
fn messages_from_others_than_the_master_are_ignored() {
    let mut session = subscribed();
    let stranger = pid("master@10.0.0.2:5050");
    let all = [
        session.registered(&stranger, FrameworkId::new("X"), MasterInfo::default()),
        session.offered(&stranger, vec![Offer::default()], &[]),
        session.rescinded(&stranger, OfferId::new("O")),
        session.updated(&stranger, update(Some(b"0123456789abcdef"), Some("slave(1)@1.1.1.1:1"))),
        session.slave_lost(&stranger, SlaveId::new("S")),
        session.executor_lost(&stranger, &ExitedExecutorMessage::default()),
        session.error(&stranger, "no".into()),
    ];
    for effects in all {
        assert!(matches!(effects[..], [Effect::Note(_)]), "{effects:?}");
    }
    assert!(!session.is_aborted());
}

#[test]
fn status_update_is_acknowledged_only_when_a_slave_sent_it() {
    const UUID: &[u8] = b"0123456789abcdef";
    let cases = [
        (Some(UUID), Some("slave(1)@1.1.1.1:5051"), true),
        (Some(UUID), None, false),
        (Some(UUID), Some(""), false),
        (Some(&b""[..]), Some("slave(1)@1.1.1.1:5051"), false),
        (None, Some("slave(1)@1.1.1.1:5051"), false),
    ];
    for (uuid, pid, acknowledged) in cases {
        let effects = subscribed().updated(&master(), update(uuid, pid));
        let Event::Update(status) = told(&effects)[0] else {
            panic!("no update");
        };
        assert_eq!(status.uuid.is_some(), acknowledged, "{uuid:?} {pid:?}");
        assert_eq!(status.timestamp, Some(2.0));
        assert_eq!(status.slave_id, Some(WireSlaveId { value: "S".into() }));
        let calls = calls_in(&effects);
        assert_eq!(calls.len(), usize::from(acknowledged), "{uuid:?} {pid:?}");
        if acknowledged {
            assert_eq!(calls[0].framework_id, Some(FrameworkId::new("F").wire()));
            assert_eq!(calls[0].acknowledge.as_ref().unwrap().uuid, UUID);
        }
    }
}

#[test]
fn explicit_mode_leaves_acknowledging_to_the_scheduler() {
    let mut session = Session::new(framework(), Duration::from_secs(2), false, Proof::default());
    session.detected(Some(master()));
    session.registered(&master(), FrameworkId::new("F"), MasterInfo::default());
    let from_slave = update(Some(b"0123456789abcdef"), Some("slave(1)@1.1.1.1:5051"));
    assert!(calls_in(&session.updated(&master(), from_slave)).is_empty());
}

#[test]
fn master_link_broken_disconnects_and_subscribes_again_later() {
    let mut session = subscribed();
    let effects = session.exited(&master());
    assert_eq!(told(&effects), [&Event::Disconnected]);
    assert!(effects.contains(&Effect::Retry(Duration::from_secs(2))));
    assert!(session.exited(&master()).is_empty());
    assert_eq!(calls_in(&session.subscribe())[0].r#type(), call::Type::Subscribe);
    let back = session.reregistered(&master(), &FrameworkId::new("F"), MasterInfo::default());
    assert_eq!(told(&back), [&Event::Reregistered(MasterInfo::default())]);
}

#[test]
fn launch_without_master_loses_the_tasks() {
    for (capabilities, state) in [
        (vec![], TaskState::TaskLost),
        (vec![capability::Type::PartitionAware], TaskState::TaskDropped),
    ] {
        let mut session = session(FrameworkInfo {
            capabilities: capabilities
                .into_iter()
                .map(|kind| protos::mesos::framework_info::Capability { r#type: Some(kind.into()) })
                .collect(),
            ..framework()
        });
        let task = TaskInfo { task_id: TaskId::new("T").wire(), ..TaskInfo::default() };
        let effects = session.accept(&[], vec![calls::launch(vec![task])], None, 1.0);
        let [Event::Update(status)] = told(&effects)[..] else {
            panic!("{effects:?}");
        };
        assert_eq!((status.state(), status.reason()), (state, Reason::MasterDisconnected));
        assert_eq!(status.uuid, None);
    }
}

#[test]
fn executor_message_goes_to_the_slave_of_an_accepted_offer_else_to_the_master() {
    let mut session = subscribed();
    let send = |session: &Session| {
        session.to_executor(&ExecutorId::new("E"), &SlaveId::new("S"), "data".into())
    };
    let via_master = send(&session);
    assert_eq!(calls_in(&via_master)[0].r#type(), call::Type::Message);
    let offer = Offer {
        id: OfferId::new("O").wire(),
        slave_id: SlaveId::new("S").wire(),
        ..Offer::default()
    };
    session.offered(&master(), vec![offer], &["slave(1)@10.0.0.9:5051".into()]);
    session.accept(&[OfferId::new("O")], vec![], None, 0.0);
    let [Effect::ToExecutor(to, message)] = &send(&session)[..] else {
        panic!("not to the slave");
    };
    assert_eq!(*to, pid("slave(1)@10.0.0.9:5051"));
    assert_eq!(message.data, "data");
}

#[test]
fn framework_error_aborts_before_and_after_registration() {
    let mut fresh = session(framework());
    fresh.detected(Some(master()));
    for mut session in [fresh, subscribed()] {
        let effects = session.error(&master(), "no".into());
        assert_eq!(effects.first(), Some(&Effect::Tell(Event::Error("no".into()))));
        assert_eq!(effects.last(), Some(&Effect::Abort));
        assert!(session.is_aborted());
        assert!(session.detected(Some(master())).is_empty());
        assert!(session.call(calls::revive(vec![])).is_empty());
    }
}

#[test]
fn stop_tears_down_unless_for_failover() {
    let effects = subscribed().stop(false);
    assert_eq!(calls_in(&effects)[0].r#type(), call::Type::Teardown);
    assert!(subscribed().stop(true).is_empty());
}

#[test]
fn link_that_broke_before_the_answer_came_is_made_again() {
    let mut session = session(framework());
    session.detected(Some(master()));
    assert!(session.exited(&master()).is_empty(), "the subscription is repeated anyway");
    let effects = session.registered(&master(), FrameworkId::new("F"), MasterInfo::default());
    assert!(effects.iter().any(|effect| matches!(effect, Effect::Link(to) if *to == master())));
    assert_eq!(told(&session.exited(&master())).len(), 1);
}

fn known() -> Session {
    let credential = Credential { principal: "p".into(), secret: "s".into() };
    let proof = Proof::new(Some(credential), Patience::default());
    Session::new(framework(), Duration::from_secs(2), true, proof)
}

/// The attempt among these, if there is one.
fn attempt(effects: &[Effect]) -> Option<Attempt> {
    effects.iter().find_map(|effect| match effect {
        Effect::Authenticate(attempt) => Some((**attempt).clone()),
        _ => None,
    })
}

#[test]
fn session_with_a_credential_subscribes_once_it_is_known() {
    let mut session = known();
    let effects = session.detected(Some(master()));
    let first = attempt(&effects).unwrap();
    assert!(calls_in(&effects).is_empty());
    assert!(session.subscribe().is_empty(), "one attempt at a time");
    let again = session.proved(first.epoch, Outcome::Failed("slow".into()));
    assert!(matches!(again[..], [Effect::Note(_), Effect::Retry(_)]));
    let second = attempt(&session.subscribe()).unwrap();
    assert!(second.limits.1 > first.limits.1);
    let effects = session.proved(second.epoch, Outcome::Proved);
    assert_eq!(calls_in(&effects).len(), 1);
    // Over a new connection nothing is proved; what comes of the old one is not listened to.
    session.registered(&master(), FrameworkId::new("F"), MasterInfo::default());
    session.exited(&master());
    assert!(session.proved(second.epoch, Outcome::Proved).is_empty());
    assert!(attempt(&session.subscribe()).is_some());
}

#[test]
fn session_whose_connection_breaks_while_it_proves_itself_tries_again() {
    let mut session = known();
    session.detected(Some(master()));
    let effects = session.exited(&master());
    assert!(effects.iter().any(|effect| matches!(effect, Effect::Retry(_))));
    assert!(attempt(&session.subscribe()).is_some());
}

#[test]
fn session_whose_credential_is_refused_is_an_error() {
    let mut session = known();
    let first = attempt(&session.detected(Some(master()))).unwrap();
    let effects = session.proved(first.epoch, Outcome::Refused);
    assert!(matches!(told(&effects)[..], [Event::Error(_)]));
    assert!(session.is_aborted());
}
