//! `cgroups/cpu`: a share of the CPUs under contention, and a hard limit by CFS bandwidth.

use procfs::ticks_per_second;
use protos::ids::ContainerId;
use protos::mesos::ResourceStatistics;

use super::{CgroupError, Controller, Group, Version};
use crate::options::Options;
use crate::setup::Allocation;

/// Shares of one CPU (version 1).
const SHARES_PER_CPU: f64 = 1024.0;
/// Shares of one CPU of a container that yields to others (version 1).
const SHARES_PER_CPU_REVOCABLE: f64 = 10.0;
/// The least that is given (version 1).
const MIN_SHARES: u64 = 2;
/// Weight of one CPU (version 2).
const WEIGHT_PER_CPU: f64 = 100.0;
/// Weight of one CPU of a container that yields to others (version 2).
const WEIGHT_PER_CPU_REVOCABLE: f64 = 1.0;
/// The least that is given (version 2).
const MIN_WEIGHT: u64 = 1;
/// The period of CFS bandwidth, in microseconds.
const PERIOD_US: u64 = 100_000;
/// The least time in a period, in microseconds.
const MIN_QUOTA_US: u64 = 1_000;

/// The controller.
#[derive(Debug, Clone, Default)]
pub struct Cpu {
    enable_cfs: bool,
    count_tasks: bool,
    revocable_low_priority: bool,
}

impl Cpu {
    /// As the flags say.
    pub fn new(options: &Options) -> Self {
        Self {
            enable_cfs: options.cgroups_enable_cfs,
            count_tasks: options.cgroups_cpu_enable_pids_and_tids_count,
            revocable_low_priority: options.revocable_cpu_low_priority,
        }
    }
}

/// What `cpu.shares` (version 1) or `cpu.weight` (version 2) becomes for so many CPUs. A container
/// that yields does so with all it has.
pub fn weight(version: Version, cpus: f64, yields: bool) -> u64 {
    let (per_cpu, least) = match (version, yields) {
        (Version::V1, false) => (SHARES_PER_CPU, MIN_SHARES),
        (Version::V1, true) => (SHARES_PER_CPU_REVOCABLE, MIN_SHARES),
        (Version::V2, false) => (WEIGHT_PER_CPU, MIN_WEIGHT),
        (Version::V2, true) => (WEIGHT_PER_CPU_REVOCABLE, MIN_WEIGHT),
    };
    ((cpus * per_cpu) as u64).max(least)
}

/// Bandwidth of a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bandwidth {
    /// Left as it is.
    Untouched,
    /// No limit.
    Unlimited,
    /// Microseconds in each period.
    Quota(u64),
}

/// The bandwidth that follows from a limit (infinite, or None when no task set one), from what is
/// requested, and from the flag `cgroups_enable_cfs`.
pub fn bandwidth(limit: Option<f64>, request: f64, enable_cfs: bool) -> Bandwidth {
    let Some(cpus) = limit.or(enable_cfs.then_some(request)) else { return Bandwidth::Untouched };
    if cpus.is_infinite() {
        return Bandwidth::Unlimited;
    }
    Bandwidth::Quota(((PERIOD_US as f64 * cpus) as u64).max(MIN_QUOTA_US))
}

impl Controller for Cpu {
    const NAME: &'static str = "cgroups/cpu";

    fn controllers(version: Version) -> Option<&'static [&'static str]> {
        match version {
            Version::V1 => Some(&["cpu", "cpuacct"]),
            Version::V2 => Some(&["cpu"]),
        }
    }

    fn update(
        &mut self,
        _: &ContainerId,
        group: &Group,
        allocation: &Allocation,
    ) -> Result<(), CgroupError> {
        let version = group.version();
        let cpus = allocation.resources.cpus();
        let yields = self.revocable_low_priority && allocation.resources.revocable().cpus() > 0.0;
        let file = if version == Version::V1 { "cpu.shares" } else { "cpu.weight" };
        group.write("cpu", file, &weight(version, cpus, yields).to_string())?;
        let bandwidth = bandwidth(allocation.limits.cpus, cpus, self.enable_cfs);
        match (version, bandwidth) {
            (Version::V1, Bandwidth::Untouched) => Ok(()),
            (Version::V1, bandwidth) => {
                group.write("cpu", "cpu.cfs_period_us", &PERIOD_US.to_string())?;
                let quota = match bandwidth {
                    Bandwidth::Quota(quota) => quota.to_string(),
                    _ => "-1".to_owned(),
                };
                group.write("cpu", "cpu.cfs_quota_us", &quota)
            }
            (Version::V2, Bandwidth::Quota(quota)) => {
                group.write("cpu", "cpu.max", &format!("{quota} {PERIOD_US}"))
            }
            (Version::V2, _) => group.write("cpu", "cpu.max", "max"),
        }
    }

    fn usage(
        &mut self,
        _: &ContainerId,
        group: &Group,
        into: &mut ResourceStatistics,
    ) -> Result<(), CgroupError> {
        if self.count_tasks {
            into.processes = u32::try_from(group.processes("cpu").len()).ok();
            into.threads = u32::try_from(group.threads("cpu").len()).ok();
        }
        match group.version() {
            Version::V1 => self.usage_v1(group, into),
            Version::V2 => usage_v2(group, into),
        }
    }
}

impl Cpu {
    fn usage_v1(&self, group: &Group, into: &mut ResourceStatistics) -> Result<(), CgroupError> {
        let times = group.table("cpuacct", "cpuacct.stat")?;
        let ticks = ticks_per_second() as f64;
        let seconds = |name| times.get(name).map(|time| *time as f64 / ticks);
        into.cpus_user_time_secs = seconds("user");
        into.cpus_system_time_secs = seconds("system");
        if self.enable_cfs {
            let stat = group.table("cpu", "cpu.stat")?;
            let count = |name| stat.get(name).and_then(|count| u32::try_from(*count).ok());
            into.cpus_nr_periods = count("nr_periods");
            into.cpus_nr_throttled = count("nr_throttled");
            into.cpus_throttled_time_secs = stat.get("throttled_time").map(|ns| *ns as f64 / 1e9);
        }
        Ok(())
    }
}

fn usage_v2(group: &Group, into: &mut ResourceStatistics) -> Result<(), CgroupError> {
    let stat = group.table("cpu", "cpu.stat")?;
    let seconds = |name| stat.get(name).map(|us| *us as f64 / 1e6);
    let count = |name| stat.get(name).and_then(|count| u32::try_from(*count).ok());
    into.cpus_user_time_secs = seconds("user_usec");
    into.cpus_system_time_secs = seconds("system_usec");
    into.cpus_nr_periods = count("nr_periods");
    into.cpus_nr_throttled = count("nr_throttled");
    into.cpus_throttled_time_secs = seconds("throttled_usec");
    Ok(())
}

#[cfg(test)]
mod tests {
    use protos::resources::Resources;

    use super::*;
    use crate::cgroups::fake::Fake;
    use crate::setup::Limits;

    fn allocation(cpus: &str, limit: Option<f64>) -> Allocation {
        let resources: Resources = cpus.parse().unwrap();
        Allocation { resources, limits: Limits { cpus: limit, mem: None } }
    }

    fn v1() -> Fake {
        Fake::separate(&[
            ("cpu", "cpu.shares", ""),
            ("cpu", "cpu.cfs_period_us", ""),
            ("cpu", "cpu.cfs_quota_us", ""),
            ("cpu", "cpu.stat", "nr_periods 7\nnr_throttled 2\nthrottled_time 1500000000\n"),
            ("cpuacct", "cpuacct.stat", "user 250\nsystem 50\n"),
        ])
    }

    #[test]
    fn cpu_weight_follows_the_formulas() {
        assert_eq!(weight(Version::V1, 1.5, false), 1536);
        assert_eq!(weight(Version::V1, 0.1, false), 102);
        assert_eq!(weight(Version::V1, 0.001, false), 2);
        assert_eq!(weight(Version::V1, 4.0, true), 40);
        assert_eq!(weight(Version::V2, 0.5, false), 50);
        assert_eq!(weight(Version::V2, 0.001, false), 1);
        assert_eq!(weight(Version::V2, 3.7, true), 3);
    }

    #[test]
    fn cpu_bandwidth_follows_limit_request_and_flag() {
        assert_eq!(bandwidth(None, 0.5, false), Bandwidth::Untouched);
        assert_eq!(bandwidth(None, 0.5, true), Bandwidth::Quota(50_000));
        assert_eq!(bandwidth(Some(2.0), 0.5, false), Bandwidth::Quota(200_000));
        assert_eq!(bandwidth(Some(f64::INFINITY), 0.5, true), Bandwidth::Unlimited);
        assert_eq!(bandwidth(Some(0.001), 0.001, true), Bandwidth::Quota(1_000));
    }

    #[test]
    fn cpu_update_v1_writes_shares_and_bandwidth_only_when_limited() {
        let (fake, id) = (v1(), ContainerId::new("c"));
        let mut cpu = Cpu::default();
        cpu.update(&id, &fake.group, &allocation("cpus:0.5", None)).unwrap();
        assert_eq!(fake.text("cpu", "cpu.shares"), "512");
        assert_eq!(fake.text("cpu", "cpu.cfs_quota_us"), "");
        cpu.update(&id, &fake.group, &allocation("cpus:0.5", Some(1.0))).unwrap();
        assert_eq!(fake.text("cpu", "cpu.cfs_period_us"), "100000");
        assert_eq!(fake.text("cpu", "cpu.cfs_quota_us"), "100000");
        cpu.update(&id, &fake.group, &allocation("cpus:1", Some(f64::INFINITY))).unwrap();
        assert_eq!(fake.text("cpu", "cpu.cfs_quota_us"), "-1");
    }

    #[test]
    fn cpu_update_v2_always_writes_bandwidth() {
        let fake = Fake::unified(&[("cpu.weight", ""), ("cpu.max", "")]);
        let id = ContainerId::new("c");
        let mut cpu = Cpu::default();
        cpu.update(&id, &fake.group, &allocation("cpus:2", None)).unwrap();
        assert_eq!(fake.text("", "cpu.weight"), "200");
        assert_eq!(fake.text("", "cpu.max"), "max");
        cpu.enable_cfs = true;
        cpu.update(&id, &fake.group, &allocation("cpus:2", None)).unwrap();
        assert_eq!(fake.text("", "cpu.max"), "200000 100000");
    }

    #[test]
    fn cpu_usage_v1_is_in_seconds_and_tells_throttling_with_cfs_only() {
        let (fake, id) = (v1(), ContainerId::new("c"));
        let mut used = ResourceStatistics::default();
        Cpu::default().usage(&id, &fake.group, &mut used).unwrap();
        let ticks = ticks_per_second() as f64;
        assert_eq!(used.cpus_user_time_secs(), 250.0 / ticks);
        assert_eq!(used.cpus_system_time_secs(), 50.0 / ticks);
        assert_eq!(used.cpus_nr_periods, None);
        let mut cpu = Cpu { enable_cfs: true, ..Cpu::default() };
        cpu.usage(&id, &fake.group, &mut used).unwrap();
        assert_eq!((used.cpus_nr_periods(), used.cpus_nr_throttled()), (7, 2));
        assert_eq!(used.cpus_throttled_time_secs(), 1.5);
    }

    #[test]
    fn cpu_usage_v2_is_in_seconds() {
        let stat = "usage_usec 3\nuser_usec 2000000\nsystem_usec 500000\nnr_periods 1\n";
        let fake = Fake::unified(&[("cpu.stat", stat)]);
        let mut used = ResourceStatistics::default();
        Cpu::default().usage(&ContainerId::new("c"), &fake.group, &mut used).unwrap();
        assert_eq!((used.cpus_user_time_secs(), used.cpus_system_time_secs()), (2.0, 0.5));
        assert_eq!(used.cpus_nr_periods, Some(1));
        assert_eq!(used.cpus_nr_throttled, None);
    }
}
