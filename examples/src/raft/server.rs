//! The actor around a [`Machine`]: one event at a time is decided, what must last is saved, and only
//! then does anything leave and the next event is looked at.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::time::Duration;

use libprocess::disk::DiskError;
use libprocess::http::{Request, Response};
use libprocess::{Ctx, Help, Pid, Process, Routes, Timer, slog};

use super::Bug;
use super::machine::{Effects, Event, Machine, Message, Reply, Role};
use super::messages::{Append, Appended, Command, Redirect, RequestVote, Vote};
use super::storage::{self, Recovered};

/// What a server is told when it starts.
#[derive(Debug, Clone)]
pub struct Settings {
    /// All servers, in the same order everywhere.
    pub servers: Vec<Pid>,
    /// Its file.
    pub file: PathBuf,
    /// Without a leader for this long, up to twice as long, a server wants to lead.
    pub patience: Duration,
    /// How often a leader says that it leads. Many times shorter than the patience.
    pub repeat: Duration,
    /// The mistake to make.
    pub bug: Option<Bug>,
}

/// One of the servers that together hold the register.
pub struct Server {
    settings: Settings,
    /// None until the file is read.
    machine: Option<Machine>,
    waiting: VecDeque<Event>,
    /// The disk is at work; events wait.
    busy: bool,
    election: Option<Timer>,
}

impl Server {
    /// A server that is about to start.
    pub fn new(settings: Settings) -> Self {
        Self { settings, machine: None, waiting: VecDeque::new(), busy: true, election: None }
    }

    fn recovered(&mut self, found: Result<Recovered, DiskError>, cx: &mut Ctx<Self>) {
        let Settings { servers, bug, .. } = &self.settings;
        match (found, servers.iter().position(|server| server == cx.pid())) {
            (Ok(recovered), Some(me)) => {
                self.machine = Some(Machine::new(me, servers.len(), recovered, *bug));
                self.await_leader(cx);
                cx.after(self.settings.repeat, Self::repeat);
                self.go_on(cx);
            }
            (Err(error), _) => self.give_up(&error, cx),
            (_, None) => self.give_up(&"it is not in the list of servers", cx),
        }
    }

    /// Nothing may leave any more that is not on disk.
    fn give_up(&mut self, reason: &dyn std::fmt::Display, cx: &mut Ctx<Self>) {
        slog::error!(cx.log(), "server stops"; "reason" => %reason);
        cx.stop();
    }

    fn happen(&mut self, event: Event, cx: &mut Ctx<Self>) {
        self.waiting.push_back(event);
        if !self.busy {
            self.go_on(cx);
        }
    }

    fn go_on(&mut self, cx: &mut Ctx<Self>) {
        self.busy = false;
        while let Some(machine) = &mut self.machine
            && let Some(event) = self.waiting.pop_front()
        {
            let effects = machine.step(event);
            let Some(record) = &effects.save else {
                self.carry_out(effects, cx);
                continue;
            };
            let bytes = storage::encode(record);
            let saved = cx.disk().append(&self.settings.file, bytes.into());
            self.busy = true;
            if self.settings.bug == Some(Bug::AnswersBeforeSaving) {
                self.carry_out(effects, cx);
                cx.defer(saved, |server, saved, cx| server.saved(saved, Effects::default(), cx));
            } else {
                cx.defer(saved, |server, saved, cx| server.saved(saved, effects, cx));
            }
            return;
        }
    }

    fn saved(&mut self, saved: Result<(), DiskError>, effects: Effects, cx: &mut Ctx<Self>) {
        match saved {
            Ok(()) => {
                self.carry_out(effects, cx);
                self.go_on(cx);
            }
            Err(error) => self.give_up(&error, cx),
        }
    }

    fn carry_out(&mut self, effects: Effects, cx: &mut Ctx<Self>) {
        for (to, message) in effects.messages {
            let to = &self.settings.servers[to];
            match message {
                Message::RequestVote(message) => cx.send(to, &message),
                Message::Vote(message) => cx.send(to, &message),
                Message::Append(message) => cx.send(to, &message),
                Message::Appended(message) => cx.send(to, &message),
            }
        }
        for (client, reply) in effects.replies {
            // A client that gave no PID cannot be answered.
            let Ok(client) = client.parse::<Pid>() else {
                continue;
            };
            match reply {
                Reply::Answer(answer) => cx.send(&client, &answer),
                Reply::Redirect(serial, leader) => {
                    let leader = leader.map(|server| self.settings.servers[server].to_string());
                    cx.send(&client, &Redirect { serial, leader });
                }
            }
        }
        if effects.await_leader {
            self.await_leader(cx);
        }
    }

    fn await_leader(&mut self, cx: &mut Ctx<Self>) {
        if let Some(election) = self.election.take() {
            cx.cancel(&election);
        }
        let patience = self.settings.patience + cx.random_within(self.settings.patience);
        self.election = Some(cx.after(patience, |server: &mut Self, cx| {
            server.await_leader(cx);
            server.happen(Event::ElectionTimeout, cx);
        }));
    }

    fn repeat(&mut self, cx: &mut Ctx<Self>) {
        self.happen(Event::Repeat, cx);
        cx.after(self.settings.repeat, Self::repeat);
    }

    /// A message of one of the servers; others have no say.
    fn hear(&mut self, message: Message, cx: &mut Ctx<Self>) {
        match self.settings.servers.iter().position(|server| server == cx.from()) {
            Some(from) => self.happen(Event::Message(from, message), cx),
            None => slog::warn!(cx.log(), "message of a stranger dropped"; "from" => %cx.from()),
        }
    }

    fn state(&mut self, _: Request, _: &mut Ctx<Self>) -> Response {
        let Some(machine) = &self.machine else {
            return Response::status(503);
        };
        let (role, term, commit, value) = machine.state();
        let role = match role {
            Role::Follower => "follower",
            Role::Candidate(_) => "candidate",
            Role::Leader { .. } => "leader",
        };
        let text = format!("{role} in term {term}, committed {commit}, value {value}\n");
        Response::ok("text/plain", text)
    }
}

impl Process for Server {
    fn routes(routes: &mut Routes<Self>) {
        routes
            .on(|server, message: RequestVote, cx| server.hear(Message::RequestVote(message), cx))
            .on(|server, message: Vote, cx| server.hear(Message::Vote(message), cx))
            .on(|server, message: Append, cx| server.hear(Message::Append(message), cx))
            .on(|server, message: Appended, cx| server.hear(Message::Appended(message), cx))
            .on(|server, command: Command, cx| server.happen(Event::Command(command), cx))
            .get("/state", Help::new("What the server knows", ""), Self::state);
    }

    fn initialize(&mut self, cx: &mut Ctx<Self>) {
        cx.defer(storage::load(cx.disk(), self.settings.file.clone()), Self::recovered);
    }
}
