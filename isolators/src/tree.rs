//! Which processes belong to a container that no kernel object holds together.

use std::collections::BTreeSet;

use procfs::process::{Process, Stat, all_processes};

/// The first process of a container, its descendants, and the groups and sessions these lead.
pub fn members(root: u32) -> Vec<Stat> {
    let Ok(root) = i32::try_from(root) else { return Vec::new() };
    let Ok(all) = all_processes() else { return Vec::new() };
    let stats: Vec<Stat> = all.filter_map(|process| process.ok()?.stat().ok()).collect();
    let mut ids = BTreeSet::from([root]);
    loop {
        let before = ids.len();
        for stat in &stats {
            if [stat.ppid, stat.pgrp, stat.session].iter().any(|id| ids.contains(id)) {
                ids.insert(stat.pid);
            }
        }
        if ids.len() == before {
            break;
        }
    }
    stats.into_iter().filter(|stat| ids.contains(&stat.pid)).collect()
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
        let pids: Vec<i32> = members(std::process::id()).iter().map(|stat| stat.pid).collect();
        assert!(pids.contains(&(std::process::id() as i32)));
        assert!(pids.contains(&(child.id() as i32)));
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
