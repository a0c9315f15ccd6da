//! The log: entries with indices from 1, and which of them are on disk.

use super::messages::{Entry, Record};

/// A server's log. Index 0 stands for the place before the first entry, of term 0.
#[derive(Debug, Default)]
pub struct Log {
    entries: Vec<Entry>,
    /// How many of the first entries are as the disk has them.
    saved: usize,
}

fn position(index: u64) -> usize {
    usize::try_from(index).unwrap_or(usize::MAX)
}

impl Log {
    /// Index of the last entry.
    pub fn last_index(&self) -> u64 {
        self.entries.len() as u64
    }

    /// Term of the last entry.
    pub fn last_term(&self) -> u64 {
        self.entries.last().map_or(0, |entry| entry.term)
    }

    /// The term of an entry; None past the end.
    pub fn term_at(&self, index: u64) -> Option<u64> {
        match index {
            0 => Some(0),
            _ => self.get(index).map(|entry| entry.term),
        }
    }

    /// One entry.
    pub fn get(&self, index: u64) -> Option<&Entry> {
        self.entries.get(position(index.checked_sub(1)?))
    }

    /// At most `limit` entries that follow `index`.
    pub fn after(&self, index: u64, limit: usize) -> Vec<Entry> {
        self.entries.iter().skip(position(index)).take(limit).cloned().collect()
    }

    /// Adds one at the end.
    pub fn push(&mut self, entry: Entry) {
        self.entries.push(entry);
    }

    /// Puts a leader's entries behind `previous`. What is there already stays; from the first entry
    /// of another term on, what is there goes. (A late message must not cut off newer entries.)
    pub fn merge(&mut self, previous: u64, entries: Vec<Entry>) {
        for (index, entry) in (previous + 1..).zip(entries) {
            if self.term_at(index) != Some(entry.term) {
                self.cut(index - 1);
                self.push(entry);
            }
        }
    }

    fn cut(&mut self, last: u64) {
        self.entries.truncate(position(last));
        self.saved = self.saved.min(self.entries.len());
    }

    /// True when there is something that the disk does not have.
    pub fn is_changed(&self) -> bool {
        self.saved < self.entries.len()
    }

    /// The log's part of the next record; counts as saved from now on.
    pub fn take_changes(&mut self) -> (u64, Vec<Entry>) {
        let keep = self.saved as u64;
        self.saved = self.entries.len();
        (keep, self.after(keep, usize::MAX))
    }

    /// Does again what a record says.
    pub fn replay(&mut self, record: Record) {
        self.cut(record.keep);
        self.entries.extend(record.entries);
        self.saved = self.entries.len();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(terms: &[u64]) -> Log {
        let mut log = Log::default();
        log.merge(0, entries(terms));
        log
    }

    fn entries(terms: &[u64]) -> Vec<Entry> {
        terms.iter().map(|term| Entry { term: *term, command: None }).collect()
    }

    fn terms(log: &Log) -> Vec<u64> {
        log.after(0, usize::MAX).iter().map(|entry| entry.term).collect()
    }

    #[test]
    fn log_merged_with_a_late_prefix_keeps_what_follows() {
        let mut log = log(&[1, 1, 2, 2]);
        log.merge(1, entries(&[1, 2]));
        assert_eq!(terms(&log), [1, 1, 2, 2]);
    }

    #[test]
    fn log_merged_with_another_term_loses_what_follows() {
        let mut log = log(&[1, 1, 2, 2]);
        log.merge(1, entries(&[3]));
        assert_eq!(terms(&log), [1, 3]);
    }

    #[test]
    fn log_replayed_from_its_records_is_the_same() {
        let (mut log, mut copy) = (log(&[1, 1, 2]), Log::default());
        for terms in [&[][..], &[3, 3], &[4]] {
            log.merge(2, entries(terms));
            let (keep, entries) = log.take_changes();
            copy.replay(Record { keep, entries, ..Record::default() });
        }
        assert_eq!(terms(&copy), terms(&log));
        assert_eq!(terms(&copy), [1, 1, 4]);
        assert!(!log.is_changed() && !copy.is_changed());
    }
}
