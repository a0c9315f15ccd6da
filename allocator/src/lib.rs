//! Decides who is offered what.
//!
//! # Purpose
//! The master tells an [`Allocator`] of frameworks, slaves and resources that come back; the
//! allocator calls back with resources to offer. The default one shares by dominant resource
//! fairness, between roles first and then between the frameworks of a role.
//!
//! # Non-goals
//! It knows no masters, messages, tasks or offers: an offered resource is an allocated one.
//!
//! # Map
//! - [`Allocator`]: the contract
//! - [`hierarchy`]: the deciding half, a state machine without clock or IO
//! - [`sorter`]: dominant resource fairness
//! - [`filters`]: who refused what for how long
//! - [`actor`]: the doing half
//!
//! # Example
//! ```
//! use allocator::sorter::Sorter;
//! let mut sorter = Sorter::default();
//! sorter.set_total([("cpus".to_owned(), 9_000), ("mem".to_owned(), 18_000_000)].into());
//! sorter.add("a");
//! sorter.add("b");
//! sorter.allocated("a", &[("cpus".to_owned(), 1_000)].into());
//! assert_eq!(sorter.sorted(), ["b".into(), "a".into()]);
//! ```

pub mod actor;
pub mod filters;
pub mod hierarchy;
pub mod sorter;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use protos::ids::{FrameworkId, SlaveId};
use protos::resources::Resources;

pub use actor::HierarchicalAllocator;

/// What the allocator must know of a framework.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FrameworkSpec {
    /// The roles it is subscribed to.
    pub roles: BTreeSet<String>,
    /// Those of them it wants no offers for.
    pub suppressed_roles: BTreeSet<String>,
    /// It takes resources that may be revoked.
    pub revocable: bool,
}

/// What the allocator must know of a slave.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SlaveSpec {
    /// For the whitelist.
    pub hostname: String,
}

/// Resources for one framework: by role, then by slave. Each is allocated to its role.
pub type Allocation = BTreeMap<String, BTreeMap<SlaveId, Resources>>;

/// Called with what a framework is to be offered.
pub type OfferCallback = Arc<dyn Fn(FrameworkId, Allocation) + Send + Sync>;

/// The contract between a master and its allocator.
///
/// Every method returns at once and takes effect in the order of the calls. Resources handed to the
/// callback count as allocated until they come back through [`Allocator::recover_resources`].
/// Calls that name a framework or slave that is not (or no longer) known change nothing.
pub trait Allocator: Send + Sync {
    /// A framework subscribed; `used` is what it holds on each slave already.
    fn add_framework(
        &self,
        id: FrameworkId,
        spec: FrameworkSpec,
        active: bool,
        used: BTreeMap<SlaveId, Resources>,
    );
    /// Its roles or capabilities changed.
    fn update_framework(&self, id: FrameworkId, spec: FrameworkSpec);
    /// It is gone; what it held came back before.
    fn remove_framework(&self, id: FrameworkId);
    /// It may be offered resources.
    fn activate_framework(&self, id: FrameworkId);
    /// It must not be offered resources.
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
    /// It is gone with all its resources.
    fn remove_slave(&self, id: SlaveId);
    /// Its resources may be offered.
    fn activate_slave(&self, id: SlaveId);
    /// Its resources must not be offered.
    fn deactivate_slave(&self, id: SlaveId);
    /// Allocated resources are free again. With `refuse_for`, the framework is not offered them (or
    /// a part of them) on that slave for so long.
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
    /// Roles' weights changed.
    fn update_weights(&self, weights: Vec<(String, f64)>);
    /// Only slaves on these hosts are offered; all of them for None.
    fn update_whitelist(&self, hostnames: Option<BTreeSet<String>>);
}

/// The longest time a framework can refuse a slave for: 365 days.
pub const MAX_REFUSE: Duration = Duration::from_secs(365 * 86_400);
/// For how long a framework refuses a slave when it does not say.
pub const DEFAULT_REFUSE: Duration = Duration::from_secs(5);

/// The filter that `refuse_seconds` asks for: default 5 s, negative and not-a-number as the default,
/// at most 365 days, none for 0.
pub fn refuse_duration(refuse_seconds: Option<f64>) -> Option<Duration> {
    let wanted = match refuse_seconds {
        None => DEFAULT_REFUSE,
        Some(seconds) if seconds.is_nan() || seconds < 0.0 => DEFAULT_REFUSE,
        Some(seconds) => Duration::try_from_secs_f64(seconds).unwrap_or(MAX_REFUSE).min(MAX_REFUSE),
    };
    (!wanted.is_zero()).then_some(wanted)
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
            (Some(0.0), None),
            (Some(10.0), secs(10)),
            (Some(1e300), Some(MAX_REFUSE)),
        ];
        for (given, expected) in cases {
            assert_eq!(refuse_duration(given), expected, "{given:?}");
        }
    }
}
