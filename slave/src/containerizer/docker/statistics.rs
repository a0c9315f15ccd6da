//! What a container uses, of the cgroups that docker put it into.
//!
//! Docker's own account is not asked for: it takes a second to come, and not all kernels fill it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use protos::mesos::ResourceStatistics;

/// The cgroups of a process: by controller, and the unified one under no name.
fn groups(text: &str) -> BTreeMap<String, String> {
    let mut groups = BTreeMap::new();
    for line in text.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else { continue };
        for controller in controllers.split(',') {
            groups.insert(controller.to_owned(), path.trim_start_matches('/').to_owned());
        }
    }
    groups
}

/// Pairs of a name and a number, one a line.
fn pairs(path: &Path) -> BTreeMap<String, u64> {
    let text = fs::read_to_string(path).unwrap_or_default();
    let pair = |line: &str| {
        let (name, value) = line.split_once(' ')?;
        Some((name.to_owned(), value.trim().parse().ok()?))
    };
    text.lines().filter_map(pair).collect()
}

fn number(path: &Path) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// Adds what the container of a process has used; `hierarchy` is where cgroups are mounted.
///
/// # Errors
/// When the process is gone.
pub(super) fn measure(
    into: &mut ResourceStatistics,
    pid: u32,
    hierarchy: &Path,
) -> Result<(), String> {
    let text = fs::read_to_string(format!("/proc/{pid}/cgroup"))
        .map_err(|error| format!("process {pid}: {error}"))?;
    let groups = groups(&text);
    let unified = hierarchy.join("cgroup.controllers").exists();
    let at = |controller: &str| -> PathBuf {
        let named = if unified { "" } else { controller };
        let path = groups.get(named).map_or("", String::as_str);
        if unified { hierarchy.join(path) } else { hierarchy.join(controller).join(path) }
    };
    if unified {
        let cpu = pairs(&at("cpu").join("cpu.stat"));
        let seconds = |name: &str| cpu.get(name).map(|micros| *micros as f64 / 1e6);
        into.cpus_user_time_secs = seconds("user_usec");
        into.cpus_system_time_secs = seconds("system_usec");
        into.mem_total_bytes = number(&at("memory").join("memory.current"));
    } else {
        let cpu = pairs(&at("cpuacct").join("cpuacct.stat"));
        let ticks = procfs::ticks_per_second() as f64;
        let seconds = |name: &str| cpu.get(name).map(|count| *count as f64 / ticks);
        into.cpus_user_time_secs = seconds("user");
        into.cpus_system_time_secs = seconds("system");
        into.mem_total_bytes = number(&at("memory").join("memory.usage_in_bytes"));
        let throttling = pairs(&at("cpu").join("cpu.stat"));
        let count = |name: &str| throttling.get(name).and_then(|it| u32::try_from(*it).ok());
        if throttling.get("nr_periods").is_some_and(|periods| *periods > 0) {
            into.cpus_nr_periods = count("nr_periods");
            into.cpus_nr_throttled = count("nr_throttled");
            into.cpus_throttled_time_secs =
                throttling.get("throttled_time").map(|nanos| *nanos as f64 / 1e9);
        }
    }
    let memory = pairs(&at("memory").join("memory.stat"));
    let of = |names: [&str; 2]| names.iter().find_map(|name| memory.get(*name).copied());
    let (rss, cache) = (of(["total_rss", "anon"]), of(["total_cache", "file"]));
    (into.mem_rss_bytes, into.mem_anon_bytes) = (rss, rss);
    (into.mem_cache_bytes, into.mem_file_bytes) = (cache, cache);
    into.mem_mapped_file_bytes = of(["total_mapped_file", "file_mapped"]);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_of_both_versions_are_found() {
        let text = "4:memory:/docker/x\n2:cpu,cpuacct:/docker/x\n0::/docker/y\n";
        let groups = groups(text);
        assert_eq!(groups["cpuacct"], "docker/x");
        assert_eq!(groups[""], "docker/y");
    }

    #[test]
    fn statistics_of_this_process_are_there() {
        let mut statistics = ResourceStatistics::default();
        let own = std::process::id();
        measure(&mut statistics, own, Path::new("/sys/fs/cgroup")).unwrap();
        assert!(statistics.mem_total_bytes.is_some_and(|bytes| bytes > 0), "{statistics:?}");
        assert!(measure(&mut statistics, u32::MAX, Path::new("/sys/fs/cgroup")).is_err());
    }
}
