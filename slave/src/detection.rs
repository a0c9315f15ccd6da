//! What the host has to offer, unless the flag `resources` says otherwise.

use std::path::Path;

use protos::resources::{ResourceError, Resources};

/// Left to the system when a host is large enough: 1 GB of memory, 5 GB of disk.
const SYSTEM_MEM_MB: u64 = 1024;
const SYSTEM_DISK_MB: u64 = 5 * 1024;
/// What is offered when nothing can be found out.
const DEFAULT_CPUS: usize = 1;
const DEFAULT_MEM_MB: u64 = 1024;
const DEFAULT_DISK_MB: u64 = 10 * 1024;
const DEFAULT_PORTS: &str = "[31000-32000]";

/// What was found out of a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Host {
    /// Processors.
    pub cpus: Option<usize>,
    /// Memory, MB.
    pub mem_mb: Option<u64>,
    /// Size of the file system that holds the working directory, MB.
    pub disk_mb: Option<u64>,
}

impl Host {
    /// Looks at this host.
    pub fn detect(work_dir: &Path) -> Self {
        use procfs::Current;
        let mem = procfs::Meminfo::current().ok().map(|info| info.mem_total >> 20);
        let existing = work_dir.ancestors().find(|path| path.exists());
        let disk = existing.and_then(|path| nix::sys::statvfs::statvfs(path).ok());
        Self {
            cpus: std::thread::available_parallelism().ok().map(usize::from),
            mem_mb: mem,
            disk_mb: disk.map(|stat| (stat.blocks() * stat.fragment_size()) >> 20),
        }
    }

    /// What of it is offered.
    pub fn resources(self) -> String {
        let cpus = self.cpus.unwrap_or(DEFAULT_CPUS);
        let mem = self.mem_mb.map_or(DEFAULT_MEM_MB, |total| spare(total, SYSTEM_MEM_MB));
        let disk = self.disk_mb.map_or(DEFAULT_DISK_MB, |total| spare(total, SYSTEM_DISK_MB));
        format!("cpus:{cpus};mem:{mem};disk:{disk};ports:{DEFAULT_PORTS}")
    }
}

/// The total without the system's part, or half of it on a small host.
fn spare(total: u64, system: u64) -> u64 {
    if total >= 2 * system { total - system } else { total / 2 }
}

/// The resources of a slave: those of the flag, completed by what the host has of the kinds
/// (cpus, mem, disk, ports) that the flag does not name.
///
/// # Errors
/// When the flag cannot be read.
pub fn resources(
    flag: Option<&str>,
    default_role: &str,
    host: Host,
) -> Result<Resources, ResourceError> {
    let given = Resources::parse(flag.unwrap_or_default(), default_role)?;
    let detected = Resources::parse(&host.resources(), default_role)?;
    let named: Vec<String> = given.to_wire().into_iter().map(|resource| resource.name).collect();
    // A kind that is given as nothing, such as `cpus:0`, is given all the same.
    let text = flag.unwrap_or_default();
    let missing = detected.filter(|resource| {
        let zero = text.split(';').any(|item| {
            let name = item.split([':', '(']).next().unwrap_or_default();
            name.trim() == resource.name
        });
        !named.contains(&resource.name) && !zero
    });
    Ok(given.plus(&missing))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn detection_leaves_the_system_its_part() {
        let host = |mem, disk| Host { cpus: Some(4), mem_mb: Some(mem), disk_mb: Some(disk) };
        let large = "cpus:4;mem:7168;disk:97280;ports:[31000-32000]";
        assert_eq!(host(8192, 102_400).resources(), large);
        let small = "cpus:4;mem:512;disk:4096;ports:[31000-32000]";
        assert_eq!(host(1024, 8192).resources(), small);
        let unknown = "cpus:1;mem:1024;disk:10240;ports:[31000-32000]";
        assert_eq!(Host::default().resources(), unknown);
    }

    #[test]
    fn detection_completes_what_the_flag_leaves_out() {
        let host = Host { cpus: Some(4), mem_mb: Some(8192), disk_mb: Some(102_400) };
        let merged = resources(Some("cpus:1;gpus:2;ports:[1-2]"), "*", host).unwrap();
        assert_eq!(merged.to_string(), "cpus:1;gpus:2;mem:7168;disk:97280;ports:[1-2]");
        assert!(resources(Some("cpus:0"), "*", host).unwrap().cpus() == 0.0);
        assert!(resources(Some("cpus"), "*", host).is_err());
    }
}
