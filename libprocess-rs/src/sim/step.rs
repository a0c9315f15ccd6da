//! One step of the world: takes the next entry off the queue and lets it happen.

use super::World;
use super::disk::Extent;
use super::programs::{Effect, FIRST_PORT, SpawnRequest, SpawnedProgram};
use super::queue::{Entry, LifeId};
use super::trace::Detail;
use crate::Envelope;
use crate::driver::Progress;
use crate::subprocess::{ExitStatus, Output};

impl World {
    /// Lets the next thing happen; false when nothing is left to happen.
    pub fn step(&mut self) -> bool {
        let popped = self.shared.with(|state| {
            let (at, entry) = state.queue.pop()?;
            state.now = state.now.max(at);
            Some(state.park(entry))
        });
        match popped {
            None => return false,
            Some(None) => {}
            Some(Some(entry)) => self.happen(entry),
        }
        true
    }

    fn happen(&mut self, entry: Entry) {
        match entry {
            Entry::Run { life, slot } => self.run_process(life, slot),
            Entry::Poll { life, task } => {
                self.note_life(life, "poll", task);
                self.shared.poll(life, task);
            }
            Entry::Timer { life, timer } => self.fire(life, timer),
            Entry::Deliver { life, envelope } => self.deliver(life, envelope),
            Entry::Connect { life, peer, connection, since } => {
                self.shared.with(|state| state.connected(life, peer, connection, since))
            }
            Entry::Lost { life, peer, connection, news } => {
                let node = self.shared.with(|state| {
                    let told = state.lost(life, peer, connection, news);
                    state.lives.get(life).filter(|_| told).map(|l| l.node.clone())
                });
                if let Some(node) = node {
                    node.connection_lost(peer);
                }
            }
            Entry::Disk { life, job } => {
                let now = self.shared.with(|state| {
                    let address = state.address_of(life)?;
                    state.note(&address, "disk", &Detail::Nothing);
                    Some(state.now)
                });
                // The operations of a node that crashed are lost.
                if let Some(now) = now {
                    job.run(now, Extent::All);
                }
            }
            Entry::Spawn(request) => self.start_program(*request),
            Entry::Signal { pid, signal } => {
                match self.shared.with(|state| state.signalled(pid, signal)) {
                    Effect::Nothing => {}
                    Effect::Handle(handle) => handle(),
                    Effect::Freeze(address) => self.freeze(address),
                    Effect::Thaw(address) => self.thaw(address),
                }
            }
            Entry::Exit { pid, status } => self.end_program(pid, status),
            Entry::Close { life } => self.end_life(life, "close"),
        }
    }

    fn note_life(&self, life: LifeId, kind: &'static str, id: u64) {
        self.shared.with(|state| {
            if let Some(address) = state.address_of(life) {
                state.note(&address, kind, &Detail::Number(id));
            }
        });
    }

    fn run_process(&mut self, life: LifeId, slot: u64) {
        let taken = self.shared.with(|state| {
            let alive = state.lives.get_mut(life)?;
            let runner = alive.hosted.get_mut(slot as usize)?.take()?;
            let address = alive.address;
            state.note(&address, "run", &Detail::Process(runner.pid()));
            Some(runner)
        });
        let Some(mut runner) = taken else {
            return;
        };
        let progress = runner.run(1);
        let finished = self.shared.with(|state| {
            if progress == Progress::Ended {
                if runner.panicked() {
                    state.panics.push(runner.pid().to_string());
                }
                return Some(runner);
            }
            if progress == Progress::More {
                state.push_now(Entry::Run { life, slot });
            }
            match state.lives.get_mut(life) {
                Some(alive) => alive.hosted.get_mut(slot as usize)?.replace(runner),
                None => Some(runner),
            }
        });
        drop(finished);
    }

    fn fire(&mut self, life: LifeId, timer: u64) {
        let fire = self.shared.with(|state| {
            let alive = state.lives.get_mut(life)?;
            let fire = alive.timers.remove(timer)?;
            let address = alive.address;
            state.note(&address, "timer", &Detail::Number(timer));
            Some(fire)
        });
        if let Some(fire) = fire {
            fire();
        }
    }

    fn deliver(&mut self, meant: Option<LifeId>, envelope: Envelope) {
        let address = envelope.to.address();
        let node = self.shared.with(|state| {
            let life = state.life_at(address);
            // The connection ended with the life that it was made to.
            let alive = life.filter(|life| meant.is_none_or(|meant| meant == *life));
            let node = alive.and_then(|life| Some(state.lives.get(life)?.node.clone()));
            let kind = if node.is_some() { "message" } else { "dead" };
            state.note_message(&address, kind, &envelope);
            node
        });
        if let Some(node) = node {
            node.deliver(envelope);
        }
    }

    fn start_program(&mut self, request: SpawnRequest) {
        let name = request.command.program.rsplit('/').next().unwrap_or_default();
        let Some(factory) = self.programs.get(name).cloned() else {
            let missing = std::io::Error::from(std::io::ErrorKind::NotFound);
            let _ = request.reply.send(Err(missing));
            return;
        };
        let parent = self.shared.with(|state| {
            let parent = state.lives.get(request.parent)?;
            Some((parent.node.clone(), parent.store.clone()))
        });
        let Some((parent, store)) = parent else {
            return;
        };
        for output in [&request.command.stdout, &request.command.stderr] {
            if let Output::File(path) = output {
                // What cannot be opened stays away; the program runs without it.
                let _ = store.lock().append(path, b"");
            }
        }
        let mut config = parent.config().clone();
        config.delegate = None;
        let address = self.free_address(*parent.address().ip());
        let (life, node) = self.live(address, config, store);
        let (pid, ended) = self.shared.with(|state| state.program_started(&request, life));
        let program = SpawnedProgram::new(request.command, pid, node, self.shared.clone());
        factory(program);
        let _ = request.reply.send(Ok((pid, ended)));
    }

    fn free_address(&mut self, ip: std::net::Ipv4Addr) -> std::net::SocketAddrV4 {
        let next = self.ports.entry(ip).or_insert(FIRST_PORT);
        loop {
            let address = std::net::SocketAddrV4::new(ip, *next);
            *next = next.checked_add(1).unwrap_or(FIRST_PORT);
            if self.shared.with(|state| state.life_at(address)).is_none() {
                return address;
            }
        }
    }

    fn end_program(&mut self, pid: u32, status: ExitStatus) {
        if let Some(farewell) = self.shared.with(|state| state.program_ended(pid, status)) {
            self.end_life(farewell.life, "exit");
            farewell.tell();
        }
    }

    /// Ends a life, and the programs that die with it.
    pub(super) fn end_life(&mut self, id: LifeId, kind: &'static str) {
        let (life, orphans) =
            self.shared.with(|state| (state.end(id, kind), state.orphans_to_kill(id)));
        let program = life.as_ref().and_then(|life| life.program);
        // Outside the lock: the end of futures and processes wakes others.
        drop(life);
        const SIGKILL: i32 = 9;
        let status = ExitStatus::signalled(SIGKILL);
        for pid in orphans.into_iter().chain(program) {
            self.shared.with(|state| state.push_now(Entry::Exit { pid, status }));
        }
    }
}
