//! Processes that every node runs: `metrics`, `help`, `logging`, `profiler`, `system`,
//! `version`, `__processes__`.

mod environment;
mod help;
mod help_page;
mod logging;
mod metrics;
mod processes;
mod profiler;
mod system;
mod version;

use crate::{Node, Time};

/// The realm of built-in endpoints that tell something.
const READ_ONLY: &str = "readonly";

/// The realm of built-in endpoints that change something.
const READ_WRITE: &str = "readwrite";

pub(crate) fn spawn_all(node: &Node) {
    let clock = node.downgrade();
    node.metrics().set_clock(move || clock.upgrade().map_or(Time::EPOCH, |node| node.now()));
    // A fresh node has no process that could hold one of these ids.
    let _ =
        node.spawn("metrics", metrics::MetricsProcess::new(node, node.config().metrics_rate_limit));
    let _ = node.spawn("help", help::HelpProcess);
    let _ = node.spawn("logging", logging::LoggingProcess::default());
    let _ = node.spawn("profiler", profiler::ProfilerProcess::default());
    let _ = node.spawn("system", system::SystemProcess);
    let _ = node.spawn("version", version::VersionProcess);
    let _ = node.spawn("__processes__", processes::ProcessesProcess);
}
