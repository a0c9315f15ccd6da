//! Performance claims, one file each; `cargo xtask bench [name…]` runs them in a release build.
//!
//! # Purpose
//! A claim is a ratio between this project and a named peer, measured in the same run on the same
//! machine. Absolute figures are printed, too, but depend on the machine.
//!
//! # Non-goals
//! No statistics over many runs and no thresholds: machines that are shared are too noisy for that.
//!
//! # Map
//! - `runtime/`: the claims of the actor runtime, which needs nothing else of the project
//! - `benches/allocator_cycle.rs`: the allocator on thousands of slaves; peer: bare look-ups
//! - `benches/log_append.rs`, `benches/log_catch_up.rs`: the replicated log; peers: bare files
//! - `benches/registry_recovery.rs`: a large registry on it; peer: bare encoding
//! - `benches/task_rate.rs`: short tasks on a whole cluster; peer: bare child processes
//! - `benches/task_flow.rs`, `task_flow_sockets.rs`: what a task costs the master
//! - `benches/slave_registration.rs`, `master_failover.rs`, `master_comeback.rs`: slaves come, and
//!   come back
//! - `benches/state_endpoint.rs`, `task_memory.rs`, `reconciliation.rs`, `registrar.rs`
//! - [`fake`]: slaves and frameworks that keep the protocol and run nothing; a master of its own
//!   OS process
//!
//! # Example
//! ```
//! let rate = benches::rate(1_000, std::time::Duration::from_millis(10));
//! assert_eq!(rate, 100_000.0);
//! benches::ratio("ours", rate, "peer", 50_000.0);
//! ```

pub mod fake;

use std::time::Duration;

/// As in the binaries.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What benches return.
pub type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

/// Prints one line: `what: figure unit (goal: …)`.
pub fn claim(what: &str, figure: f64, unit: &str, goal: &str) {
    let decimals = if figure < 10.0 { 2 } else { 0 };
    println!("{what}: {figure:.decimals$} {unit} (goal: {goal})");
}

/// Prints one line: `what: figure unit`.
pub fn report(what: &str, figure: f64, unit: &str) {
    let decimals = if figure < 10.0 { 2 } else { 0 };
    println!("{what}: {figure:.decimals$} {unit}");
}

/// Prints how `ours` compares with what a peer did in the same run: `ours / peer: ratio x`.
pub fn ratio(what: &str, ours: f64, peer: &str, theirs: f64) {
    println!("{what} / {peer}: {:.2} x", ours / theirs);
}

/// Things per second.
pub fn rate(count: u64, took: Duration) -> f64 {
    count as f64 / took.as_secs_f64()
}

/// Milliseconds with fraction.
pub fn millis(took: Duration) -> f64 {
    took.as_secs_f64() * 1e3
}

/// How long `work` takes, with what it returns.
pub fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let start = tokio::time::Instant::now();
    let result = work();
    (result, start.elapsed())
}

/// The middle one; zero of none.
pub fn median(times: Vec<Duration>) -> Duration {
    quantile(times, 0.5)
}

/// The one below which the share `q` of all lies; zero of none.
pub fn quantile(mut times: Vec<Duration>, q: f64) -> Duration {
    times.sort_unstable();
    let last = times.len().saturating_sub(1);
    let at = (times.len() as f64 * q) as usize;
    times.get(at.min(last)).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn median_of_none_is_zero_and_of_many_the_middle() {
        assert_eq!(median(Vec::new()), Duration::ZERO);
        let times = [3, 1, 2].map(Duration::from_secs);
        assert_eq!(median(times.to_vec()), Duration::from_secs(2));
    }
}
