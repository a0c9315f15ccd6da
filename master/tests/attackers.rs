//! Strangers who send forged messages, by seed. The same attack is a target of `fuzz/`.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests")]

#[path = "support/attacker.rs"]
mod attacker;

use libprocess::sim::{World, seeds};
use rand::RngCore;

#[test]
fn forged_messages_neither_end_the_master_nor_spoil_its_books() {
    for seed in seeds(150) {
        let mut bytes = vec![0; 24 * 96];
        World::new(seed).rng().fill_bytes(&mut bytes);
        let attacked = std::panic::catch_unwind(|| attacker::attack(&bytes));
        assert!(attacked.is_ok(), "SEED={seed}");
    }
}
