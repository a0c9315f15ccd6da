//! `cgroups/mem`: memory that is guaranteed, memory that is the most, and the end of containers that
//! want more.

use std::collections::BTreeMap;

use nix::sys::resource::{Resource, getrlimit};
use procfs::{Current, Meminfo};
use protos::ids::ContainerId;
use protos::mesos::ResourceStatistics;
use protos::mesos::task_status::Reason;
use protos::size::ByteSize;

use super::controller::Alarm;
use super::oom::{self, Pressure};
use super::{CgroupError, Controller, Group, Version};
use crate::launch::Limitation;
use crate::limitation;
use crate::options::Options;
use crate::setup::{self, Allocation, ContainerSetup};

const MEMORY: &str = "memory";
const MEGABYTE: u64 = 1 << 20;
/// The least that a container is given, in bytes.
const MIN_MEMORY: u64 = 32 * MEGABYTE;

/// A hard limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Hard {
    /// So many bytes.
    Bytes(u64),
    /// None. Greater than any number.
    Infinite,
}

/// Bytes that a container is guaranteed, and the most that it gets.
pub fn limits(allocation: &Allocation) -> (u64, Hard) {
    let bytes = |mb: f64| ((mb * MEGABYTE as f64) as u64).max(MIN_MEMORY);
    let soft = bytes(allocation.resources.mem());
    let hard = match allocation.limits.mem {
        None => Hard::Bytes(soft),
        Some(limit) if limit.is_infinite() => Hard::Infinite,
        Some(limit) => Hard::Bytes(bytes(limit)),
    };
    (soft, hard)
}

/// True when a hard limit is to be written: the first always is, later ones when they are higher. It
/// is never lowered: the kernel would kill for what was granted before.
pub fn is_written(is_first: bool, present: Option<Hard>, wanted: Hard) -> bool {
    is_first || present.is_none_or(|present| wanted > present)
}

/// What `oom_score_adj` becomes for a container that may use more than it is guaranteed: the larger
/// its guarantee, the later it is killed when the host runs out of memory.
pub fn oom_score(soft: u64, total: u64) -> i64 {
    let share = 1000.0 * soft as f64 / total.max(1) as f64;
    (1000.0 - share).clamp(0.0, 1000.0) as i64
}

#[derive(Debug)]
struct Container {
    hard_is_set: bool,
    soft: u64,
    hard: Hard,
    /// Its processes may get a score: command tasks and nested containers.
    is_scored: bool,
    pressure: Option<Pressure>,
}

impl Container {
    fn new(id: &ContainerId, setup: &ContainerSetup, hard_is_set: bool) -> Self {
        let (soft, hard) = limits(&setup.allocation);
        let is_scored = setup.is_command_task || setup::parent(id).is_some();
        Self { hard_is_set, soft, hard, is_scored, pressure: None }
    }
}

/// Counters of one more container beside so many others. They are a service: without them, because
/// the kernel has none or most of the descriptors that the slave may open are taken, containers run
/// all the same.
fn pressure(group: &Group, others: usize) -> Option<Pressure> {
    let (soft, _) = getrlimit(Resource::RLIMIT_NOFILE).ok()?;
    // With the alarm, a container takes four.
    let fits = (others as u64).saturating_mul(8) < soft;
    (fits && group.version() == Version::V1).then(|| Pressure::listen(group).ok())?
}

/// The controller.
#[derive(Debug, Default)]
pub struct Mem {
    limit_swap: bool,
    containers: BTreeMap<ContainerId, Container>,
}

impl Mem {
    /// As the flags say.
    pub fn new(options: &Options) -> Self {
        Self { limit_swap: options.cgroups_limit_swap, containers: BTreeMap::new() }
    }

    fn write_hard(&self, group: &Group, hard: Hard, is_first: bool) -> Result<(), CgroupError> {
        let (file, infinite) = match group.version() {
            Version::V1 => ("memory.limit_in_bytes", "-1"),
            Version::V2 => ("memory.max", "max"),
        };
        let value = match hard {
            Hard::Bytes(bytes) => bytes.to_string(),
            Hard::Infinite => infinite.to_owned(),
        };
        let swap = self.limit_swap && group.version() == Version::V1;
        // Memory with swap is never less than memory alone, so the order is another when it grows.
        if swap && !is_first {
            group.write(MEMORY, "memory.memsw.limit_in_bytes", &value)?;
        }
        group.write(MEMORY, file, &value)?;
        if swap && is_first {
            group.write(MEMORY, "memory.memsw.limit_in_bytes", &value)?;
        }
        Ok(())
    }
}

fn present_hard(group: &Group) -> Option<Hard> {
    let file = match group.version() {
        Version::V1 => "memory.limit_in_bytes",
        Version::V2 => "memory.max",
    };
    let text = group.read(MEMORY, file).ok()?;
    if text == "max" {
        return Some(Hard::Infinite);
    }
    // Version 1 shows "none" as the largest multiple of a page.
    let bytes: u64 = text.parse().ok()?;
    Some(if bytes >= u64::MAX >> 2 { Hard::Infinite } else { Hard::Bytes(bytes) })
}

impl Controller for Mem {
    const NAME: &'static str = "cgroups/mem";

    fn controllers(_: Version) -> Option<&'static [&'static str]> {
        Some(&[MEMORY])
    }

    fn prepare(
        &mut self,
        id: &ContainerId,
        group: &Group,
        setup: &ContainerSetup,
    ) -> Result<(), CgroupError> {
        let pressure = pressure(group, self.containers.len());
        let container = Container { pressure, ..Container::new(id, setup, false) };
        self.containers.insert(id.clone(), container);
        Ok(())
    }

    fn recover(
        &mut self,
        id: &ContainerId,
        group: &Group,
        setup: &ContainerSetup,
    ) -> Result<(), CgroupError> {
        let pressure = pressure(group, self.containers.len());
        let container = Container { pressure, ..Container::new(id, setup, true) };
        self.containers.insert(id.clone(), container);
        Ok(())
    }

    fn isolate(&mut self, id: &ContainerId, group: &Group, pid: u32) -> Result<(), CgroupError> {
        let Some(container) = self.containers.get(id) else { return Ok(()) };
        let exceeds = container.hard > Hard::Bytes(container.soft);
        if group.version() == Version::V2 || !container.is_scored || !exceeds {
            return Ok(());
        }
        let total = Meminfo::current().map_err(|error| CgroupError::Other(error.to_string()))?;
        let score = oom_score(container.soft, total.mem_total).to_string();
        let path = std::path::PathBuf::from(format!("/proc/{pid}/oom_score_adj"));
        std::fs::write(&path, score).map_err(|error| CgroupError::new("write", &path, error))
    }

    fn update(
        &mut self,
        id: &ContainerId,
        group: &Group,
        allocation: &Allocation,
    ) -> Result<(), CgroupError> {
        let (soft, hard) = limits(allocation);
        let soft_file = match group.version() {
            Version::V1 => "memory.soft_limit_in_bytes",
            Version::V2 => "memory.low",
        };
        group.write(MEMORY, soft_file, &soft.to_string())?;
        let is_first = self.containers.get(id).is_none_or(|it| !it.hard_is_set);
        if is_written(is_first, present_hard(group), hard) {
            self.write_hard(group, hard, is_first)?;
        }
        if let Some(container) = self.containers.get_mut(id) {
            container.hard_is_set = true;
            (container.soft, container.hard) = (soft, hard);
        }
        Ok(())
    }

    fn listen(&self, group: &Group) -> Result<Option<Alarm>, CgroupError> {
        oom::listen(group).map(Some)
    }

    fn limitation(&self, group: &Group) -> Limitation {
        match group.version() {
            Version::V1 => limitation_v1(group),
            Version::V2 => limitation_v2(group),
        }
    }

    fn usage(
        &mut self,
        id: &ContainerId,
        group: &Group,
        into: &mut ResourceStatistics,
    ) -> Result<(), CgroupError> {
        if group.version() == Version::V2 {
            return usage_v2(group, into);
        }
        if let Some(pressure) = self.containers.get_mut(id).and_then(|it| it.pressure.as_mut()) {
            let [low, medium, critical] = pressure.counts();
            into.mem_low_pressure_counter = Some(low);
            into.mem_medium_pressure_counter = Some(medium);
            into.mem_critical_pressure_counter = Some(critical);
        }
        if self.limit_swap {
            into.mem_total_memsw_bytes = Some(group.number(MEMORY, "memory.memsw.usage_in_bytes")?);
        }
        usage_v1(group, into)
    }

    fn cleanup(&mut self, id: &ContainerId) {
        self.containers.remove(id);
    }
}

fn limitation_v1(group: &Group) -> Limitation {
    let number = |file| group.number::<u64>(MEMORY, file).unwrap_or_default();
    let (limit, used) = (number("memory.limit_in_bytes"), number("memory.max_usage_in_bytes"));
    let statistics = group.read(MEMORY, "memory.stat").unwrap_or_default();
    exceeded(limit, used, used, &statistics)
}

fn limitation_v2(group: &Group) -> Limitation {
    let limit = match present_hard(group) {
        Some(Hard::Bytes(bytes)) => bytes,
        _ => 0,
    };
    let used = ["memory.peak", "memory.current"];
    let used = used.iter().find_map(|file| group.number::<u64>(MEMORY, file).ok());
    let stat = group.table(MEMORY, "memory.stat").unwrap_or_default();
    let line = |name: &str| stat.get(name).map(|bytes| format!("{name} {bytes}"));
    let lines: Vec<String> = ["anon", "file", "kernel"].into_iter().filter_map(line).collect();
    exceeded(limit, used.unwrap_or_default(), limit, &lines.join("\n"))
}

fn exceeded(limit: u64, used: u64, limited: u64, statistics: &str) -> Limitation {
    let (limit, used) = (ByteSize(limit), ByteSize(used));
    let message =
        format!("Memory limit exceeded: Requested: {limit} Maximum Used: {used}\n{statistics}");
    let megabytes = ByteSize(limited).as_megabytes();
    limitation::scalar(Reason::ContainerLimitationMemory, message, "mem", megabytes)
}

fn usage_v1(group: &Group, into: &mut ResourceStatistics) -> Result<(), CgroupError> {
    into.mem_total_bytes = Some(group.number(MEMORY, "memory.usage_in_bytes")?);
    // Kernels may be built without these.
    into.mem_kmem_usage_bytes = group.number(MEMORY, "memory.kmem.usage_in_bytes").ok();
    into.mem_kmem_tcp_usage_bytes = group.number(MEMORY, "memory.kmem.tcp.usage_in_bytes").ok();
    let stat = group.table(MEMORY, "memory.stat")?;
    let total = |name: &str| stat.get(name).copied();
    into.mem_cache_bytes = total("total_cache");
    into.mem_file_bytes = into.mem_cache_bytes;
    into.mem_rss_bytes = total("total_rss");
    into.mem_anon_bytes = into.mem_rss_bytes;
    into.mem_mapped_file_bytes = total("total_mapped_file");
    into.mem_swap_bytes = total("total_swap");
    into.mem_unevictable_bytes = total("total_unevictable");
    Ok(())
}

fn usage_v2(group: &Group, into: &mut ResourceStatistics) -> Result<(), CgroupError> {
    into.mem_total_bytes = Some(group.number(MEMORY, "memory.current")?);
    let stat = group.table(MEMORY, "memory.stat")?;
    let total = |name: &str| stat.get(name).copied();
    into.mem_kmem_usage_bytes = total("kernel");
    into.mem_kmem_tcp_usage_bytes = total("sock");
    into.mem_cache_bytes = total("file");
    into.mem_file_bytes = into.mem_cache_bytes;
    into.mem_rss_bytes = total("anon");
    into.mem_anon_bytes = into.mem_rss_bytes;
    into.mem_mapped_file_bytes = total("file_mapped");
    into.mem_unevictable_bytes = total("unevictable");
    Ok(())
}

#[cfg(test)]
mod tests;
