//! The replicated register as three OS processes, the leader of which is killed.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests")]

mod common;

use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::Path;

use common::{Program, http};

const PROGRAM: &str = env!("CARGO_BIN_EXE_raft-register");

/// Servers at fixed ports, as they must know each other beforehand; the loopback address is one that
/// no other test has.
fn addresses() -> Vec<SocketAddrV4> {
    let [.., high, low] = std::process::id().to_be_bytes();
    (1..=3).map(|last| SocketAddrV4::new(Ipv4Addr::new(127, high | 1, low, last), 7000)).collect()
}

fn start(directory: &Path, addresses: &[SocketAddrV4], which: usize) -> Program {
    let file = directory.join(which.to_string()).to_string_lossy().into_owned();
    let others = addresses.iter().filter(|address| **address != addresses[which]);
    let order = [addresses[which]].into_iter().chain(others.copied());
    let arguments: Vec<String> =
        [file].into_iter().chain(order.map(|address| address.to_string())).collect();
    let mut program =
        Program::start(PROGRAM, &arguments.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(program.line(), format!("raft@{}", addresses[which]));
    program
}

/// The body of the answer, asked for until it is a success.
fn get(address: SocketAddrV4, path: &str) -> String {
    loop {
        if let Some(body) = http(address, "GET", path, "") {
            return body;
        }
    }
}

fn write(address: SocketAddrV4, value: u64) {
    while http(address, "POST", "/register/value", &value.to_string()).is_none() {}
}

#[test]
fn raft_register_of_three_processes_survives_the_killing_of_its_leader() {
    let directory = std::env::temp_dir().join(format!("raft-{}", libprocess::Uuid::new_v4()));
    let addresses = addresses();
    let mut programs: Vec<_> =
        (0..3).map(|which| Some(start(&directory, &addresses, which))).collect();
    write(addresses[0], 41);
    assert_eq!(get(addresses[2], "/register/value"), "41\n");
    let leads = |which: &usize| get(addresses[*which], "/raft/state").starts_with("leader");
    let leader = loop {
        if let Some(leader) = (0..3).find(leads) {
            break leader;
        }
    };
    programs[leader] = None;
    let other = (leader + 1) % 3;
    assert_eq!(get(addresses[other], "/register/value"), "41\n");
    write(addresses[other], 42);
    programs[leader] = Some(start(&directory, &addresses, leader));
    while !get(addresses[leader], "/raft/state").ends_with("value 42\n") {}
    assert_eq!(get(addresses[leader], "/register/value"), "42\n");
    drop(programs);
    std::fs::remove_dir_all(directory).unwrap();
}
