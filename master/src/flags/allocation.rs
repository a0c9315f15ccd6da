//! Flags of the allocator.

use std::time::Duration;

use allocator::Minimum;
use allocator::config::Order;
use clap::Args;
use protos::duration;

/// Flags of who is offered what.
#[derive(Args, Debug, Clone)]
#[command(rename_all = "snake_case")]
pub struct Allocation {
    /// Which allocator decides
    #[arg(long, help_heading = "Allocation", default_value = "hierarchical")]
    pub allocator: String,
    /// Least that is worth an offer: amounts by `;`, alternatives by `|`
    #[arg(long, help_heading = "Allocation", default_value = "cpus:0.01|mem:32", value_parser = minimum)]
    pub min_allocatable_resources: Minimum,
    /// Resources that do not count in fair shares, separated by commas
    #[arg(long, help_heading = "Allocation")]
    pub fair_sharing_excluded_resource_names: Option<String>,
    /// In which order roles are served: drf or random
    #[arg(long, help_heading = "Allocation", alias = "user_sorter", default_value = "drf", value_parser = order)]
    pub role_sorter: Order,
    /// In which order frameworks of a role are served: drf or random
    #[arg(long, help_heading = "Allocation", default_value = "drf", value_parser = order)]
    pub framework_sorter: Order,
    /// Keep slaves with GPUs for frameworks that use GPUs?
    #[arg(long, help_heading = "Allocation", default_value_t = true, action = clap::ArgAction::Set)]
    pub filter_gpu_resources: bool,
    /// Time without offers after a failover when there are quotas
    #[arg(long, help_heading = "Allocation", default_value = "10mins", value_parser = duration::parse)]
    pub allocator_recovery_timeout: Duration,
    /// Share of slaves that ends that time early
    #[arg(long, help_heading = "Allocation", default_value_t = 0.8)]
    pub allocator_agent_recovery_factor: f64,
}

fn minimum(text: &str) -> Result<Minimum, String> {
    text.parse().map_err(|error: allocator::minimum::MinimumError| error.to_string())
}

fn order(text: &str) -> Result<Order, String> {
    text.parse().map_err(|error: allocator::config::OrderError| error.to_string())
}

impl Allocation {
    /// The allocator's configuration; the rest is the master's.
    pub fn config(&self) -> allocator::Config {
        let excluded = self.fair_sharing_excluded_resource_names.iter();
        let excluded = excluded.flat_map(|names| names.split(',')).map(str::trim);
        allocator::Config {
            minimum: self.min_allocatable_resources.clone(),
            excluded: excluded.filter(|name| !name.is_empty()).map(str::to_owned).collect(),
            role_order: self.role_sorter,
            framework_order: self.framework_sorter,
            filter_gpus: self.filter_gpu_resources,
            recovery_timeout: self.allocator_recovery_timeout,
            recovery_factor: self.allocator_agent_recovery_factor,
            ..allocator::Config::default()
        }
    }
}
