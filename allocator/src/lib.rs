//! Decides who is offered what.
//!
//! # Purpose
//! The master tells an [`Allocator`] of frameworks, slaves and resources that come back; the
//! allocator calls back with resources to offer. The default one shares by dominant resource
//! fairness, level by level down a tree of roles, then between the frameworks of a role.
//!
//! # Non-goals
//! It knows no masters, messages, tasks or offers: an offered resource is an allocated one.
//!
//! # Map
//! - [`Allocator`]: the contract; [`Callbacks`]: what it answers with
//! - [`spec`], [`constraints`], [`minimum`], [`config`]: what it is told
//! - [`explain`]: why somebody was, or was not, offered something
//! - [`hierarchy`]: the deciding half of the default one, a state machine without clock or IO
//! - [`actor`]: its doing half, with metrics and endpoints
//! - [`catalogue`]: allocators by name
//!
//! # Example
//! ```
//! use allocator::hierarchy::Hierarchy;
//! use allocator::{Config, FrameworkSpec, SlaveSpec};
//! use libprocess::Time;
//!
//! let mut hierarchy = Hierarchy::new(Config::default());
//! let spec = FrameworkSpec { roles: ["web".to_owned()].into(), ..FrameworkSpec::default() };
//! hierarchy.add_framework("f".into(), spec, true, Default::default());
//! let total = "cpus:4;mem:512".parse()?;
//! hierarchy.add_slave("s".into(), SlaveSpec::default(), total, Default::default());
//! let given = hierarchy.allocate_all(Time::EPOCH);
//! assert_eq!(given[&"f".into()]["web"][&"s".into()].cpus(), 4.0);
//! # Ok::<(), protos::resources::ResourceError>(())
//! ```

pub mod actor;
mod amounts;
pub mod catalogue;
pub mod config;
pub mod constraints;
pub mod explain;
pub mod hierarchy;
pub mod minimum;
pub mod spec;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use libprocess::Time;
use protos::ids::{FrameworkId, SlaveId};
use protos::mesos::Unavailability;
use protos::resources::Resources;

pub use actor::HierarchicalAllocator;
pub use amounts::Quantities;
pub use catalogue::{Catalogue, named};
pub use config::Config;
pub use constraints::OfferConstraints;
pub use explain::{Explanation, Question, Reason};
pub use minimum::Minimum;
pub use spec::{Domain, FrameworkSpec, InverseStatus, Quota, SlaveSpec};

/// Resources for one framework: by role, then by slave. Each is allocated to its role.
pub type Allocation = BTreeMap<String, BTreeMap<SlaveId, Resources>>;

/// Called with what a framework is to be offered.
pub type OfferCallback = Arc<dyn Fn(FrameworkId, Allocation) + Send + Sync>;

/// Called with the slaves that a framework is asked to leave, and when.
pub type InverseOfferCallback =
    Arc<dyn Fn(FrameworkId, BTreeMap<SlaveId, Unavailability>) + Send + Sync>;

/// What frameworks said to inverse offers, and when, by slave.
pub type InverseStatuses = BTreeMap<SlaveId, BTreeMap<FrameworkId, (InverseStatus, Time)>>;

/// Where an allocator's decisions go.
#[derive(Clone)]
pub struct Callbacks {
    /// Offers.
    pub offers: OfferCallback,
    /// Inverse offers.
    pub inverse_offers: InverseOfferCallback,
}

impl From<OfferCallback> for Callbacks {
    /// With inverse offers going nowhere.
    fn from(offers: OfferCallback) -> Self {
        Self { offers, inverse_offers: Arc::new(|_, _| {}) }
    }
}

/// The contract between a master and its allocator.
///
/// Every method returns at once and takes effect in the order of the calls. Resources handed to the
/// callback count as allocated until they come back through [`Allocator::recover_resources`].
/// Resources that are given, held or come back are allocated to a role; totals are not. Calls that
/// name a framework or slave that is not (or no longer) known change nothing, except that a slave
/// may come with what frameworks hold that are not known yet. Methods with a body are optional.
pub trait Allocator: Send + Sync {
    /// A framework subscribed; `used` is what it holds on each slave already and was not told yet.
    fn add_framework(
        &self,
        id: FrameworkId,
        spec: FrameworkSpec,
        active: bool,
        used: BTreeMap<SlaveId, Resources>,
    );
    /// Its roles, capabilities or constraints changed.
    fn update_framework(&self, id: FrameworkId, spec: FrameworkSpec);
    /// It is gone, and what it held is free.
    fn remove_framework(&self, id: FrameworkId);
    /// It may be offered resources.
    fn activate_framework(&self, id: FrameworkId);
    /// It must not be offered resources. Its filters are forgotten.
    fn deactivate_framework(&self, id: FrameworkId);

    /// A slave came; `used` is what frameworks hold on it already.
    fn add_slave(
        &self,
        id: SlaveId,
        spec: SlaveSpec,
        total: Resources,
        used: BTreeMap<FrameworkId, Resources>,
    );
    /// The slave's total changed.
    fn update_slave(&self, id: SlaveId, total: Resources);
    /// The slave's attributes, domain or capabilities changed.
    fn update_slave_spec(&self, id: SlaveId, spec: SlaveSpec) {
        let _ = (id, spec);
    }
    /// It is gone with all its resources.
    fn remove_slave(&self, id: SlaveId);
    /// Its resources may be offered.
    fn activate_slave(&self, id: SlaveId);
    /// Its resources must not be offered.
    fn deactivate_slave(&self, id: SlaveId);

    /// Frameworks hold more of the slave than was known: it came back with tasks.
    fn track_allocation(&self, slave: SlaveId, more: BTreeMap<FrameworkId, Resources>);
    /// An operation turned what the framework held on the slave into something else (a reservation,
    /// a volume), and the slave's total with it. Filters stay.
    fn update_allocation(
        &self,
        framework: FrameworkId,
        slave: SlaveId,
        total: Resources,
        before: Resources,
        after: Resources,
    );
    /// Allocated resources are free again: with no `refuse_for` because they are not used any more,
    /// else because the framework refused them. It is not offered them (or a part of them) on that
    /// slave for so long, at least for an allocation interval; refused for no time, they may come
    /// again in the next periodic cycle.
    fn recover_resources(
        &self,
        framework: FrameworkId,
        slave: SlaveId,
        resources: Resources,
        refuse_for: Option<Duration>,
    );

    /// No offers for these roles of the framework; for all its roles when empty.
    fn suppress_offers(&self, framework: FrameworkId, roles: BTreeSet<String>);
    /// Offers again, and filters forgotten, for these roles; for all its roles when empty.
    fn revive_offers(&self, framework: FrameworkId, roles: BTreeSet<String>);
    /// The framework would like resources, on any slave or a certain one. A hint.
    fn request_resources(&self, framework: FrameworkId, wanted: Vec<(Option<SlaveId>, Resources)>) {
        let _ = (framework, wanted);
    }

    /// Roles' weights changed.
    fn update_weights(&self, weights: Vec<(String, f64)>);
    /// A role's quota changed; without guarantees and limits it has none.
    fn update_quota(&self, role: String, quota: Quota) {
        let _ = (role, quota);
    }
    /// Only slaves on these hosts are offered; all of them for None.
    fn update_whitelist(&self, hostnames: Option<BTreeSet<String>>);
    /// A master took over that expects so many slaves back: with quotas, nothing is offered until
    /// enough of them came or some time passed.
    fn recover(&self, slaves: usize, quotas: BTreeMap<String, Quota>) {
        let _ = slaves;
        quotas.into_iter().for_each(|(role, quota)| self.update_quota(role, quota));
    }

    /// The slave will not be available for some time; None takes that back. What frameworks said to
    /// earlier inverse offers is forgotten.
    fn update_unavailability(&self, slave: SlaveId, unavailability: Option<Unavailability>) {
        let _ = (slave, unavailability);
    }
    /// An inverse offer was answered, or withdrawn (no status). With `refuse_for`, the framework is
    /// not asked again for so long.
    fn update_inverse_offer(
        &self,
        slave: SlaveId,
        framework: FrameworkId,
        status: Option<InverseStatus>,
        refuse_for: Option<Duration>,
    ) {
        let _ = (slave, framework, status, refuse_for);
    }
    /// The answers to inverse offers.
    fn inverse_statuses(&self) -> BoxFuture<'static, InverseStatuses> {
        Box::pin(std::future::ready(InverseStatuses::new()))
    }

    /// Why somebody was, or was not, offered something. An empty answer for allocators that cannot
    /// tell.
    fn explain(&self, question: Question) -> BoxFuture<'static, Explanation> {
        let _ = question;
        Box::pin(std::future::ready(Explanation::default()))
    }
}

/// The longest time a framework can refuse a slave for: 365 days.
pub const MAX_REFUSE: Duration = Duration::from_secs(365 * 86_400);
/// For how long a framework refuses a slave when it does not say.
pub const DEFAULT_REFUSE: Duration = Duration::from_secs(5);

/// The time that `refuse_seconds` asks for: default 5 s, negative and not-a-number as the default,
/// at most 365 days. Always something, as [`Allocator::recover_resources`] takes it: 0 asks for no
/// filter.
pub fn refuse_duration(refuse_seconds: Option<f64>) -> Option<Duration> {
    let wanted = match refuse_seconds {
        None => DEFAULT_REFUSE,
        Some(seconds) if seconds.is_nan() || seconds < 0.0 => DEFAULT_REFUSE,
        Some(seconds) => Duration::try_from_secs_f64(seconds).unwrap_or(MAX_REFUSE).min(MAX_REFUSE),
    };
    Some(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuse_seconds_are_bounded() {
        let secs = |s| Some(Duration::from_secs(s));
        let cases = [
            (None, secs(5)),
            (Some(-1.0), secs(5)),
            (Some(f64::NAN), secs(5)),
            (Some(0.0), secs(0)),
            (Some(10.0), secs(10)),
            (Some(1e300), Some(MAX_REFUSE)),
        ];
        for (given, expected) in cases {
            assert_eq!(refuse_duration(given), expected, "{given:?}");
        }
    }
}
