//! Performance claims of the actor runtime, one file each; `cargo xtask bench` runs them, too.
//!
//! # Purpose
//! A claim is a ratio between the runtime and a named peer, or a count of it, measured in the same
//! run on the same machine. Absolute figures are printed, too, but depend on the machine.
//!
//! # Non-goals
//! No thresholds: machines that are shared are too noisy for that.
//!
//! # Map
//! - `benches/local_send.rs`: empty messages on a node; peers: actix, ractor, kameo, tokio
//! - `benches/protobuf_messages.rs`: encoded, queued, decoded, handled
//! - `benches/remote_messages.rs`: between OS processes, answered 202; peers: actix-web, hyper
//! - `benches/ping_pong.rs`: request and reply between nodes; peer: a TCP echo
//! - `benches/idle_actors.rs`, `timers.rs`, `links.rs`, `metrics_snapshot.rs`: many of a kind
//! - `benches/simulator.rs`: events and virtual hours
//!
//! # Example
//! ```
//! let rate = runtime_benches::rate(1_000, std::time::Duration::from_millis(10));
//! assert_eq!(rate, 100_000.0);
//! ```

use std::time::Duration;

pub use tokio::time::Instant;

/// What benches return.
pub type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

/// Rounds of each measurement, of which the best counts: other work on the machine only adds.
pub const ROUNDS: usize = 3;

/// Things per second.
pub fn rate(count: u64, took: Duration) -> f64 {
    count as f64 / took.as_secs_f64()
}

/// Prints one line: `what: figure unit`.
pub fn report(what: &str, figure: f64, unit: &str) {
    let decimals = if figure < 10.0 { 2 } else { 0 };
    println!("{what}: {figure:.decimals$} {unit}");
}

/// Prints how `ours` compares with what a peer did in the same run.
pub fn ratio(what: &str, ours: f64, peer: &str, theirs: f64) {
    println!("{what} / {peer}: {:.2} x", ours / theirs);
}

/// The highest of several rates.
pub fn best(rates: impl IntoIterator<Item = f64>) -> f64 {
    rates.into_iter().fold(0.0, f64::max)
}

/// The value below which the share `q` of the sorted values lies.
pub fn quantile(sorted: &[Duration], q: f64) -> Duration {
    let at = ((sorted.len() as f64 - 1.0) * q).round() as usize;
    sorted.get(at).copied().unwrap_or_default()
}

/// Resident memory of this OS process, in bytes.
pub fn resident_bytes() -> Outcome<u64> {
    let process = procfs::process::Process::myself()?;
    Ok(process.stat()?.rss * procfs::page_size())
}

/// User and system time of an OS process so far.
pub fn cpu_time(pid: u32) -> Outcome<Duration> {
    let stat = procfs::process::Process::new(i32::try_from(pid)?)?.stat()?;
    let ticks = stat.utime + stat.stime;
    Ok(Duration::from_secs_f64(ticks as f64 / procfs::ticks_per_second() as f64))
}

/// A message with a body of any size.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Blob {
    /// Makes up the size.
    #[prost(bytes = "bytes", tag = "1")]
    pub data: bytes::Bytes,
}

impl prost::Name for Blob {
    const PACKAGE: &'static str = "bench";
    const NAME: &'static str = "Blob";
}

impl Blob {
    /// A message whose encoded body has `size` bytes, which is between 2 and 129.
    pub fn of(size: usize) -> Self {
        Self { data: vec![7; size - 2].into() }
    }
}

/// Starts nothing on a loopback node but the node itself.
///
/// # Errors
/// When there is no free port.
pub async fn loopback(threads: usize) -> Outcome<libprocess::Node> {
    let ip = std::net::Ipv4Addr::LOCALHOST;
    let config = libprocess::real::Config { ip, threads, ..Default::default() };
    Ok(libprocess::real::start(config).await?)
}
