//! The estimator that always finds the same.

use protos::mesos;
use protos::resources::Resources;

use super::{ResourceEstimator, Usage};

/// So much may be revocable in all, whatever is used.
#[derive(Debug, Clone, PartialEq)]
pub struct FixedEstimator {
    total: Resources,
}

impl FixedEstimator {
    /// The module that the protocol family knows for this; its parameter is `resources`.
    pub const NAME: &'static str = "org_apache_mesos_FixedResourceEstimator";

    /// Of these resources, which are made revocable.
    pub fn new(resources: &Resources) -> Self {
        let revocable = |resource: mesos::Resource| mesos::Resource {
            revocable: Some(mesos::resource::RevocableInfo {}),
            ..resource
        };
        let wire: Vec<_> = resources.to_wire().into_iter().map(revocable).collect();
        Self { total: Resources::from_wire(&wire).unwrap_or_default() }
    }
}

impl ResourceEstimator for FixedEstimator {
    fn estimate(&mut self, usage: &Usage) -> Resources {
        self.total.minus(&usage.revocable().unallocated())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oversubscription::ExecutorUsage;

    #[test]
    fn fixed_estimate_is_what_is_not_allocated_of_it() {
        let mut estimator = FixedEstimator::new(&"cpus:4".parse().unwrap());
        let mut usage = Usage {
            at: libprocess::Time::EPOCH,
            total: "cpus:8;mem:64".parse().unwrap(),
            executors: Vec::new(),
            load: None,
        };
        assert_eq!(estimator.estimate(&usage).cpus(), 4.0);
        assert_eq!(estimator.estimate(&usage).non_revocable().cpus(), 0.0);
        let allocated = FixedEstimator::new(&"cpus:1.5".parse().unwrap()).total;
        usage.executors.push(ExecutorUsage {
            framework: "F".into(),
            executor: "E".into(),
            allocated: allocated.allocated_to("web").plus(&"cpus:2".parse().unwrap()),
            statistics: None,
        });
        assert_eq!(estimator.estimate(&usage).cpus(), 2.5);
    }
}
