//! Whatever strangers send a master, it neither panics, nor gives away what slaves do not have, nor
//! keeps more than it was sent.

#![no_main]

#[path = "../../../master/tests/support/attacker.rs"]
mod attacker;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| attacker::attack(bytes));
