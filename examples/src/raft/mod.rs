//! A register that survives crashes: replicated by Raft, and a judge of whether it works.
//!
//! Deciding: `machine`, `election` and `replication` are the algorithm (Ongaro and Ousterhout, "In
//! Search of an Understandable Consensus Algorithm", 2014), a state machine that knows neither time
//! nor network nor disk; `log` and `register` are its data, `messages` its words, `storage` its file.
//! Doing: `server` is the actor around it; `client`, which does things at random, and `front`, which
//! speaks HTTP, are its clients, each around a `session`.
//!
//! Judging: `history` is what clients saw, `linearizable` whether one register could have shown it
//! to them, `chaos` a simulated cluster under faults. [`Bug`] names mistakes that can be planted.

pub mod chaos;
pub mod client;
mod election;
pub mod front;
pub mod history;
pub mod linearizable;
pub mod log;
pub mod machine;
pub mod messages;
pub mod register;
mod replication;
pub mod server;
pub mod session;
pub mod storage;

/// A mistake that can be planted, to see whether the judge finds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bug {
    /// A vote is not on disk when it is given, so that a server that restarts may vote twice.
    ForgetsVotes,
    /// A server answers while its entries are still on their way to the disk.
    AnswersBeforeSaving,
    /// A leader counts entries of earlier terms as committed once a majority has them.
    CountsOldTerms,
    /// A leader answers reads from what it knows, without asking whether it still leads.
    ReadsLocally,
}

impl Bug {
    /// All of them.
    pub const ALL: [Self; 4] =
        [Self::ForgetsVotes, Self::AnswersBeforeSaving, Self::CountsOldTerms, Self::ReadsLocally];

    /// The one that the crate's feature `planted-bug` plants; none without it.
    pub fn planted() -> Option<Self> {
        cfg!(feature = "planted-bug").then_some(Self::ForgetsVotes)
    }

    /// Its name on a command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::ForgetsVotes => "forgets-votes",
            Self::AnswersBeforeSaving => "answers-before-saving",
            Self::CountsOldTerms => "counts-old-terms",
            Self::ReadsLocally => "reads-locally",
        }
    }
}
