//! Counting answers: what a quorum of replicas says to a request.

use std::collections::{BTreeMap, BTreeSet};

use libprocess::Pid;
use prost::{Message, Name};
use protos::mesos::internal::log::metadata::Status;
use protos::mesos::internal::log::{
    Action, PromiseResponse, RecoverResponse, WriteResponse, promise_response, write_response,
};

use super::replica::is_whole;

/// Counts answers of one kind until they decide.
pub(super) trait Tally: Send + 'static {
    /// The answers.
    type Response: Message + Name + Default + 'static;
    /// What they decide.
    type Outcome: Send + 'static;

    /// Takes in a replica's answer, its first or a repeated one; the outcome once there is one.
    fn count(&mut self, from: &Pid, response: Self::Response) -> Option<Self::Outcome>;
}

/// What became of a request to follow a proposal.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Promised {
    /// A quorum follows it; the highest end of theirs, and the action to go on with, if any.
    Accepted { end: u64, action: Option<Action> },
    /// Somebody follows this higher (or equal) proposal.
    Rejected { proposal: u64 },
    /// A quorum of replicas does not vote yet.
    Ignored,
}

/// Answers to a promise request.
pub(super) struct PromiseTally {
    quorum: usize,
    answered: BTreeSet<Pid>,
    counted: usize,
    ignored: usize,
    rejected: Option<u64>,
    end: u64,
    action: Option<Action>,
}

impl PromiseTally {
    pub(super) fn new(quorum: usize) -> Self {
        Self {
            quorum,
            answered: BTreeSet::new(),
            counted: 0,
            ignored: 0,
            rejected: None,
            end: 0,
            action: None,
        }
    }

    /// Prefers what was written by the highest proposal.
    fn consider(&mut self, action: Action) {
        let performed = |action: &Action| action.performed;
        if self.action.as_ref().and_then(performed) < performed(&action) {
            self.action = Some(action);
        }
    }
}

impl Tally for PromiseTally {
    type Response = PromiseResponse;
    type Outcome = Promised;

    fn count(&mut self, from: &Pid, response: PromiseResponse) -> Option<Promised> {
        use promise_response::Type::{Accept, Ignored, Reject};
        // What is not whole is not an answer.
        if response.action.as_ref().is_some_and(|action| !is_whole(action))
            || !self.answered.insert(from.clone())
        {
            return None;
        }
        let kind = match response.r#type {
            Some(_) => response.r#type(),
            None => {
                if response.okay {
                    Accept
                } else {
                    Reject
                }
            }
        };
        match kind {
            Ignored => self.ignored += 1,
            Reject => {
                self.counted += 1;
                self.rejected = self.rejected.max(Some(response.proposal));
            }
            Accept => {
                self.counted += 1;
                self.end = self.end.max(response.position.unwrap_or(0));
                if let Some(action) = response.action {
                    if action.learned() && action.r#type.is_some() {
                        return Some(Promised::Accepted { end: self.end, action: Some(action) });
                    }
                    self.consider(action);
                }
            }
        }
        if self.counted >= self.quorum {
            return Some(match self.rejected {
                Some(proposal) => Promised::Rejected { proposal },
                None => Promised::Accepted { end: self.end, action: self.action.take() },
            });
        }
        (self.ignored >= self.quorum).then_some(Promised::Ignored)
    }
}

/// What became of a request to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Written {
    /// A quorum has it.
    Accepted,
    /// Somebody follows this higher proposal.
    Rejected { proposal: u64 },
    /// A quorum of replicas does not vote.
    Ignored,
}

/// Answers to a write request.
pub(super) struct WriteTally {
    quorum: usize,
    answered: BTreeSet<Pid>,
    accepted: usize,
    ignored: usize,
}

impl WriteTally {
    pub(super) fn new(quorum: usize) -> Self {
        Self { quorum, answered: BTreeSet::new(), accepted: 0, ignored: 0 }
    }
}

impl Tally for WriteTally {
    type Response = WriteResponse;
    type Outcome = Written;

    fn count(&mut self, from: &Pid, response: WriteResponse) -> Option<Written> {
        use write_response::Type::{Accept, Ignored, Reject};
        if !self.answered.insert(from.clone()) {
            return None;
        }
        let kind = match response.r#type {
            Some(_) => response.r#type(),
            None => {
                if response.okay {
                    Accept
                } else {
                    Reject
                }
            }
        };
        match kind {
            Reject => return Some(Written::Rejected { proposal: response.proposal }),
            Accept => self.accepted += 1,
            Ignored => self.ignored += 1,
        }
        if self.accepted >= self.quorum {
            return Some(Written::Accepted);
        }
        (self.ignored >= self.quorum).then_some(Written::Ignored)
    }
}

/// What a replica that does not vote does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// The ensemble is new: be ready to vote once all others are.
    Start,
    /// The ensemble is new and all are ready: vote.
    Vote,
    /// Learn these positions, then vote.
    CatchUp { begin: u64, end: u64 },
}

/// Answers to a recover request.
pub(super) struct RecoverTally {
    pub(super) quorum: usize,
    pub(super) auto_initialize: bool,
    /// The status of the replica that recovers.
    pub(super) own: Status,
    pub(super) answers: BTreeMap<Pid, RecoverResponse>,
}

impl Tally for RecoverTally {
    type Response = RecoverResponse;
    type Outcome = Step;

    fn count(&mut self, from: &Pid, response: RecoverResponse) -> Option<Step> {
        self.answers.insert(from.clone(), response);
        let count = |status| self.answers.values().filter(|a| a.status() == status).count();
        let (voting, starting, empty) =
            (count(Status::Voting), count(Status::Starting), count(Status::Empty));
        let all = 2 * self.quorum - 1;
        if self.auto_initialize && self.own == Status::Starting && starting + voting == all {
            return Some(Step::Vote);
        }
        if voting >= self.quorum {
            let ranges = self.answers.values().filter(|a| a.status() == Status::Voting);
            let ranges = ranges.map(|answer| (answer.begin(), answer.end()));
            let (begin, end) =
                ranges.fold((u64::MAX, 0), |all, range| (all.0.min(range.0), all.1.max(range.1)));
            return Some(Step::CatchUp { begin, end });
        }
        let new = self.auto_initialize && self.own == Status::Empty && empty + starting == all;
        new.then_some(Step::Start)
    }
}

/// The highest promise among a quorum of voting replicas, asked for by a proposal that all reject.
pub(super) struct FloorTally {
    quorum: usize,
    answered: BTreeSet<Pid>,
    floor: u64,
}

impl FloorTally {
    pub(super) fn new(quorum: usize) -> Self {
        Self { quorum, answered: BTreeSet::new(), floor: 0 }
    }
}

impl Tally for FloorTally {
    type Response = PromiseResponse;
    type Outcome = u64;

    fn count(&mut self, from: &Pid, response: PromiseResponse) -> Option<u64> {
        let voting = response.r#type() != promise_response::Type::Ignored;
        if voting && self.answered.insert(from.clone()) {
            self.floor = self.floor.max(response.proposal);
        }
        (self.answered.len() >= self.quorum).then_some(self.floor)
    }
}
