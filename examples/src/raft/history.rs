//! What the clients of a register saw, in the order in which it happened.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What a client wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// To write a value.
    Write(u64),
    /// To read; the value, once it is known.
    Read(Option<u64>),
}

/// One wish of a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Operation {
    /// When it began, in events of the history.
    pub called: u64,
    /// When it was answered; None when it never was: it may take effect at any time, or never.
    pub returned: Option<u64>,
    /// What it was.
    pub action: Action,
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.action {
            Action::Write(value) => write!(f, "write {value}")?,
            Action::Read(Some(value)) => write!(f, "read {value}")?,
            Action::Read(None) => write!(f, "read ?")?,
        }
        match self.returned {
            Some(returned) => write!(f, " [{}, {returned}]", self.called),
            None => write!(f, " [{}, …]", self.called),
        }
    }
}

/// The operations of each client, one after the other; those of several clients may overlap.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct History {
    /// By client.
    pub clients: Vec<Vec<Operation>>,
    events: u64,
    closed: bool,
}

impl History {
    /// How many operations were answered.
    pub fn answered(&self) -> usize {
        self.clients.iter().flatten().filter(|operation| operation.returned.is_some()).count()
    }

    /// True when no operation waits for an answer.
    fn is_complete(&self) -> bool {
        // A client begins nothing while it waits.
        self.clients.iter().filter_map(|all| all.last()).all(|last| last.returned.is_some())
    }
}

/// Where clients write down what they see. All of them share it, so its order is the real one.
#[derive(Debug, Clone, Default)]
pub struct Recorder(Arc<Mutex<History>>);

impl Recorder {
    /// No change of the history can be seen half-done, so poison is ignored.
    fn history(&self) -> MutexGuard<'_, History> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A client begins an operation; false when no more are wanted.
    pub fn call(&self, client: usize, action: Action) -> bool {
        let mut history = self.history();
        if history.closed {
            return false;
        }
        history.events += 1;
        let operation = Operation { called: history.events, returned: None, action };
        if history.clients.len() <= client {
            history.clients.resize_with(client + 1, Vec::new);
        }
        history.clients[client].push(operation);
        true
    }

    /// A client's last operation was answered, with the value that a read gave.
    pub fn returned(&self, client: usize, value: u64) {
        let mut history = self.history();
        history.events += 1;
        let now = history.events;
        if let Some(operation) = history.clients.get_mut(client).and_then(|all| all.last_mut()) {
            operation.returned = Some(now);
            if let Action::Read(read) = &mut operation.action {
                *read = Some(value);
            }
        }
    }

    /// True when no operation waits for an answer.
    pub fn is_complete(&self) -> bool {
        self.history().is_complete()
    }

    /// Lets no operation begin any more.
    pub fn close(&self) {
        self.history().closed = true;
    }

    /// What was seen so far.
    pub fn seen(&self) -> History {
        self.history().clone()
    }
}
