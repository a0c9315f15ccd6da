//! The host's processes, as the kernel tells of them under `/proc`.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read;

/// What the kernel's line about a process says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stat {
    pub(super) pid: i32,
    pub(super) state: u8,
    pub(super) parent: i32,
    pub(super) group: i32,
    pub(super) session: i32,
}

/// Reads it; None when there is no such process. All processes are looked at whenever a tree is
/// killed: no more is read than is needed.
pub(super) fn stat(pid: i32) -> Option<Stat> {
    let mut line = [0; 512];
    let mut file = File::open(format!("/proc/{pid}/stat")).ok()?;
    let length = file.read(&mut line).ok()?;
    let line = line.get(..length)?;
    // The name may have blanks and brackets of its own.
    let after = line.iter().rposition(|byte| *byte == b')')?;
    let mut fields = line.get(after + 2..)?.split(|byte| *byte == b' ');
    let state = *fields.next()?.first()?;
    let mut number = || std::str::from_utf8(fields.next()?).ok()?.parse().ok();
    Some(Stat { pid, state, parent: number()?, group: number()?, session: number()? })
}

/// All processes; none when that cannot be told.
pub(super) fn table() -> Vec<Stat> {
    let Ok(all) = std::fs::read_dir("/proc") else { return Vec::new() };
    let pids = all.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    pids.filter_map(stat).collect()
}

/// Whoever descends from `seeds` or is in a group or session that one of them leads; seeds that are
/// processes, too.
pub(super) fn related(table: &[Stat], seeds: BTreeSet<i32>) -> BTreeSet<i32> {
    let mut leaders = seeds;
    let mut members = BTreeSet::new();
    loop {
        let before = members.len();
        for stat in table {
            let by = [stat.pid, stat.parent, stat.group, stat.session];
            if by.iter().any(|id| leaders.contains(id)) {
                members.insert(stat.pid);
                leaders.insert(stat.pid);
            }
        }
        if members.len() == before {
            return members;
        }
    }
}

/// True when a process was started with that variable in its environment.
pub(super) fn is_marked(pid: i32, (name, value): (&str, &str)) -> bool {
    let Ok(environment) = std::fs::read(format!("/proc/{pid}/environ")) else { return false };
    let mut variables = environment.split(|byte| *byte == 0);
    variables.any(|variable| {
        let rest = variable.strip_prefix(name.as_bytes());
        rest.and_then(|rest| rest.strip_prefix(b"=")) == Some(value.as_bytes())
    })
}

/// This process's children; None when the kernel does not tell (`CONFIG_PROC_CHILDREN`).
pub(super) fn children() -> Option<BTreeSet<i32>> {
    let mut all = BTreeSet::new();
    for thread in std::fs::read_dir("/proc/self/task").ok()? {
        let thread = thread.ok()?.path();
        match std::fs::read_to_string(thread.join("children")) {
            Ok(line) => all.extend(line.split_whitespace().filter_map(|it| it.parse::<i32>().ok())),
            Err(_) if thread.exists() => return None,
            // It ended meanwhile, and its children went to another thread.
            Err(_) => {}
        }
    }
    Some(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn process_is_told_with_its_parent_group_and_session() {
        let own = i32::try_from(std::process::id()).unwrap();
        let found = stat(own).unwrap();
        assert_eq!(found.parent, nix::unistd::getppid().as_raw());
        assert_eq!(found.group, nix::unistd::getpgrp().as_raw());
        assert_eq!(found.session, nix::unistd::getsid(None).unwrap().as_raw());
        assert_eq!(stat(i32::MAX), None);
        assert!(table().contains(&stat(own).unwrap()));
    }

    #[test]
    fn related_are_descendants_groups_and_sessions_of_who_is_gone_as_well() {
        let process =
            |pid, parent, group, session| Stat { pid, state: b'S', parent, group, session };
        let table = [
            process(10, 1, 9, 9),
            process(11, 10, 11, 11),
            process(12, 1, 11, 11),
            process(13, 1, 13, 13),
        ];
        assert_eq!(related(&table, BTreeSet::from([9])), BTreeSet::from([10, 11, 12]));
        assert_eq!(related(&table, BTreeSet::from([13])), BTreeSet::from([13]));
    }
}
