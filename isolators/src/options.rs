//! What isolators are told once: the slave's flags that concern them.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use libprocess::Node;
use protos::mesos;

use crate::Isolator;
use crate::images::Provider;

/// Starts an isolator of somebody else's on a node.
pub type Factory = Arc<dyn Fn(&Node, &Options) -> Result<Arc<dyn Isolator>, String> + Send + Sync>;

/// Isolators of somebody else's, by the names that the flag `isolation` may have for them.
#[derive(Clone, Default)]
pub struct Modules(pub BTreeMap<String, Factory>);

impl fmt::Debug for Modules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// Flags of the same names, unless noted.
#[derive(Debug, Clone)]
pub struct Options {
    /// Comma-separated names.
    pub isolation: String,
    /// True when the flag `launcher` is `linux`: containers are started by clone and held together
    /// by cgroups.
    pub linux_launcher: bool,
    /// True when containers may come from images (flag `image_providers`).
    pub image_providers: bool,
    /// Who provides them.
    pub images: Provider,
    /// True when the slave is root.
    pub is_root: bool,
    /// Sandboxes and persistent volumes.
    pub work_dir: PathBuf,
    /// State of running containers, gone after a reboot.
    pub runtime_dir: PathBuf,
    /// Where the sandbox is seen inside a container with a root of its own.
    pub sandbox_directory: PathBuf,
    /// Below it, version 1 hierarchies are mounted; or it is the version 2 hierarchy.
    pub cgroups_hierarchy: PathBuf,
    /// Name of the cgroup that holds all others of the slave.
    pub cgroups_root: String,
    /// How long the processes of an ended container may take to go.
    pub cgroups_destroy_timeout: Duration,
    /// Hard CPU limits.
    pub cgroups_enable_cfs: bool,
    /// Memory limits count swap too.
    pub cgroups_limit_swap: bool,
    /// Usage counts processes and threads.
    pub cgroups_cpu_enable_pids_and_tids_count: bool,
    /// Containers with revocable CPUs yield to all others.
    pub revocable_cpu_low_priority: bool,
    /// Primary handle for net_cls, such as `0x0012`.
    pub cgroups_net_cls_primary_handle: Option<String>,
    /// Range of secondary handles, such as `0x0011,0x0012`.
    pub cgroups_net_cls_secondary_handles: Option<String>,
    /// Events to count, comma-separated.
    pub perf_events: Option<String>,
    /// From one count to the next.
    pub perf_interval: Duration,
    /// How long each count takes.
    pub perf_duration: Duration,
    /// Devices that containers may use beside the default ones.
    pub allowed_devices: Option<mesos::DeviceWhitelist>,
    /// Capabilities that containers get, and may ask for.
    pub effective_capabilities: Option<mesos::CapabilityInfo>,
    /// Capabilities that containers may ever gain.
    pub bounding_capabilities: Option<mesos::CapabilityInfo>,
    /// From one `du` of a container to the next.
    pub container_disk_watch_interval: Duration,
    /// A container beyond its disk is destroyed.
    pub enforce_container_disk_quota: bool,
    /// Host paths that are made when a volume names them; separated by colons.
    pub host_path_volume_force_creation: Option<String>,
    /// Size of `/dev/shm` of containers with an IPC namespace of their own, in bytes.
    pub default_container_shm_size: Option<u64>,
    /// No container shares the slave's IPC namespace.
    pub disallow_sharing_agent_ipc_namespace: bool,
    /// No container shares the slave's PID namespace.
    pub disallow_sharing_agent_pid_namespace: bool,
    /// Where seccomp profiles are.
    pub seccomp_config_dir: Option<PathBuf>,
    /// The profile for containers that name none.
    pub seccomp_profile_name: Option<String>,
    /// Where CNI plugins are; several directories separated by colons.
    pub network_cni_plugins_dir: Option<String>,
    /// Where CNI configurations are.
    pub network_cni_config_dir: Option<PathBuf>,
    /// Containers' traffic is counted.
    pub network_cni_metrics: bool,
    /// What is known of networks survives a reboot.
    pub network_cni_root_dir_persist: bool,
    /// From one look at listening sockets to the next.
    pub container_ports_watch_interval: Duration,
    /// A container that listens where it may not is destroyed.
    pub enforce_container_ports: bool,
    /// Only ports that the slave offers are looked at.
    pub check_agent_port_range_only: bool,
    /// Only these ports are looked at, such as `[31000-32000]`.
    pub container_ports_isolated_range: Option<String>,
    /// Ports that the slave offers (from its resources).
    pub agent_ports: Vec<(u64, u64)>,
    /// Isolators beside those that are built in; they run after these, in the order of the flag.
    pub modules: Modules,
}

impl Options {
    /// The defaults of all flags, with the given isolators.
    pub fn new(isolation: impl Into<String>) -> Self {
        Self { isolation: isolation.into(), ..Self::default() }
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            isolation: "posix/cpu,posix/mem".to_owned(),
            linux_launcher: false,
            image_providers: false,
            images: Provider::default(),
            is_root: nix::unistd::geteuid().is_root(),
            work_dir: PathBuf::from("/var/lib/mesos"),
            runtime_dir: PathBuf::from("/var/run/mesos"),
            sandbox_directory: PathBuf::from("/mnt/mesos/sandbox"),
            cgroups_hierarchy: PathBuf::from("/sys/fs/cgroup"),
            cgroups_root: "mesos".to_owned(),
            cgroups_destroy_timeout: Duration::from_secs(60),
            cgroups_enable_cfs: false,
            cgroups_limit_swap: false,
            cgroups_cpu_enable_pids_and_tids_count: false,
            revocable_cpu_low_priority: true,
            cgroups_net_cls_primary_handle: None,
            cgroups_net_cls_secondary_handles: None,
            perf_events: None,
            perf_interval: Duration::from_secs(60),
            perf_duration: Duration::from_secs(10),
            allowed_devices: None,
            effective_capabilities: None,
            bounding_capabilities: None,
            container_disk_watch_interval: Duration::from_secs(15),
            enforce_container_disk_quota: false,
            host_path_volume_force_creation: None,
            default_container_shm_size: None,
            disallow_sharing_agent_ipc_namespace: false,
            disallow_sharing_agent_pid_namespace: false,
            seccomp_config_dir: None,
            seccomp_profile_name: None,
            network_cni_plugins_dir: None,
            network_cni_config_dir: None,
            network_cni_metrics: true,
            network_cni_root_dir_persist: false,
            container_ports_watch_interval: Duration::from_secs(30),
            enforce_container_ports: false,
            check_agent_port_range_only: false,
            container_ports_isolated_range: None,
            agent_ports: Vec::new(),
            modules: Modules::default(),
        }
    }
}
