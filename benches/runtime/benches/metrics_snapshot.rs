//! Claim: a snapshot of 100,000 counters takes at most 50 ms.

use libprocess::http::{Body, Request};
use libprocess::{NodeConfig, real};
use runtime_benches::{Instant, Outcome, quantile, report};

const COUNTERS: usize = 100_000;

fn main() -> Outcome<()> {
    real::run(async {
        // Without the limit on how often it may be asked.
        let node = NodeConfig { metrics_rate_limit: None, ..NodeConfig::default() };
        let node = real::Config { ip: std::net::Ipv4Addr::LOCALHOST, node, ..Default::default() };
        let node = real::start(node).await?;
        for number in 0..COUNTERS {
            node.metrics().counter(&format!("bench/counter_{number}")).add(number as u64);
        }
        let mut times = Vec::new();
        for _ in 0..20 {
            let start = Instant::now();
            let response = node.http(Request::new("GET", "/metrics/snapshot")?).await;
            times.push(start.elapsed());
            let Body::Bytes(bytes) = response.body else { return Err("no body".into()) };
            if response.status == 200 {
                std::hint::black_box(bytes);
            }
        }
        times.sort_unstable();
        let middle = quantile(&times, 0.5).as_secs_f64() * 1e3;
        report(&format!("snapshot of {COUNTERS} counters, p50"), middle, "ms");
        node.close();
        Ok(())
    })
}
