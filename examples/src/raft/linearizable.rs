//! Could one register, that does one thing at a time, have shown the clients what they saw? The
//! search of Wing and Gong ("Testing and Verifying Concurrent Objects", 1993) with the memory of
//! Lowe ("Testing for Linearizability", 2017): try each operation that may come first, then go on
//! with the rest; never go on twice from the same place.

use std::collections::BTreeSet;
use std::fmt;

use super::history::{Action, History, Operation};

/// There is no such order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The longest order found that fits, as pairs of client and operation.
    pub order: Vec<(usize, Operation)>,
    /// The value after it.
    pub value: u64,
    /// What each client did next: none of these fits.
    pub stuck: Vec<(usize, Operation)>,
}

/// How much of the order's end is printed.
const SHOWN: usize = 8;

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let skipped = self.order.len().saturating_sub(SHOWN);
        writeln!(
            f,
            "no order of the operations fits; the longest that does, after {skipped} more:"
        )?;
        for (client, operation) in &self.order[skipped..] {
            writeln!(f, "  client {client}: {operation}")?;
        }
        writeln!(f, "leaves the value {}, but next come", self.value)?;
        for (client, operation) in &self.stuck {
            writeln!(f, "  client {client}: {operation}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Violation {}

/// An order of the operations, as indices of their clients, in which a register that holds
/// `initial` first shows what they saw: each operation takes effect at a moment between its call and
/// its return. Operations without an answer may be left out.
///
/// # Errors
/// [`Violation`] when there is none.
pub fn check(initial: u64, history: &History) -> Result<Vec<usize>, Violation> {
    let clients = &history.clients;
    let mut search = Search {
        clients,
        done: vec![0; clients.len()],
        order: Vec::new(),
        tried: BTreeSet::new(),
        best: (Vec::new(), initial),
    };
    if search.go_on(initial) { Ok(search.order) } else { Err(search.violation()) }
}

struct Search<'a> {
    clients: &'a [Vec<Operation>],
    /// How many operations of each client are in the order. As a client does one thing after the
    /// other, this tells which.
    done: Vec<usize>,
    order: Vec<usize>,
    tried: BTreeSet<(Vec<usize>, u64)>,
    /// The longest order so far, and the value after it.
    best: (Vec<usize>, u64),
}

impl Search<'_> {
    fn next(&self, client: usize) -> Option<&Operation> {
        self.clients[client].get(self.done[client])
    }

    /// Whoever began after another one had returned cannot come before it.
    fn first_return(&self) -> Option<u64> {
        (0..self.done.len()).filter_map(|client| self.next(client)?.returned).min()
    }

    fn go_on(&mut self, value: u64) -> bool {
        let Some(first_return) = self.first_return() else {
            return true;
        };
        if !self.tried.insert((self.done.clone(), value)) {
            return false;
        }
        if self.order.len() > self.best.0.len() {
            self.best = (self.order.clone(), value);
        }
        for client in 0..self.done.len() {
            let Some(operation) = self.next(client).filter(|next| next.called < first_return)
            else {
                continue;
            };
            let after = match operation.action {
                Action::Write(written) => written,
                Action::Read(Some(read)) if read != value => continue,
                Action::Read(_) => value,
            };
            self.done[client] += 1;
            self.order.push(client);
            if self.go_on(after) {
                return true;
            }
            self.order.pop();
            self.done[client] -= 1;
        }
        false
    }

    fn violation(mut self) -> Violation {
        let (best, value) = std::mem::take(&mut self.best);
        self.done.fill(0);
        let mut order = Vec::new();
        for client in best {
            order.extend(self.next(client).map(|operation| (client, *operation)));
            self.done[client] += 1;
        }
        let clients = 0..self.done.len();
        let stuck = clients.filter_map(|client| Some((client, *self.next(client)?))).collect();
        Violation { order, value, stuck }
    }
}
