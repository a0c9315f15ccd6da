//! The controller that looks at the host's load.

use super::{Correction, QosController, Usage};

/// Ends all executors with revocable resources while the host's load is too high.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LoadQosController {
    /// Highest average over 5 minutes, if that is looked at.
    pub five_minutes: Option<f64>,
    /// Highest average over 15 minutes, if that is looked at.
    pub fifteen_minutes: Option<f64>,
}

impl LoadQosController {
    /// The module that the protocol family knows for this; its parameters are `load_threshold_5min`
    /// and `load_threshold_15min`.
    pub const NAME: &'static str = "org_apache_mesos_LoadQoSController";
}

impl QosController for LoadQosController {
    fn corrections(&mut self, usage: &Usage) -> Vec<Correction> {
        let Some([_, five, fifteen]) = usage.load else { return Vec::new() };
        let above = |load: f64, threshold: Option<f64>| threshold.is_some_and(|it| load > it);
        if !above(five, self.five_minutes) && !above(fifteen, self.fifteen_minutes) {
            return Vec::new();
        }
        let revocable = usage.executors.iter().filter(|it| !it.allocated.revocable().is_empty());
        let correction = revocable.map(|executor| Correction {
            framework: executor.framework.clone(),
            executor: executor.executor.clone(),
        });
        correction.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oversubscription::{ExecutorUsage, FixedEstimator, ResourceEstimator};

    #[test]
    fn load_too_high_ends_who_holds_revocable_resources() {
        let mut usage = Usage {
            at: libprocess::Time::EPOCH,
            total: "cpus:8".parse().unwrap(),
            executors: Vec::new(),
            load: Some([9.0, 3.0, 1.0]),
        };
        let revocable = FixedEstimator::new(&"cpus:1".parse().unwrap()).estimate(&usage);
        for (name, allocated) in [("a", revocable), ("b", "cpus:1".parse().unwrap())] {
            usage.executors.push(ExecutorUsage {
                framework: "F".into(),
                executor: name.into(),
                allocated,
                statistics: None,
            });
        }
        let names = |five, fifteen, usage: &Usage| {
            let mut controller = LoadQosController { five_minutes: five, fifteen_minutes: fifteen };
            let ends = controller.corrections(usage).into_iter();
            ends.map(|it| it.executor.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(names(Some(2.5), None, &usage), ["a"]);
        assert_eq!(names(Some(3.0), Some(1.0), &usage), Vec::<String>::new());
        assert_eq!(names(None, Some(0.5), &usage), ["a"]);
        usage.load = None;
        assert_eq!(names(Some(0.0), None, &usage), Vec::<String>::new());
    }
}
