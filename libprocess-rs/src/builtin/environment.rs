//! What environment variables say of the built-in processes.

use crate::NodeConfig;
use crate::metrics::{BadRate, parse_rate_limit};

/// The variable that limits how often metrics may be asked for.
const RATE_LIMIT: &str = "LIBPROCESS_METRICS_SNAPSHOT_ENDPOINT_RATE_LIMIT";

/// The variable that must be `1` for the profiler to work.
const PROFILER: &str = "LIBPROCESS_ENABLE_PROFILER";

impl NodeConfig {
    /// Takes `LIBPROCESS_METRICS_SNAPSHOT_ENDPOINT_RATE_LIMIT` and `LIBPROCESS_ENABLE_PROFILER` over
    /// what is set so far.
    ///
    /// # Errors
    /// [`BadRate`] when the former is set and neither empty nor a rate.
    pub fn from_env(mut self, lookup: impl Fn(&str) -> Option<String>) -> Result<Self, BadRate> {
        if let Some(rate) = lookup(RATE_LIMIT) {
            self.metrics_rate_limit = parse_rate_limit(&rate)?;
        }
        if let Some(enabled) = lookup(PROFILER) {
            self.profiler = enabled == "1";
        }
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn read(rate: Option<&str>, profiler: Option<&str>) -> Result<NodeConfig, BadRate> {
        NodeConfig::default().from_env(|name| match name {
            RATE_LIMIT => rate.map(str::to_owned),
            PROFILER => profiler.map(str::to_owned),
            _ => None,
        })
    }

    #[test]
    fn variables_set_the_rate_limit_and_enable_the_profiler() {
        let node = read(None, None).unwrap();
        assert_eq!(node.metrics_rate_limit, Some((2, Duration::from_secs(1))));
        assert!(!node.profiler);
        let node = read(Some("10/1mins"), Some("1")).unwrap();
        assert_eq!(node.metrics_rate_limit, Some((10, Duration::from_secs(60))));
        assert!(node.profiler);
        let node = read(Some(""), Some("true")).unwrap();
        assert_eq!(node.metrics_rate_limit, None);
        assert!(!node.profiler);
        assert!(read(Some("fast"), None).is_err());
    }
}
