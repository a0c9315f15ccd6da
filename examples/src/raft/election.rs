//! Who leads: at most one server in each term, with a log that holds all that is committed.

use std::collections::BTreeSet;

use super::machine::{Machine, Message, Role};
use super::messages::{Entry, RequestVote, Vote};

impl Machine {
    /// Follows in `term`, which is at least its own.
    pub(super) fn follow(&mut self, term: u64, leader: Option<usize>) {
        if term > self.term {
            self.term = term;
            self.voted_for = None;
            self.unsaved = true;
        }
        if self.role != Role::Follower {
            self.effects.await_leader = true;
        }
        self.role = Role::Follower;
        self.leader = leader;
    }

    /// Wants to lead the next term.
    pub(super) fn stand(&mut self) {
        if matches!(self.role, Role::Leader { .. }) {
            return;
        }
        self.term += 1;
        self.voted_for = Some(self.me);
        self.unsaved = true;
        self.leader = None;
        self.role = Role::Candidate(BTreeSet::from([self.me]));
        self.effects.await_leader = true;
        self.ask_for_votes();
        self.count_votes();
    }

    fn ask_for_votes(&mut self) {
        let (last_index, last_term) = (self.log.last_index(), self.log.last_term());
        for server in self.others() {
            let asked = RequestVote { term: self.term, last_index, last_term };
            self.tell(server, Message::RequestVote(asked));
        }
    }

    pub(super) fn asked_for_vote(&mut self, from: usize, asked: &RequestVote) {
        if asked.term > self.term {
            self.follow(asked.term, None);
        }
        // A log with all that is committed has a last entry at least as late as that of any majority.
        let theirs = (asked.last_term, asked.last_index);
        let has_all = theirs >= (self.log.last_term(), self.log.last_index());
        let is_free = self.voted_for.is_none_or(|server| server == from);
        let granted = asked.term == self.term && is_free && has_all;
        if granted {
            self.unsaved |= self.voted_for.is_none();
            self.voted_for = Some(from);
            self.effects.await_leader = true;
        }
        self.tell(from, Message::Vote(Vote { term: self.term, granted }));
    }

    pub(super) fn got_vote(&mut self, from: usize, vote: &Vote) {
        if vote.term > self.term {
            self.follow(vote.term, None);
        } else if let Role::Candidate(votes) = &mut self.role
            && vote.term == self.term
            && vote.granted
        {
            votes.insert(from);
            self.count_votes();
        }
    }

    fn count_votes(&mut self) {
        if let Role::Candidate(votes) = &self.role
            && self.is_majority(votes.len())
        {
            self.lead();
        }
    }

    fn lead(&mut self) {
        let next = vec![self.log.last_index() + 1; self.size];
        self.role = Role::Leader { next, matched: vec![0; self.size] };
        self.leader = Some(self.me);
        // Entries of earlier terms are committed by one of its own that follows them.
        self.log.push(Entry { term: self.term, command: None });
        self.replicate();
    }

    /// What was said may have been lost: says it again.
    pub(super) fn repeat(&mut self) {
        match self.role {
            Role::Follower => {}
            Role::Candidate(_) => self.ask_for_votes(),
            Role::Leader { .. } => self.replicate(),
        }
    }
}
