//! The names of the flag `isolation`: which isolators they stand for, and what these need.

use crate::options::Options;

/// Isolators in the order in which they run, whatever the order in the flag.
const BUILT: [&str; 32] = [
    "filesystem/posix",
    "filesystem/linux",
    "filesystem/shared",
    "posix/cpu",
    "posix/mem",
    "posix/rlimits",
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
    "docker/runtime",
    "linux/devices",
    "linux/capabilities",
    "linux/nnp",
    "linux/seccomp",
    "namespaces/ipc",
    "namespaces/pid",
    "volume/sandbox_path",
    "volume/host_path",
    "volume/image",
    "volume/secret",
    "disk/du",
    "network/cni",
    "network/ports",
    "environment_secret",
    // Stands for others, and is replaced when the kernel was asked.
    ALL,
];

const ALL: &str = "cgroups/all";

/// Names that mean several isolators, or another one.
const ALIASES: [(&str, &[&str]); 3] = [
    ("process", &["posix/cpu", "posix/mem"]),
    ("cgroups", &["cgroups/cpu", "cgroups/mem"]),
    ("posix/disk", &["disk/du"]),
];

/// Names of the original that are not built.
const NOT_BUILT: [&str; 8] = [
    "appc/runtime",
    "docker/volume",
    "volume/csi",
    "disk/xfs",
    "gpu/nvidia",
    "network/port_mapping",
    "windows/cpu",
    "windows/mem",
];

/// What `filesystem/linux` brings along.
const VOLUMES: [&str; 3] = ["volume/image", "volume/host_path", "volume/sandbox_path"];

/// Isolators that only work with root's rights.
const NEEDS_ROOT: [&str; 7] = [
    "filesystem/linux",
    "filesystem/shared",
    "linux/devices",
    "linux/capabilities",
    "linux/seccomp",
    "namespaces/ipc",
    "namespaces/pid",
];

/// Isolators of containers that the linux launcher starts.
const NEEDS_LAUNCHER: [&str; 6] = [
    "filesystem/linux",
    "linux/devices",
    "namespaces/ipc",
    "namespaces/pid",
    "volume/host_path",
    "network/ports",
];

/// Isolators that work in a container's own mount namespace.
const NEEDS_FILESYSTEM: [&str; 6] = [
    "linux/devices",
    "namespaces/ipc",
    "namespaces/pid",
    "volume/host_path",
    "volume/image",
    "volume/secret",
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
    /// Two isolators exclude each other.
    #[error("isolators '{0}' and '{1}' exclude each other")]
    Conflict(String, String),
    /// Something that an isolator needs is missing.
    #[error("isolator '{isolator}' cannot be used: {reason}")]
    Unusable {
        /// Which isolator.
        isolator: String,
        /// What is missing.
        reason: String,
    },
}

/// The isolators that entries of the flag stand for, in the order in which they run, with those that
/// are always there. Blanks are not trimmed. `cgroups/all` is left for who knows the kernel.
///
/// # Errors
/// [`SelectError`] naming the first entry that cannot be served.
pub fn select(entries: &[&str]) -> Result<Vec<&'static str>, SelectError> {
    let mut chosen: Vec<&str> = Vec::new();
    for entry in entries {
        let alias = ALIASES.iter().find(|(name, _)| name == entry);
        let names = alias.map_or_else(|| vec![*entry], |(_, names)| names.to_vec());
        for name in names {
            if NOT_BUILT.contains(&name) {
                return Err(SelectError::NotBuilt(name.to_owned()));
            }
            if !BUILT.contains(&name) {
                return Err(SelectError::Unknown(name.to_owned()));
            }
            if chosen.contains(&name) {
                return Err(SelectError::Duplicate(name.to_owned()));
            }
            chosen.push(name);
        }
    }
    let filesystems = chosen.iter().filter(|name| name.starts_with("filesystem/"));
    match *filesystems.collect::<Vec<_>>() {
        [] => chosen.push("filesystem/posix"),
        [_] => {}
        [one, other, ..] => {
            return Err(SelectError::Conflict((*one).to_owned(), (*other).to_owned()));
        }
    }
    // The only network that there is; without configuration it is the host's.
    let mut implied = vec!["environment_secret", "network/cni"];
    if chosen.contains(&"filesystem/linux") {
        implied.extend(VOLUMES);
    }
    chosen.extend(implied);
    Ok(BUILT.into_iter().filter(|name| chosen.contains(name)).collect())
}

/// Whether no name is given twice.
///
/// # Errors
/// [`SelectError::Duplicate`] for the first that is.
pub fn check_unique(names: &[&str]) -> Result<(), SelectError> {
    let again = names.iter().enumerate().find(|(index, name)| names[..*index].contains(name));
    again.map_or(Ok(()), |(_, name)| Err(SelectError::Duplicate((*name).to_owned())))
}

/// Replaces `cgroups/all` by what it stands for on this host.
pub fn expand(names: &[&'static str], all: &[&'static str]) -> Vec<&'static str> {
    let is_chosen = |name: &&str| *name != ALL && (names.contains(name) || all.contains(name));
    BUILT.into_iter().filter(is_chosen).collect()
}

/// Whether the host and the other flags have what isolators need.
///
/// # Errors
/// [`SelectError::Unusable`] for the first that lacks something.
pub fn check(names: &[&'static str], options: &Options) -> Result<(), SelectError> {
    let unusable = |isolator: &str, reason: &str| {
        Err(SelectError::Unusable { isolator: isolator.to_owned(), reason: reason.to_owned() })
    };
    let has_filesystem = names.contains(&"filesystem/linux");
    for name in names {
        if NEEDS_ROOT.contains(name) && !options.is_root {
            return unusable(name, "it needs root's rights");
        }
        if NEEDS_LAUNCHER.contains(name) && !options.linux_launcher {
            return unusable(name, "it needs --launcher=linux");
        }
        if NEEDS_FILESYSTEM.contains(name) && !has_filesystem {
            return unusable(name, "it needs the isolator 'filesystem/linux'");
        }
    }
    if options.image_providers && !(has_filesystem && options.linux_launcher) {
        return unusable(
            "filesystem/posix",
            "--image_providers needs the isolator 'filesystem/linux' and --launcher=linux",
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn select(isolation: &str) -> Result<Vec<&'static str>, SelectError> {
        super::select(&isolation.split(',').collect::<Vec<_>>())
    }

    #[test]
    fn isolation_order_is_fixed() {
        let posix =
            ["filesystem/posix", "posix/cpu", "posix/mem", "network/cni", "environment_secret"];
        assert_eq!(select("posix/mem,posix/cpu").unwrap(), posix);
        assert_eq!(select("filesystem/posix,process").unwrap(), posix);
        let cgroups =
            ["filesystem/posix", "cgroups/cpu", "cgroups/mem", "network/cni", "environment_secret"];
        assert_eq!(select("cgroups").unwrap(), cgroups);
        assert_eq!(
            select("posix/disk").unwrap(),
            ["filesystem/posix", "disk/du", "network/cni", "environment_secret"]
        );
    }

    #[test]
    fn isolation_all_cgroups_are_those_that_the_kernel_offers() {
        let names = select("cgroups/all").unwrap();
        let expanded = expand(&names, &["cgroups/mem", "cgroups/cpu"]);
        let all =
            ["filesystem/posix", "cgroups/cpu", "cgroups/mem", "network/cni", "environment_secret"];
        assert_eq!(expanded, all);
    }

    #[test]
    fn isolation_linux_filesystem_brings_volumes_along() {
        let names = select("filesystem/linux,volume/host_path").unwrap();
        let all = [
            "filesystem/linux",
            "volume/sandbox_path",
            "volume/host_path",
            "volume/image",
            "network/cni",
            "environment_secret",
        ];
        assert_eq!(names, all);
    }

    #[test]
    fn isolation_bad_lists_are_told_apart() {
        assert_eq!(select("posix/net"), Err(SelectError::Unknown("posix/net".into())));
        assert_eq!(select("posix/cpu, posix/mem"), Err(SelectError::Unknown(" posix/mem".into())));
        assert_eq!(select("disk/xfs"), Err(SelectError::NotBuilt("disk/xfs".into())));
        assert_eq!(select("process,posix/cpu"), Err(SelectError::Duplicate("posix/cpu".into())));
        let both = select("filesystem/linux,filesystem/shared");
        assert!(matches!(both, Err(SelectError::Conflict(..))), "{both:?}");
    }

    #[test]
    fn isolation_needs_are_checked() {
        let mut options = Options { is_root: false, ..Options::default() };
        let told = |names: &[&'static str], options: &Options| match check(names, options) {
            Err(SelectError::Unusable { reason, .. }) => reason,
            other => format!("{other:?}"),
        };
        assert!(told(&["filesystem/linux"], &options).contains("root"));
        options.is_root = true;
        assert!(told(&["filesystem/linux"], &options).contains("launcher"));
        options.linux_launcher = true;
        assert!(told(&["namespaces/pid"], &options).contains("filesystem/linux"));
        assert_eq!(check(&["filesystem/linux", "namespaces/pid"], &options), Ok(()));
        options.image_providers = true;
        assert!(told(&["posix/cpu"], &options).contains("image_providers"));
    }
}
