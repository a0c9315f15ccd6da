//! Claim: a million idle actors take at most 500 bytes each and are spawned within a second.

use libprocess::{Process, Routes, real};
use runtime_benches::{Instant, Outcome, report, resident_bytes};

const ACTORS: u64 = 1_000_000;

struct Idle;

impl Process for Idle {
    fn routes(_: &mut Routes<Self>) {}
}

fn main() -> Outcome<()> {
    println!("{ACTORS} idle actors on one node");
    real::run(async {
        let node = runtime_benches::loopback(1).await?;
        let before = resident_bytes()?;
        let start = Instant::now();
        let mut last = None;
        for _ in 0..ACTORS {
            last = Some(node.spawn_numbered("idle", Idle));
        }
        let spawned = start.elapsed();
        if let Some(last) = last {
            // Its answer comes after all before it were initialised.
            last.ask(|_, _| ()).await?;
        }
        let ready = start.elapsed();
        let bytes = resident_bytes()?.saturating_sub(before);
        report("spawned", spawned.as_secs_f64(), "s");
        report("all initialised", ready.as_secs_f64(), "s");
        report("each", bytes as f64 / ACTORS as f64, "bytes resident");
        node.close();
        Ok(())
    })
}
