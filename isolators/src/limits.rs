//! The limits of a container, from what its tasks ask for.

use std::collections::BTreeMap;

use protos::resources::Resources;

use crate::setup::Limits;

/// What one task requests, and the limits that it sets: names such as `cpus`, infinity for none.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TaskShare {
    /// Its resources.
    pub resources: Resources,
    /// Its limits.
    pub limits: BTreeMap<String, f64>,
}

/// The limits of a container: absent unless a task sets one; then each task counts with its limit,
/// or with its request when it sets none, and the executor with its request. CPUs are not limited
/// when a task sets no limit and requests are none either (flag `cgroups_enable_cfs`).
pub fn total(executor: &Resources, tasks: &[TaskShare], enable_cfs: bool) -> Limits {
    let cpus = sum("cpus", executor, tasks);
    let without = tasks.iter().any(|task| !task.limits.contains_key("cpus"));
    let cpus = if without && !enable_cfs { None } else { cpus };
    Limits { cpus, mem: sum("mem", executor, tasks) }
}

fn sum(name: &str, executor: &Resources, tasks: &[TaskShare]) -> Option<f64> {
    tasks.iter().find(|task| task.limits.contains_key(name))?;
    let shares = tasks.iter().map(|task| {
        let limit = task.limits.get(name).copied();
        limit.unwrap_or_else(|| task.resources.scalar(name))
    });
    Some(executor.scalar(name) + shares.sum::<f64>())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(resources: &str, limits: &[(&str, f64)]) -> TaskShare {
        TaskShare {
            resources: resources.parse().unwrap(),
            limits: limits.iter().map(|(name, limit)| ((*name).to_owned(), *limit)).collect(),
        }
    }

    #[test]
    fn limits_are_absent_unless_a_task_sets_one() {
        let executor: Resources = "cpus:0.1;mem:32".parse().unwrap();
        let none = [task("cpus:1;mem:64", &[])];
        assert_eq!(total(&executor, &none, true), Limits::default());
    }

    #[test]
    fn limits_count_requests_of_tasks_without_one() {
        let executor: Resources = "cpus:0.5;mem:32".parse().unwrap();
        let tasks =
            [task("cpus:1;mem:64", &[("cpus", 2.0), ("mem", 128.0)]), task("cpus:1;mem:64", &[])];
        let limits = total(&executor, &tasks, true);
        assert_eq!(limits, Limits { cpus: Some(3.5), mem: Some(224.0) });
        // Memory has no such exception.
        let limits = total(&executor, &tasks, false);
        assert_eq!(limits, Limits { cpus: None, mem: Some(224.0) });
        assert_eq!(total(&executor, &tasks[..1], false).cpus, Some(2.5));
    }

    #[test]
    fn limits_are_infinite_as_soon_as_one_is() {
        let tasks = [task("mem:64", &[("mem", f64::INFINITY)]), task("mem:64", &[("mem", 65.0)])];
        let limits = total(&Resources::new(), &tasks, false);
        assert_eq!(limits.mem, Some(f64::INFINITY));
    }
}
