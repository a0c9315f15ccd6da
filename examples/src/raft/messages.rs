//! What servers and clients say to each other, and what a server writes to its disk.

use prost::Message;

/// A client's wish. Sent again, with the same serial number, until it is answered.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Command {
    /// The client's PID.
    #[prost(string, tag = "1")]
    pub client: String,
    /// Counts the wishes of this client from 1, so that one that comes twice is carried out once.
    #[prost(uint64, tag = "2")]
    pub serial: u64,
    /// The value to write; none to read.
    #[prost(uint64, optional, tag = "3")]
    pub write: Option<u64>,
}

/// To a client: its wish was carried out.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Answer {
    /// The wish's serial number.
    #[prost(uint64, tag = "1")]
    pub serial: u64,
    /// The register's value after it.
    #[prost(uint64, tag = "2")]
    pub value: u64,
}

/// To a client: ask somebody else.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Redirect {
    /// The wish's serial number.
    #[prost(uint64, tag = "1")]
    pub serial: u64,
    /// The leader's PID, if it is known.
    #[prost(string, optional, tag = "2")]
    pub leader: Option<String>,
}

/// One place of the log.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Entry {
    /// The term of the leader that put it there.
    #[prost(uint64, tag = "1")]
    pub term: u64,
    /// None in a leader's first entry, which does nothing.
    #[prost(message, optional, tag = "2")]
    pub command: Option<Command>,
}

/// A candidate asks for a vote.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct RequestVote {
    /// The term that it wants to lead.
    #[prost(uint64, tag = "1")]
    pub term: u64,
    /// Index of its log's last entry; 0 when the log is empty.
    #[prost(uint64, tag = "2")]
    pub last_index: u64,
    /// Term of its log's last entry.
    #[prost(uint64, tag = "3")]
    pub last_term: u64,
}

/// The answer to [`RequestVote`].
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Vote {
    /// The voter's term.
    #[prost(uint64, tag = "1")]
    pub term: u64,
    /// True when the candidate has its vote.
    #[prost(bool, tag = "2")]
    pub granted: bool,
}

/// A leader gives a follower entries, or none to say that it still leads.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Append {
    /// The leader's term.
    #[prost(uint64, tag = "1")]
    pub term: u64,
    /// Index of the entry before the given ones.
    #[prost(uint64, tag = "2")]
    pub previous_index: u64,
    /// Its term.
    #[prost(uint64, tag = "3")]
    pub previous_term: u64,
    /// What follows it.
    #[prost(message, repeated, tag = "4")]
    pub entries: Vec<Entry>,
    /// Index up to which the leader knows entries to be committed.
    #[prost(uint64, tag = "5")]
    pub commit: u64,
}

/// The answer to [`Append`].
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Appended {
    /// The follower's term.
    #[prost(uint64, tag = "1")]
    pub term: u64,
    /// False when the follower's log does not have the previous entry.
    #[prost(bool, tag = "2")]
    pub success: bool,
    /// On success, up to where its log is the leader's; else up to where it might be.
    #[prost(uint64, tag = "3")]
    pub index: u64,
}

/// What a server must not forget, as far as it changed. Appended to its file.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Record {
    /// The term it is in.
    #[prost(uint64, tag = "1")]
    pub term: u64,
    /// Whom it voted for in that term.
    #[prost(uint32, optional, tag = "2")]
    pub voted_for: Option<u32>,
    /// How many entries of its log stay.
    #[prost(uint64, tag = "3")]
    pub keep: u64,
    /// What follows these.
    #[prost(message, repeated, tag = "4")]
    pub entries: Vec<Entry>,
}

crate::named!("raft": Command, Answer, Redirect, RequestVote, Vote, Append, Appended);
