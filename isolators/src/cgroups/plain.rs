//! Isolators that only make a cgroup: the container's processes are in it, no limit is set.

use super::{Controller, Version};

macro_rules! plain {
    ($(#[$doc:meta])* $name:ident, $isolator:literal, $v1:expr, $v2:expr) => {
        $(#[$doc])*
        #[derive(Debug, Default)]
        pub struct $name;

        impl Controller for $name {
            const NAME: &'static str = $isolator;

            fn controllers(version: Version) -> Option<&'static [&'static str]> {
                match version {
                    Version::V1 => $v1,
                    Version::V2 => $v2,
                }
            }
        }
    };
}

plain!(
    /// `cgroups/pids`: counts processes; limits are the operator's, set on a cgroup above.
    Pids, "cgroups/pids", Some(&["pids"]), Some(&["pids"])
);
plain!(
    /// `cgroups/cpuset`: CPUs and memory nodes are those of the cgroup above.
    Cpuset, "cgroups/cpuset", Some(&["cpuset"]), Some(&["cpuset"])
);
plain!(
    /// `cgroups/hugetlb`: huge pages are accounted for.
    Hugetlb, "cgroups/hugetlb", Some(&["hugetlb"]), Some(&["hugetlb"])
);
plain!(
    /// `cgroups/net_prio`: priorities are those of the cgroup above.
    NetPrio, "cgroups/net_prio", Some(&["net_prio"]), None
);
