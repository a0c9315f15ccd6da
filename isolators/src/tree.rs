//! Which processes belong to a container that no kernel object holds together.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use libprocess::Time;
use procfs::process::{Process, Stat, all_processes};

/// A table that is so old is read again: measuring many containers at once reads it once.
const FRESH: Duration = Duration::from_millis(250);

/// The processes of the host at one moment.
#[derive(Debug, Default)]
pub struct Table {
    stats: Vec<Stat>,
    /// Indices of processes by the parent, group or session that they belong to.
    below: BTreeMap<i32, Vec<usize>>,
}

impl Table {
    /// Looks at all processes.
    pub fn read() -> Self {
        let Ok(all) = all_processes() else { return Self::default() };
        Self::new(all.filter_map(|process| process.ok()?.stat().ok()).collect())
    }

    fn new(stats: Vec<Stat>) -> Self {
        let mut below: BTreeMap<i32, Vec<usize>> = BTreeMap::new();
        for (index, stat) in stats.iter().enumerate() {
            for id in BTreeSet::from([stat.pid, stat.ppid, stat.pgrp, stat.session]) {
                below.entry(id).or_default().push(index);
            }
        }
        Self { stats, below }
    }

    /// A process, its descendants, and the groups and sessions these lead.
    pub fn members(&self, root: u32) -> Vec<&Stat> {
        let Ok(root) = i32::try_from(root) else { return Vec::new() };
        let (mut members, mut open) = (BTreeSet::new(), vec![root]);
        while let Some(id) = open.pop() {
            for index in self.below.get(&id).into_iter().flatten() {
                if members.insert(*index) {
                    open.push(self.stats[*index].pid);
                }
            }
        }
        members.into_iter().map(|index| &self.stats[index]).collect()
    }
}

/// A table that several isolators share, read again when it is not fresh.
#[derive(Debug, Clone, Default)]
pub struct Shared(Arc<Mutex<Option<Moment>>>);

/// When a table was read.
type Moment = (Time, Arc<Table>);

impl Shared {
    /// A table of this moment, nearly.
    pub fn table(&self, now: Time) -> Arc<Table> {
        let mut slot = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &*slot {
            Some((read, table)) if now.since(*read) < FRESH => table.clone(),
            _ => {
                let table = Arc::new(Table::read());
                *slot = Some((now, table.clone()));
                table
            }
        }
    }
}

/// True when there is such a process.
pub fn exists(pid: u32) -> bool {
    i32::try_from(pid).is_ok_and(|pid| Process::new(pid).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tree_holds_own_process_and_children() {
        let mut child = std::process::Command::new("sleep").arg("1000").spawn().unwrap();
        let table = Table::read();
        let pids: Vec<i32> =
            table.members(std::process::id()).iter().map(|stat| stat.pid).collect();
        assert!(pids.contains(&(std::process::id() as i32)));
        assert!(pids.contains(&(child.id() as i32)));
        assert!(table.members(u32::MAX).is_empty());
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn tree_is_read_again_only_when_it_is_old() {
        let shared = Shared::default();
        let at = |millis: u64| shared.table(Time::from_nanos(millis * 1_000_000));
        let first = at(1_000);
        assert!(Arc::ptr_eq(&first, &at(1_249)));
        assert!(!Arc::ptr_eq(&first, &at(1_250)));
    }
}
