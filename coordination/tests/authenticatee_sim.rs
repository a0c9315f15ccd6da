//! Proving who one is, against a stand-in for a master, and with somebody else who interferes.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail their test")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use coordination::authenticatee::{Outcome, authenticate};
use futures::FutureExt;
use libprocess::sim::World;
use libprocess::{Ctx, Handle, Node, NodeConfig, Pid, Process, Routes};
use protos::cram_md5;
use protos::credentials::Credential;
use protos::mesos::internal::{
    AuthenticateMessage, AuthenticationCompletedMessage, AuthenticationFailedMessage,
    AuthenticationMechanismsMessage, AuthenticationStartMessage, AuthenticationStepMessage,
};

const CHALLENGE: &[u8] = b"<1.2@host>";

/// A master with one session for all, which knows `p`. What it is told it leaves to be seen.
#[derive(Default)]
struct Master {
    /// Does not answer.
    deaf: bool,
    clients: Arc<Mutex<Vec<(String, Pid)>>>,
}

impl Process for Master {
    fn routes(routes: &mut Routes<Self>) {
        routes.on(Self::authenticate).on(Self::start).on(Self::step);
    }
}

impl Master {
    fn authenticate(&mut self, m: AuthenticateMessage, cx: &mut Ctx<Self>) {
        self.clients.lock().unwrap().push((m.pid, cx.from().clone()));
        if !self.deaf {
            cx.reply(&AuthenticationMechanismsMessage { mechanisms: vec!["CRAM-MD5".to_owned()] });
        }
    }

    fn start(&mut self, m: AuthenticationStartMessage, cx: &mut Ctx<Self>) {
        assert_eq!(m.mechanism, "CRAM-MD5");
        cx.reply(&AuthenticationStepMessage { data: CHALLENGE.into() });
    }

    fn step(&mut self, m: AuthenticationStepMessage, cx: &mut Ctx<Self>) {
        let (principal, digest) = cram_md5::claim(&m.data).unwrap();
        if principal == "p" && cram_md5::verify("s", CHALLENGE, &digest) {
            cx.reply(&AuthenticationCompletedMessage {});
        } else {
            cx.reply(&AuthenticationFailedMessage {});
        }
    }
}

/// Notes the answers that it gets.
#[derive(Default)]
struct Stranger(Arc<Mutex<usize>>);

impl Process for Stranger {
    fn routes(routes: &mut Routes<Self>) {
        routes.otherwise(|stranger, _, _| *stranger.0.lock().unwrap() += 1);
    }
}

struct Stage {
    world: World,
    client: Node,
    master: Pid,
    clients: Arc<Mutex<Vec<(String, Pid)>>>,
    stranger: Handle<Stranger>,
    heard: Arc<Mutex<usize>>,
}

fn stage(deaf: bool) -> Stage {
    let mut world = World::new(1);
    let mut node = |at: &str| world.node(at.parse().unwrap(), NodeConfig::default());
    let (home, client, elsewhere) =
        (node("10.0.0.1:5050"), node("10.0.0.2:5051"), node("10.0.0.9:1"));
    let (clients, heard) = (Arc::default(), Arc::default());
    let master = Master { deaf, clients: Arc::clone(&clients) };
    let master = home.spawn("master", master).unwrap().pid().clone();
    let stranger = elsewhere.spawn("stranger", Stranger(Arc::clone(&heard))).unwrap();
    Stage { world, client, master, clients, stranger, heard }
}

impl Stage {
    fn prove(&self, secret: &str) -> impl Future<Output = Outcome> + use<> {
        let credential = Credential { principal: "p".to_owned(), secret: secret.to_owned() };
        let me: Pid = "slave(1)@10.0.0.2:5051".parse().unwrap();
        let limit = Duration::from_secs(5);
        authenticate(&self.client, me, self.master.clone(), credential, limit)
    }
}

#[test]
fn secret_that_is_right_proves_the_client_and_a_wrong_one_does_not() {
    for (secret, outcome) in [("s", Outcome::Proved), ("x", Outcome::Refused)] {
        let mut stage = stage(false);
        let proving = stage.prove(secret);
        stage.world.settle();
        assert_eq!(proving.now_or_never(), Some(outcome));
        assert_eq!(stage.clients.lock().unwrap()[0].0, "slave(1)@10.0.0.2:5051");
    }
}

#[test]
fn master_that_is_silent_is_waited_for_no_longer_than_said() {
    let mut stage = stage(true);
    let mut proving = Box::pin(stage.prove("s"));
    stage.world.run_for(Duration::from_secs(4));
    assert_eq!(proving.as_mut().now_or_never(), None);
    stage.world.run_for(Duration::from_secs(2));
    assert!(matches!(proving.now_or_never(), Some(Outcome::Failed(_))));
}

#[test]
fn stranger_neither_ends_an_attempt_nor_learns_anything_of_the_secret() {
    let mut stage = stage(true);
    let mut proving = Box::pin(stage.prove("s"));
    stage.world.run_for(Duration::from_secs(1));
    let authenticatee = stage.clients.lock().unwrap()[0].1.clone();
    stage.stranger.tell(move |_, cx| {
        let mechanisms = vec!["CRAM-MD5".to_owned()];
        cx.send(&authenticatee, &AuthenticationMechanismsMessage { mechanisms });
        cx.send(&authenticatee, &AuthenticationStepMessage { data: CHALLENGE.into() });
        cx.send(&authenticatee, &AuthenticationCompletedMessage {});
        cx.send(&authenticatee, &AuthenticationFailedMessage {});
    });
    stage.world.run_for(Duration::from_secs(1));
    assert_eq!(proving.as_mut().now_or_never(), None);
    assert_eq!(*stage.heard.lock().unwrap(), 0);
}
