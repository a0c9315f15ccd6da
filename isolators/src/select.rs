//! The names of the flag `isolation`.

use crate::front::IsolatorProcess;
use crate::posix_cpu::PosixCpu;
use crate::posix_mem::PosixMem;

/// Isolators in the order in which they run, whatever the order in the flag.
const BUILT: [&str; 2] = [PosixCpu::NAME, PosixMem::NAME];

/// Names that mean several isolators, or another one.
const ALIASES: [(&str, &[&str]); 1] = [("process", &BUILT)];

/// Accepted names without an effect of their own here: what they stand for is always so.
const IMPLIED: [&str; 1] = ["filesystem/posix"];

/// Names of the original that are not built.
const NOT_BUILT: [&str; 39] = [
    "cgroups",
    "cgroups/all",
    "cgroups/blkio",
    "cgroups/cpu",
    "cgroups/cpuset",
    "cgroups/devices",
    "cgroups/hugetlb",
    "cgroups/mem",
    "cgroups/net_cls",
    "cgroups/net_prio",
    "cgroups/perf_event",
    "cgroups/pids",
    "filesystem/linux",
    "filesystem/shared",
    "posix/rlimits",
    "appc/runtime",
    "docker/runtime",
    "linux/devices",
    "linux/capabilities",
    "linux/nnp",
    "linux/seccomp",
    "namespaces/ipc",
    "namespaces/pid",
    "volume/sandbox_path",
    "docker/volume",
    "volume/host_path",
    "volume/image",
    "volume/secret",
    "volume/csi",
    "disk/du",
    "posix/disk",
    "disk/xfs",
    "gpu/nvidia",
    "network/cni",
    "network/port_mapping",
    "network/ports",
    "environment_secret",
    "windows/cpu",
    "windows/mem",
];

/// The flag `isolation` cannot be served.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SelectError {
    /// No isolator has that name.
    #[error("unknown isolator '{0}'")]
    Unknown(String),
    /// The isolator exists in the protocol family but not here.
    #[error("isolator '{0}' is not available in this version")]
    NotBuilt(String),
    /// A name is given twice.
    #[error("isolator '{0}' is given twice")]
    Duplicate(String),
}

/// The isolators that a comma-separated list names, in the order in which they run. Blanks are not
/// trimmed.
///
/// # Errors
/// [`SelectError`] naming the first entry that cannot be served.
pub fn select(isolation: &str) -> Result<Vec<&'static str>, SelectError> {
    let mut chosen: Vec<&str> = Vec::new();
    for entry in isolation.split(',') {
        let alias = ALIASES.iter().find(|(name, _)| *name == entry);
        let names = alias.map_or_else(|| vec![entry], |(_, names)| names.to_vec());
        for name in names {
            if NOT_BUILT.contains(&name) {
                return Err(SelectError::NotBuilt(name.to_owned()));
            }
            if !BUILT.contains(&name) && !IMPLIED.contains(&name) {
                return Err(SelectError::Unknown(name.to_owned()));
            }
            if chosen.contains(&name) {
                return Err(SelectError::Duplicate(name.to_owned()));
            }
            chosen.push(name);
        }
    }
    Ok(BUILT.into_iter().filter(|name| chosen.contains(name)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn isolation_order_is_fixed() {
        assert_eq!(select("posix/mem,posix/cpu").unwrap(), ["posix/cpu", "posix/mem"]);
        assert_eq!(select("filesystem/posix,posix/mem").unwrap(), ["posix/mem"]);
    }

    #[test]
    fn isolation_bad_lists_are_told_apart() {
        assert_eq!(select("posix/net"), Err(SelectError::Unknown("posix/net".into())));
        assert_eq!(select("posix/cpu, posix/mem"), Err(SelectError::Unknown(" posix/mem".into())));
        assert_eq!(select("cgroups/cpu"), Err(SelectError::NotBuilt("cgroups/cpu".into())));
        assert_eq!(select("process,posix/cpu"), Err(SelectError::Duplicate("posix/cpu".into())));
    }
}
