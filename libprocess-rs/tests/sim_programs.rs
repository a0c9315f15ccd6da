//! Stand-ins for programs in the simulator: start, output, signals, ends, orphans.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail their test")]

use std::net::SocketAddrV4;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::FutureExt;
use libprocess::sim::{SpawnedProgram, World};
use libprocess::subprocess::{Command, Ended, ExitStatus, Output, SubprocessError, Target};
use libprocess::{Ctx, Handle, Node, NodeConfig, Process, Routes};

const LIMIT: Duration = Duration::from_secs(60);

#[derive(Default)]
struct Parent {
    started: Option<u32>,
    failed: Option<String>,
    ended: Option<Ended>,
}

impl Process for Parent {
    fn routes(_: &mut Routes<Self>) {}
}

impl Parent {
    fn start(&mut self, command: Command, cx: &mut Ctx<Self>) {
        let child = cx.subprocesses().spawn(command);
        cx.defer(child, |parent, child, cx| match child {
            Err(error @ SubprocessError::Spawn { .. }) => parent.failed = Some(error.to_string()),
            Err(error) => parent.failed = Some(format!("unexpected: {error}")),
            Ok(child) => {
                parent.started = Some(child.pid);
                cx.defer(child.ended, |parent, ended, _| parent.ended = Some(ended));
            }
        });
    }
}

fn address() -> SocketAddrV4 {
    "10.0.0.1:5051".parse().unwrap()
}

fn command(program: &str) -> Command {
    Command {
        program: format!("/usr/libexec/{program}"),
        argv: vec![program.into(), "--loud".into()],
        env: [("KEY".to_owned(), "value".to_owned())].into(),
        stdout: Output::Collect,
        stderr: Output::File("/sandbox/stderr".into()),
        ..Command::default()
    }
}

fn parent(world: &mut World) -> (Node, Handle<Parent>) {
    let node = world.node(address(), NodeConfig::default());
    let handle = node.spawn("parent", Parent::default()).unwrap();
    (node, handle)
}

/// What the parent knows, asked over its handle.
fn look<T: Send + 'static>(
    world: &mut World,
    of: &Handle<Parent>,
    what: impl FnOnce(&mut Parent) -> T + Send + 'static,
) -> T {
    let mut asked = of.ask(|parent, _| what(parent));
    let mut value = None;
    world
        .run_until(LIMIT, |_| {
            value = (&mut asked).now_or_never().map(Result::unwrap);
            value.is_some()
        })
        .unwrap();
    value.unwrap()
}

fn ended(world: &mut World, of: &Handle<Parent>) -> Ended {
    world.settle();
    look(world, of, |parent| parent.ended.clone()).unwrap()
}

#[test]
fn program_gets_its_arguments_and_its_end_comes_back_with_its_output() {
    let mut world = World::new(1);
    world.program("tool", |program: SpawnedProgram| {
        assert_eq!(program.argv(), ["tool", "--loud"]);
        assert_eq!(program.env("KEY"), Some("value"));
        assert_eq!(*program.node().address().ip(), *address().ip());
        program.print(b"out");
        program.print_error(b"err");
        program.exit(ExitStatus::exited(3));
    });
    let (node, handle) = parent(&mut world);
    handle.tell(|parent, cx| parent.start(command("tool"), cx));
    let ended = ended(&mut world, &handle);
    assert_eq!(ended.status, Some(ExitStatus::exited(3)));
    assert_eq!(ended.stdout.as_ref(), b"out");
    assert_eq!(world.file(&node, "/sandbox/stderr").unwrap().as_ref(), b"err");
    assert!(world.running_programs().is_empty());
}

#[test]
fn program_ends_with_its_main_function() {
    let mut world = World::new(5);
    world.program("sleep", |program| {
        let pause = program.node().sleep(Duration::from_secs(30));
        program.run(async move {
            pause.await;
            ExitStatus::exited(7)
        });
    });
    let (_, handle) = parent(&mut world);
    let started = world.now();
    handle.tell(|parent, cx| parent.start(command("sleep"), cx));
    world.run_for(Duration::from_secs(29));
    assert_eq!(world.running_programs().len(), 1);
    world.run_until(LIMIT, |world| world.running_programs().is_empty()).unwrap();
    assert!(world.now() - started >= Duration::from_secs(30));
    assert_eq!(ended(&mut world, &handle).status, Some(ExitStatus::exited(7)));
}

#[test]
fn program_that_nothing_stands_in_for_is_not_found() {
    let mut world = World::new(2);
    let (_, handle) = parent(&mut world);
    handle.tell(|parent, cx| parent.start(command("missing"), cx));
    world.settle();
    let failed = look(&mut world, &handle, |parent| parent.failed.clone()).unwrap();
    assert!(failed.starts_with("cannot start /usr/libexec/missing"), "{failed}");
}

#[test]
fn signals_end_a_program_unless_it_handles_them() {
    let mut world = World::new(3);
    let caught = Arc::new(Mutex::new(Vec::new()));
    let seen = caught.clone();
    world.program("stubborn", move |program| {
        let seen = seen.clone();
        program.on_signal(move |signal| seen.lock().unwrap().push(signal));
    });
    let (_, handle) = parent(&mut world);
    handle.tell(|parent, cx| parent.start(command("stubborn"), cx));
    world.settle();
    let pid = look(&mut world, &handle, |parent| parent.started).unwrap();
    let signal = |signal: i32| {
        handle.tell(move |_, cx| {
            cx.subprocesses().signal(Target::Tree(pid), signal).unwrap();
            cx.subprocesses().signal(Target::Process(77), signal).unwrap();
        });
    };
    signal(15);
    world.settle();
    assert_eq!(*caught.lock().unwrap(), [15]);
    assert!(look(&mut world, &handle, |parent| parent.ended.is_none()));
    signal(9);
    assert_eq!(ended(&mut world, &handle).status, Some(ExitStatus::signalled(9)));
}

#[test]
fn programs_survive_their_parents_crash_unless_told_otherwise() {
    let mut world = World::new(4);
    world.program("survivor", |_| {});
    world.program("follower", |program| program.die_with_parent());
    let (node, handle) = parent(&mut world);
    for name in ["survivor", "follower"] {
        handle.tell(move |parent, cx| parent.start(command(name), cx));
    }
    handle.tell(|parent, cx| {
        parent.start(Command { die_with_parent: true, ..command("survivor") }, cx);
    });
    world.settle();
    assert_eq!(world.running_programs().len(), 3);
    world.crash(&node);
    world.settle();
    let left = world.running_programs();
    assert_eq!(left.len(), 1);
    // A later life waits for it as for a process that is not its child.
    let (_, handle) = parent(&mut world);
    let pid = left[0];
    handle.tell(move |_, cx| {
        let gone = cx.subprocesses().wait(pid);
        cx.defer(gone, |parent: &mut Parent, ended, _| parent.ended = Some(ended));
        cx.subprocesses().signal(Target::Process(pid), 15).unwrap();
    });
    assert_eq!(ended(&mut world, &handle).status, None);
}
