//! What an allocator must know of frameworks, slaves, roles and maintenance.

use std::collections::{BTreeMap, BTreeSet};

use protos::mesos;
use protos::mesos::framework_info::capability::Type as Capability;
use protos::mesos::quota::QuotaConfig;
use protos::mesos::slave_info::capability::Type as SlaveCapability;

use crate::amounts::Quantities;
use crate::constraints::OfferConstraints;
use crate::minimum::Minimum;

/// What the allocator must know of a framework.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct FrameworkSpec {
    /// Its name, for metrics.
    pub name: String,
    /// The roles it is subscribed to.
    pub roles: BTreeSet<String>,
    /// Those of them it wants no offers for.
    pub suppressed_roles: BTreeSet<String>,
    /// It takes resources that may be revoked (REVOCABLE_RESOURCES).
    pub revocable: bool,
    /// It knows what GPUs are worth (GPU_RESOURCES).
    pub gpus: bool,
    /// It takes volumes that others may hold, too (SHARED_RESOURCES).
    pub shared: bool,
    /// It knows resources by the role they are allocated to (MULTI_ROLE).
    pub multi_role: bool,
    /// It understands reservations within reservations (RESERVATION_REFINEMENT).
    pub refined: bool,
    /// It takes slaves in other regions than the master's (REGION_AWARE).
    pub region_aware: bool,
    /// Which slaves its roles want to see.
    pub constraints: OfferConstraints,
    /// What its offers must have at least, by role; the allocator's own minimum for the rest.
    pub minimum: BTreeMap<String, Minimum>,
}

impl FrameworkSpec {
    /// Of a framework in these roles, with the capabilities and filters that it declares; nothing
    /// suppressed and no constraints.
    pub fn new(info: &mesos::FrameworkInfo, roles: BTreeSet<String>) -> Self {
        let has = |wanted: Capability| {
            info.capabilities.iter().any(|capability| capability.r#type() == wanted)
        };
        let own = |(role, filters): (&String, _)| Some((role.clone(), Minimum::of(filters)?));
        Self {
            name: info.name.clone(),
            roles,
            suppressed_roles: BTreeSet::new(),
            revocable: has(Capability::RevocableResources),
            gpus: has(Capability::GpuResources),
            shared: has(Capability::SharedResources),
            multi_role: has(Capability::MultiRole),
            refined: has(Capability::ReservationRefinement),
            region_aware: has(Capability::RegionAware),
            constraints: OfferConstraints::default(),
            minimum: info.offer_filters.iter().filter_map(own).collect(),
        }
    }
}

/// Where a host stands (`DomainInfo.fault_domain`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Domain {
    /// Region.
    pub region: String,
    /// Zone within the region.
    pub zone: String,
}

impl Domain {
    /// The fault domain; None when the message has none.
    pub fn of(info: &mesos::DomainInfo) -> Option<Self> {
        let domain = info.fault_domain.as_ref()?;
        Some(Self { region: domain.region.name.clone(), zone: domain.zone.name.clone() })
    }
}

/// What the allocator must know of a slave.
#[derive(Debug, Clone, PartialEq)]
pub struct SlaveSpec {
    /// For the whitelist and constraints.
    pub hostname: String,
    /// For constraints.
    pub attributes: Vec<mesos::Attribute>,
    /// Where it stands.
    pub domain: Option<Domain>,
    /// It can serve frameworks in several roles (MULTI_ROLE).
    pub multi_role: bool,
    /// It knows roles with slashes (HIERARCHICAL_ROLE).
    pub hierarchical_roles: bool,
}

impl Default for SlaveSpec {
    /// A slave of today: nameless, but with every capability.
    fn default() -> Self {
        Self {
            hostname: String::new(),
            attributes: Vec::new(),
            domain: None,
            multi_role: true,
            hierarchical_roles: true,
        }
    }
}

impl SlaveSpec {
    /// Of a slave that registered with these capabilities.
    pub fn new(info: &mesos::SlaveInfo, capabilities: &[mesos::slave_info::Capability]) -> Self {
        let has = |wanted: SlaveCapability| {
            capabilities.iter().any(|capability| capability.r#type() == wanted)
        };
        Self {
            hostname: info.hostname.clone(),
            attributes: info.attributes.clone(),
            domain: info.domain.as_ref().and_then(Domain::of),
            multi_role: has(SlaveCapability::MultiRole),
            hierarchical_roles: has(SlaveCapability::HierarchicalRole),
        }
    }
}

/// What a role is promised, and what it may have at most. Both count for the roles below it, too.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Quota {
    /// Kept free for the role as long as it has less, in thousandths.
    pub guarantees: Quantities,
    /// The role gets no more, in thousandths. No limit for names that are absent.
    pub limits: Quantities,
}

impl From<&QuotaConfig> for Quota {
    fn from(config: &QuotaConfig) -> Self {
        let thousandths = |amounts: &BTreeMap<String, mesos::value::Scalar>| -> Quantities {
            let of = |scalar: &mesos::value::Scalar| (scalar.value * 1000.0).round() as i64;
            amounts.iter().map(|(name, scalar)| (name.clone(), of(scalar))).collect()
        };
        Self { guarantees: thousandths(&config.guarantees), limits: thousandths(&config.limits) }
    }
}

/// What a framework said to an inverse offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InverseStatus {
    /// It will leave the slave.
    Accepted,
    /// It will not.
    Declined,
}
