//! One server's mind: an event goes in, effects come out. No time, no network, no disk.

use std::collections::BTreeSet;

use super::Bug;
use super::log::Log;
use super::messages::{Answer, Append, Appended, Command, Entry, Record, RequestVote, Vote};
use super::register::Register;
use super::storage::Recovered;

/// What a server says to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// See [`RequestVote`].
    RequestVote(RequestVote),
    /// See [`Vote`].
    Vote(Vote),
    /// See [`Append`].
    Append(Append),
    /// See [`Appended`].
    Appended(Appended),
}

/// What can happen to a server. Servers are numbered from 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// No leader was heard of for a random while.
    ElectionTimeout,
    /// Time to say again what was said.
    Repeat,
    /// Another server says something.
    Message(usize, Message),
    /// A client wants something.
    Command(Command),
}

/// What a server tells a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// The wish was carried out.
    Answer(Answer),
    /// Serial number of the wish, and who leads.
    Redirect(u64, Option<usize>),
}

/// What is to be done after an event, in this order.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Effects {
    /// To be on disk before anything else is done.
    pub save: Option<Record>,
    /// To be sent to other servers.
    pub messages: Vec<(usize, Message)>,
    /// To be sent to clients, by their PIDs.
    pub replies: Vec<(String, Reply)>,
    /// The wait for [`Event::ElectionTimeout`] starts anew.
    pub await_leader: bool,
}

/// What a server thinks it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Role {
    /// Does as the leader says.
    Follower,
    /// Wants to lead, and has these votes.
    Candidate(BTreeSet<usize>),
    /// Leads. For each server, the index that it is given next and up to where its log is ours.
    Leader {
        /// The next index to send.
        next: Vec<u64>,
        /// The last index known to be the same.
        matched: Vec<u64>,
    },
}

/// One server's mind.
#[derive(Debug)]
pub struct Machine {
    pub(super) me: usize,
    pub(super) size: usize,
    pub(super) bug: Option<Bug>,
    pub(super) term: u64,
    pub(super) voted_for: Option<usize>,
    /// Term or vote changed and are not on disk yet.
    pub(super) unsaved: bool,
    pub(super) log: Log,
    pub(super) role: Role,
    pub(super) leader: Option<usize>,
    pub(super) commit: u64,
    applied: u64,
    register: Register,
    pub(super) effects: Effects,
}

impl Machine {
    /// Server `me` of `size`, with what it knew before.
    pub fn new(me: usize, size: usize, recovered: Recovered, bug: Option<Bug>) -> Self {
        let Recovered { term, voted_for, log } = recovered;
        Self {
            me,
            size,
            bug,
            term,
            voted_for,
            unsaved: false,
            log,
            role: Role::Follower,
            leader: None,
            commit: 0,
            applied: 0,
            register: Register::default(),
            effects: Effects::default(),
        }
    }

    /// Lets something happen.
    pub fn step(&mut self, event: Event) -> Effects {
        match event {
            Event::ElectionTimeout => self.stand(),
            Event::Repeat => self.repeat(),
            Event::Message(from, Message::RequestVote(asked)) => self.asked_for_vote(from, &asked),
            Event::Message(from, Message::Vote(vote)) => self.got_vote(from, &vote),
            Event::Message(from, Message::Append(append)) => self.append(from, append),
            Event::Message(from, Message::Appended(answer)) => self.appended(from, &answer),
            Event::Command(command) => self.command(command),
        }
        self.apply();
        self.effects.save = self.record();
        std::mem::take(&mut self.effects)
    }

    /// Its role, term, commit index and the register as far as it knows.
    pub fn state(&self) -> (&Role, u64, u64, u64) {
        (&self.role, self.term, self.commit, self.register.value())
    }

    pub(super) fn is_majority(&self, count: usize) -> bool {
        count * 2 > self.size
    }

    pub(super) fn tell(&mut self, to: usize, message: Message) {
        self.effects.messages.push((to, message));
    }

    /// All servers but this one.
    pub(super) fn others(&self) -> impl Iterator<Item = usize> + use<> {
        let me = self.me;
        (0..self.size).filter(move |server| *server != me)
    }

    fn command(&mut self, command: Command) {
        let client = command.client.clone();
        if !matches!(self.role, Role::Leader { .. }) {
            let reply = Reply::Redirect(command.serial, self.leader);
            self.effects.replies.push((client, reply));
        } else if command.write.is_none() && self.bug == Some(Bug::ReadsLocally) {
            let answer = Answer { serial: command.serial, value: self.register.value() };
            self.effects.replies.push((client, Reply::Answer(answer)));
        } else {
            self.log.push(Entry { term: self.term, command: Some(command) });
            self.replicate();
        }
    }

    /// Carries out what is committed. The leader answers the clients.
    fn apply(&mut self) {
        while self.applied < self.commit {
            self.applied += 1;
            let entry = self.log.get(self.applied);
            let Some(command) = entry.and_then(|entry| entry.command.as_ref()) else {
                continue;
            };
            if let Some(answer) = self.register.apply(command)
                && matches!(self.role, Role::Leader { .. })
            {
                self.effects.replies.push((command.client.clone(), Reply::Answer(answer)));
            }
        }
    }

    fn record(&mut self) -> Option<Record> {
        if !std::mem::take(&mut self.unsaved) && !self.log.is_changed() {
            return None;
        }
        let (keep, entries) = self.log.take_changes();
        let vote = self.voted_for.filter(|_| self.bug != Some(Bug::ForgetsVotes));
        let voted_for = vote.and_then(|server| u32::try_from(server).ok());
        Some(Record { term: self.term, voted_for, keep, entries })
    }
}
