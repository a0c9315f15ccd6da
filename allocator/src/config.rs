//! How the default allocator works.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::minimum::Minimum;
use crate::spec::Domain;

/// In which order clients get their turn (flags `role_sorter`, `framework_sorter`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// `drf`: who has the smallest dominant share comes first.
    #[default]
    Drf,
    /// `random`: by lot, in proportion to weights.
    Random,
}

/// A text names no order.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown sorter '{0}', expected drf or random")]
pub struct OrderError(pub String);

impl std::str::FromStr for Order {
    type Err = OrderError;

    fn from_str(text: &str) -> Result<Self, OrderError> {
        match text {
            "drf" => Ok(Self::Drf),
            "random" => Ok(Self::Random),
            _ => Err(OrderError(text.to_owned())),
        }
    }
}

/// How the allocator works.
#[derive(Debug, Clone)]
pub struct Config {
    /// Time between runs over all slaves (flag `allocation_interval`, 1 s).
    pub allocation_interval: Duration,
    /// Weights of roles that differ from 1 (flag `weights`).
    pub weights: BTreeMap<String, f64>,
    /// What an offer must have at least (flag `min_allocatable_resources`).
    pub minimum: Minimum,
    /// Names that shares are not computed from (flag `fair_sharing_excluded_resource_names`).
    pub excluded: BTreeSet<String>,
    /// Between roles.
    pub role_order: Order,
    /// Between the frameworks of a role.
    pub framework_order: Order,
    /// Slaves with GPUs are for frameworks with GPU_RESOURCES only (flag `filter_gpu_resources`).
    pub filter_gpus: bool,
    /// Where the master stands: slaves in other regions are for region-aware frameworks only.
    pub domain: Option<Domain>,
    /// The longest pause after a failover with quotas (flag `allocator_recovery_timeout`, 10 min).
    pub recovery_timeout: Duration,
    /// The part of the slaves that ends the pause (flag `allocator_agent_recovery_factor`, 0.8).
    pub recovery_factor: f64,
    /// Metrics for each framework (flag `publish_per_framework_metrics`).
    pub framework_metrics: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            allocation_interval: Duration::from_secs(1),
            weights: BTreeMap::new(),
            minimum: Minimum::default(),
            excluded: BTreeSet::new(),
            role_order: Order::Drf,
            framework_order: Order::Drf,
            filter_gpus: true,
            domain: None,
            recovery_timeout: Duration::from_secs(600),
            recovery_factor: 0.8,
            framework_metrics: true,
        }
    }
}
