//! How a leader's log becomes everybody's, and when an entry is there to stay.

use super::Bug;
use super::machine::{Machine, Message, Role};
use super::messages::{Append, Appended};

/// Entries that one message carries.
const BATCH: usize = 4;

impl Machine {
    /// Sends each follower what it lacks as far as is known.
    pub(super) fn replicate(&mut self) {
        for server in self.others() {
            self.replicate_to(server);
        }
        self.count_copies();
    }

    fn replicate_to(&mut self, server: usize) {
        let Role::Leader { next, .. } = &self.role else {
            return;
        };
        let previous_index = next[server] - 1;
        let append = Append {
            term: self.term,
            previous_index,
            previous_term: self.log.term_at(previous_index).unwrap_or(0),
            entries: self.log.after(previous_index, BATCH),
            commit: self.commit,
        };
        self.tell(server, Message::Append(append));
    }

    /// A leader's message to a follower.
    pub(super) fn append(&mut self, from: usize, append: Append) {
        if append.term < self.term {
            let refused = Appended { term: self.term, success: false, index: 0 };
            self.tell(from, Message::Appended(refused));
            return;
        }
        self.follow(append.term, Some(from));
        self.effects.await_leader = true;
        let previous = append.previous_index;
        let success = self.log.term_at(previous) == Some(append.previous_term);
        let index = if success {
            let index = previous + append.entries.len() as u64;
            self.log.merge(previous, append.entries);
            // What follows `index` may be of a leader that was replaced.
            self.commit = self.commit.max(append.commit.min(index));
            index
        } else {
            self.log.last_index().min(previous.saturating_sub(1))
        };
        self.tell(from, Message::Appended(Appended { term: self.term, success, index }));
    }

    /// A follower's answer to its leader.
    pub(super) fn appended(&mut self, from: usize, answer: &Appended) {
        if answer.term > self.term {
            self.follow(answer.term, None);
            return;
        }
        let Role::Leader { next, matched } = &mut self.role else {
            return;
        };
        if answer.term < self.term {
            return;
        }
        let before = next[from];
        if answer.success {
            matched[from] = matched[from].max(answer.index);
            next[from] = matched[from] + 1;
        } else {
            // Late answers must not lead behind what is known to be the same.
            next[from] = (answer.index + 1).min(before).max(matched[from] + 1);
        }
        // Without news the next repetition will do.
        if next[from] != before && next[from] <= self.log.last_index() {
            self.replicate_to(from);
        }
        self.count_copies();
    }

    /// Commits what a majority has. Entries of earlier terms are not counted: even on a majority
    /// they may yet be replaced, unless an entry of this term follows them there (the paper's
    /// figure 8).
    fn count_copies(&mut self) {
        let Role::Leader { matched, .. } = &self.role else {
            return;
        };
        let mut copies = matched.clone();
        copies[self.me] = self.log.last_index();
        copies.sort_unstable();
        let majority_has = copies[(self.size - 1) / 2];
        let is_own = self.log.term_at(majority_has) == Some(self.term);
        if majority_has > self.commit && (is_own || self.bug == Some(Bug::CountsOldTerms)) {
            self.commit = majority_has;
        }
    }
}
