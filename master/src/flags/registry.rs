//! Flags of the registry and of slaves' coming and going.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use protos::duration;
use protos::mesos;

use super::json;

/// So many within so long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate(pub u32, pub Duration);

/// Flags of the registry.
#[derive(Args, Debug, Clone)]
#[command(rename_all = "snake_case")]
pub struct Registry {
    /// Time that reading the registry may take
    #[arg(long, help_heading = "Registry", default_value = "60secs", value_parser = duration::parse)]
    pub registry_fetch_timeout: Duration,
    /// Time that writing the registry may take
    #[arg(long, help_heading = "Registry", default_value = "20secs", value_parser = duration::parse)]
    pub registry_store_timeout: Duration,
    /// Time between prunings of the registry
    #[arg(long, help_heading = "Registry", default_value = "15mins", value_parser = duration::parse)]
    pub registry_gc_interval: Duration,
    /// Time that slaves stay listed as unreachable or gone
    #[arg(long, help_heading = "Registry", default_value = "2weeks", value_parser = duration::parse)]
    pub registry_max_agent_age: Duration,
    /// Slaves that stay listed as unreachable or gone
    #[arg(long, help_heading = "Registry", default_value_t = 102_400)]
    pub registry_max_agent_count: usize,
    /// Must slaves be in the registry to come back under their id?
    #[arg(long, help_heading = "Registry", default_value_t = false, action = clap::ArgAction::Set)]
    pub registry_strict: bool,
    /// How many slaves may be marked unreachable, such as 1/10mins; any when absent
    #[arg(long, help_heading = "Slaves", alias = "slave_removal_rate_limit", value_parser = rate)]
    pub agent_removal_rate_limit: Option<Rate>,
    /// Share of slaves that may stay away after a failover before the master gives up
    #[arg(long, help_heading = "Slaves", alias = "recovery_slave_removal_limit", default_value = "100%", value_parser = percent)]
    pub recovery_agent_removal_limit: f64,
    /// File with the hosts whose slaves are offered, one a line; all when absent
    #[arg(long, help_heading = "Slaves")]
    pub whitelist: Option<PathBuf>,
    /// Must slaves tell where they are?
    #[arg(long, help_heading = "Slaves", default_value_t = false, action = clap::ArgAction::Set)]
    pub require_agent_domain: bool,
    /// Where this master is
    #[arg(long, help_heading = "Cluster", value_name = "JSON", value_parser = json::<mesos::DomainInfo>)]
    pub domain: Option<mesos::DomainInfo>,
}

fn rate(text: &str) -> Result<Rate, String> {
    let expected = || format!("expected count/duration such as 1/10mins, not '{text}'");
    let (count, within) = text.split_once('/').ok_or_else(expected)?;
    let count: u32 = count.trim().parse().map_err(|_| expected())?;
    let within = duration::parse(within.trim()).map_err(|error| error.to_string())?;
    if count == 0 || within.is_zero() {
        return Err(expected());
    }
    Ok(Rate(count, within))
}

/// A share from 0 to 1, written like `50%`.
fn percent(text: &str) -> Result<f64, String> {
    let number = text.strip_suffix('%').and_then(|number| number.parse::<f64>().ok());
    match number.filter(|number| (0.0..=100.0).contains(number)) {
        Some(number) => Ok(number / 100.0),
        None => Err(format!("expected 0% to 100%, not '{text}'")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_and_shares_are_read() {
        assert_eq!(rate("2/10mins"), Ok(Rate(2, Duration::from_secs(600))));
        assert_eq!(percent("50%"), Ok(0.5));
        for bad in ["", "1", "0/1secs", "1/0ns", "x/1secs", "1/x"] {
            assert!(rate(bad).is_err(), "{bad}");
        }
        for bad in ["", "50", "101%", "-1%", "x%", "NaN%"] {
            assert!(percent(bad).is_err(), "{bad}");
        }
    }
}
