//! Stand-ins for operating-system processes: a program is a function that starts actors on a node
//! of its own, on its parent's host.

use std::collections::BTreeMap;
use std::net::SocketAddrV4;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::channel::oneshot;
use futures::future::BoxFuture;

use super::queue::{Entry, LifeId};
use super::state::{Shared, State};
use super::trace::Detail;
use crate::Node;
use crate::subprocess::{
    Child, Command, Ended, ExitStatus, Output, SubprocessError, Subprocesses, Target,
};

/// How long a program takes to start.
const START_LATENCY: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(10));
/// How long a signal or the news of an end takes.
const SIGNAL_LATENCY: (Duration, Duration) =
    (Duration::from_micros(20), Duration::from_micros(200));
/// The first process id of a world.
const FIRST_PID: u32 = 1000;
/// The first ephemeral port of a host.
pub(super) const FIRST_PORT: u16 = 32768;
/// Most bytes collected of one output, as of real children.
const MAX_COLLECTED_BYTES: usize = 1024 * 1024;

const SIGKILL: i32 = 9;
const SIGCHLD: i32 = 17;
const SIGCONT: i32 = 18;
const SIGSTOP: i32 = 19;

type OnSignal = Arc<dyn Fn(i32) + Send + Sync>;

/// A program that was asked for and starts soon.
pub(super) struct SpawnRequest {
    pub(super) parent: LifeId,
    pub(super) command: Command,
    pub(super) reply: oneshot::Sender<std::io::Result<(u32, oneshot::Receiver<Ended>)>>,
}

/// A program that runs.
pub(super) struct Running {
    pub(super) life: LifeId,
    parent: Option<u32>,
    /// Leads a session of its own.
    session: bool,
    pub(super) parent_life: LifeId,
    pub(super) dies_with_parent: bool,
    handler: Option<OnSignal>,
    outputs: [Output; 2],
    collected: [Vec<u8>; 2],
    ended: Option<oneshot::Sender<Ended>>,
    waiters: Vec<oneshot::Sender<()>>,
}

/// All programs that run in the world, by process id.
#[derive(Default)]
pub(super) struct Programs {
    pub(super) by_pid: BTreeMap<u32, Running>,
    started: u32,
}

impl Programs {
    /// The process itself and, for groups and trees, its descendants.
    fn members(&self, target: Target) -> Vec<u32> {
        let (root, descend, leave_session) = match target {
            Target::Process(pid) => (pid, false, false),
            Target::Group(pid) => (pid, true, false),
            Target::Tree(pid) => (pid, true, true),
        };
        let mut members = vec![root];
        if descend {
            // Children have higher ids than their parents, so one pass finds all.
            for (pid, running) in &self.by_pid {
                let of_member = running.parent.is_some_and(|parent| members.contains(&parent));
                if of_member && (leave_session || !running.session) {
                    members.push(*pid);
                }
            }
        }
        members.retain(|pid| self.by_pid.contains_key(pid));
        members
    }
}

/// A program that has started, as its stand-in sees it. Clones are handles to the same program.
#[derive(Clone)]
pub struct SpawnedProgram {
    command: Arc<Command>,
    pid: u32,
    node: Node,
    shared: Arc<Shared>,
}

impl SpawnedProgram {
    pub(super) fn new(command: Command, pid: u32, node: Node, shared: Arc<Shared>) -> Self {
        Self { command: Arc::new(command), pid, node, shared }
    }

    /// What was asked to run.
    pub fn command(&self) -> &Command {
        &self.command
    }

    /// The arguments including the zeroth.
    pub fn argv(&self) -> &[String] {
        &self.command.argv
    }

    /// A variable of its environment.
    pub fn env(&self, name: &str) -> Option<&str> {
        self.command.env.get(name).map(String::as_str)
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// The node that is this program: an ephemeral port on the parent's ip, over the same disk.
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// Ends the program: its actors are dropped and its connections break.
    pub fn exit(&self, status: ExitStatus) {
        let pid = self.pid;
        self.shared.with(|state| {
            let at = state.now + state.draw(SIGNAL_LATENCY);
            state.push(at, Entry::Exit { pid, status });
        });
    }

    /// Runs the program's main function beside its actors: the program ends with its result.
    pub fn run(&self, main: impl Future<Output = ExitStatus> + Send + 'static) {
        let life = self.shared.with(|state| state.programs.by_pid.get(&self.pid).map(|it| it.life));
        if let Some(life) = life {
            let program = self.clone();
            self.shared.spawn(life, Box::pin(async move { program.exit(main.await) }));
        }
    }

    /// Handles signals other than SIGKILL, SIGSTOP and SIGCONT instead of ending by them.
    pub fn on_signal(&self, handler: impl Fn(i32) + Send + Sync + 'static) {
        let handler: OnSignal = Arc::new(handler);
        self.shared.with(|state| {
            if let Some(running) = state.programs.by_pid.get_mut(&self.pid) {
                running.handler = Some(handler);
            }
        });
    }

    /// Ends by SIGKILL when the node that started it crashes; otherwise it survives.
    pub fn die_with_parent(&self) {
        self.shared.with(|state| {
            if let Some(running) = state.programs.by_pid.get_mut(&self.pid) {
                running.dies_with_parent = true;
            }
        });
    }

    /// Writes to standard output.
    pub fn print(&self, bytes: &[u8]) {
        self.output(0, bytes);
    }

    /// Writes to standard error.
    pub fn print_error(&self, bytes: &[u8]) {
        self.output(1, bytes);
    }

    fn output(&self, which: usize, bytes: &[u8]) {
        let file = self.shared.with(|state| {
            let life = state.life_at(self.node.address())?;
            let store = state.lives.get(life)?.store.clone();
            let running = state.programs.by_pid.get_mut(&self.pid)?;
            match &running.outputs[which] {
                Output::File(path) => Some((store, path.clone())),
                Output::Collect => {
                    let collected = &mut running.collected[which];
                    let room = MAX_COLLECTED_BYTES - collected.len();
                    collected.extend_from_slice(&bytes[..bytes.len().min(room)]);
                    None
                }
                Output::Inherit | Output::Null => None,
            }
        });
        if let Some((store, path)) = file {
            // Output that cannot be written is lost, as a program's is that does not look.
            let _ = store.lock().append(&path, bytes);
        }
    }
}

/// A node's access to programs.
pub(super) struct SimSubprocesses {
    pub(super) shared: Arc<Shared>,
    pub(super) life: LifeId,
}

impl Subprocesses for SimSubprocesses {
    fn spawn(&self, command: Command) -> BoxFuture<'static, Result<Child, SubprocessError>> {
        let (reply, started) = oneshot::channel();
        let program = command.program.clone();
        let request = SpawnRequest { parent: self.life, command, reply };
        self.shared.with(|state| {
            let at = state.now + state.draw(START_LATENCY);
            state.push(at, Entry::Spawn(Box::new(request)));
        });
        Box::pin(async move {
            let gone = || Err(std::io::Error::other("the node is gone"));
            let started = started.await.unwrap_or_else(|_| gone());
            let (pid, ended) =
                started.map_err(|source| SubprocessError::Spawn { program, source })?;
            let ended = async move { ended.await.unwrap_or_else(|_| unknown()) };
            Ok(Child { pid, ended: Box::pin(ended) })
        })
    }

    fn wait(&self, pid: u32) -> BoxFuture<'static, Ended> {
        let (sender, receiver) = oneshot::channel();
        self.shared.with(|state| {
            if let Some(running) = state.programs.by_pid.get_mut(&pid) {
                running.waiters.push(sender);
            }
        });
        Box::pin(async move {
            let _ = receiver.await;
            unknown()
        })
    }

    fn signal(&self, target: Target, signal: i32) -> Result<(), SubprocessError> {
        if !(0..=64).contains(&signal) {
            return Err(SubprocessError::Signal {
                target,
                source: std::io::ErrorKind::InvalidInput.into(),
            });
        }
        self.shared.with(|state| {
            let own = state.lives.get(self.life).and_then(|life| life.program);
            // As to kill(2), group 0 is the caller's own.
            let target = match (target, own) {
                (Target::Group(0), Some(own)) => Target::Group(own),
                (target, _) => target,
            };
            for pid in state.programs.members(target) {
                let at = state.now + state.draw(SIGNAL_LATENCY);
                state.push(at, Entry::Signal { pid, signal });
            }
        });
        Ok(())
    }
}

fn unknown() -> Ended {
    Ended { status: None, stdout: Bytes::new(), stderr: Bytes::new() }
}

/// What a signal does.
pub(super) enum Effect {
    Nothing,
    Handle(Box<dyn FnOnce()>),
    Freeze(SocketAddrV4),
    Thaw(SocketAddrV4),
}

/// Who is told of a program's end, outside the lock.
pub(super) struct Farewell {
    pub(super) life: LifeId,
    ended: Option<oneshot::Sender<Ended>>,
    report: Ended,
    waiters: Vec<oneshot::Sender<()>>,
}

impl Farewell {
    pub(super) fn tell(self) {
        if let Some(sender) = self.ended {
            let _ = sender.send(self.report);
        }
        for waiter in self.waiters {
            let _ = waiter.send(());
        }
    }
}

impl State {
    /// Notes a program that starts and says who is told when it ends.
    pub(super) fn program_started(
        &mut self,
        request: &SpawnRequest,
        life: LifeId,
    ) -> (u32, oneshot::Receiver<Ended>) {
        let (ended, receiver) = oneshot::channel();
        let pid = FIRST_PID + self.programs.started;
        self.programs.started += 1;
        let parent = self.lives.get(request.parent).and_then(|life| life.program);
        let running = Running {
            life,
            parent,
            session: request.command.session,
            parent_life: request.parent,
            dies_with_parent: request.command.die_with_parent,
            handler: None,
            outputs: [request.command.stdout.clone(), request.command.stderr.clone()],
            collected: [Vec::new(), Vec::new()],
            ended: Some(ended),
            waiters: Vec::new(),
        };
        self.programs.by_pid.insert(pid, running);
        if let Some(alive) = self.lives.get_mut(life) {
            alive.program = Some(pid);
            let (address, program) = (alive.address, &request.command.program);
            self.note(&address, "program", &Detail::Text(format_args!("{pid} {program}")));
        }
        (pid, receiver)
    }

    /// A signal arrives.
    pub(super) fn signalled(&mut self, pid: u32, signal: i32) -> Effect {
        let Some(running) = self.programs.by_pid.get(&pid) else {
            return Effect::Nothing;
        };
        let (life, handler) = (running.life, running.handler.clone());
        let Some(address) = self.address_of(life) else {
            return Effect::Nothing;
        };
        self.note(&address, "signal", &Detail::Text(format_args!("{pid} {signal}")));
        match (signal, handler) {
            (0 | SIGCHLD, _) => Effect::Nothing,
            (SIGSTOP, _) => Effect::Freeze(address),
            (SIGCONT, _) => Effect::Thaw(address),
            (signal, Some(handler)) if signal != SIGKILL => {
                Effect::Handle(Box::new(move || handler(signal)))
            }
            _ => {
                let status = ExitStatus::signalled(signal);
                self.push_now(Entry::Exit { pid, status });
                Effect::Nothing
            }
        }
    }

    /// Takes a program that ends out of the list. Its node is still to be ended.
    pub(super) fn program_ended(&mut self, pid: u32, status: ExitStatus) -> Option<Farewell> {
        let running = self.programs.by_pid.remove(&pid)?;
        let [stdout, stderr] = running.collected.map(Bytes::from);
        Some(Farewell {
            life: running.life,
            ended: running.ended,
            report: Ended { status: Some(status), stdout, stderr },
            waiters: running.waiters,
        })
    }

    /// Programs that die because the node that started them has.
    pub(super) fn orphans_to_kill(&self, parent: LifeId) -> Vec<u32> {
        let dying = self
            .programs
            .by_pid
            .iter()
            .filter(|(_, running)| running.dies_with_parent && running.parent_life == parent);
        dying.map(|(pid, _)| *pid).collect()
    }
}
