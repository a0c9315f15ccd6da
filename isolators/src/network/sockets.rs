//! Ports on which processes listen.

use std::collections::{BTreeMap, BTreeSet};

use procfs::net::{TcpNetEntry, TcpState};
use procfs::process::{FDTarget, Process};

/// Ports of listening TCP sockets of the host's network, by the sockets' inodes.
pub fn listening() -> BTreeMap<u64, u16> {
    let tables = [procfs::net::tcp(), procfs::net::tcp6()];
    let entries = tables.into_iter().filter_map(Result::ok).flatten();
    let open = entries.filter(|entry: &TcpNetEntry| entry.state == TcpState::Listen);
    open.map(|entry| (entry.inode, entry.local_address.port())).collect()
}

/// The ports on which any of some processes listens. Processes that go meanwhile have none.
pub fn ports(pids: &[u32], listening: &BTreeMap<u64, u16>) -> BTreeSet<u16> {
    let mut ports = BTreeSet::new();
    for pid in pids {
        let Some(open) = i32::try_from(*pid)
            .ok()
            .and_then(|pid| Process::new(pid).ok())
            .and_then(|process| process.fd().ok())
        else {
            continue;
        };
        for descriptor in open.filter_map(Result::ok) {
            if let FDTarget::Socket(inode) = descriptor.target
                && let Some(port) = listening.get(&inode)
            {
                ports.insert(*port);
            }
        }
    }
    ports
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_of_a_process_that_listens_are_found() {
        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = socket.local_addr().unwrap().port();
        let open = listening();
        assert!(ports(&[std::process::id()], &open).contains(&port));
        assert!(ports(&[u32::MAX], &open).is_empty());
    }
}
