//! The slave's flags that only isolators read.

use std::path::PathBuf;
use std::time::Duration;

use clap::ArgAction;
use protos::duration;
use protos::mesos::capability_info::Capability;
use protos::mesos::{CapabilityInfo, DeviceWhitelist};
use protos::size::ByteSize;

use crate::options::Options;

/// Flags of isolators; put them into a program's flags with `#[command(flatten)]`.
#[derive(clap::Args, Debug, Clone)]
#[command(rename_all = "snake_case", next_help_heading = "Isolators")]
#[group(id = "isolators")]
pub struct Flags {
    /// Devices that containers may use beside those that all need, as JSON of DeviceWhitelist
    #[arg(long, value_name = "JSON", value_parser = json::<DeviceWhitelist>)]
    pub allowed_devices: Option<DeviceWhitelist>,
    /// Capabilities that containers may ever gain, as JSON of CapabilityInfo
    #[arg(long, value_name = "JSON", value_parser = capabilities)]
    pub bounding_capabilities: Option<CapabilityInfo>,
    /// Capabilities that containers have, as JSON of CapabilityInfo
    #[arg(long, value_name = "JSON", alias = "allowed_capabilities", value_parser = capabilities)]
    pub effective_capabilities: Option<CapabilityInfo>,
    /// Count the processes and threads of each container
    #[arg(long)]
    pub cgroups_cpu_enable_pids_and_tids_count: bool,
    /// Containers get no more CPU than they asked for, even on an idle host
    #[arg(long)]
    pub cgroups_enable_cfs: bool,
    /// Limits of memory count swap too
    #[arg(long)]
    pub cgroups_limit_swap: bool,
    /// High half of the numbers of containers' packets, such as 0x0012; none are given when absent
    #[arg(long)]
    pub cgroups_net_cls_primary_handle: Option<String>,
    /// First and last low half of those, such as 0x0001,0x00ff
    #[arg(long)]
    pub cgroups_net_cls_secondary_handles: Option<String>,
    /// Containers with revocable CPUs yield to all others
    #[arg(long, default_value_t = true, action = ArgAction::Set)]
    pub revocable_cpu_low_priority: bool,
    /// Time between two looks at the disk that a container uses
    #[arg(long, default_value = "15secs", value_parser = duration::parse)]
    pub container_disk_watch_interval: Duration,
    /// End containers that use more disk than they asked for
    #[arg(long)]
    pub enforce_container_disk_quota: bool,
    /// Time between two looks at the ports that containers listen on
    #[arg(long, default_value = "30secs", value_parser = duration::parse)]
    pub container_ports_watch_interval: Duration,
    /// Ports that are looked at, such as [31000-32000]; all when absent
    #[arg(long)]
    pub container_ports_isolated_range: Option<String>,
    /// Look only at ports that this slave offers
    #[arg(long)]
    pub check_agent_port_range_only: bool,
    /// End containers that listen on ports that are not their own
    #[arg(long)]
    pub enforce_container_ports: bool,
    /// Size of shared memory in containers with IPC of their own; the kernel's choice when absent
    #[arg(long, value_parser = size)]
    pub default_container_shm_size: Option<ByteSize>,
    /// No container shares the host's IPC
    #[arg(long)]
    pub disallow_sharing_agent_ipc_namespace: bool,
    /// No container sees the host's processes
    #[arg(long)]
    pub disallow_sharing_agent_pid_namespace: bool,
    /// Paths below which missing host paths of volumes are made, separated by colons
    #[arg(long)]
    pub host_path_volume_force_creation: Option<String>,
    /// Directories of network plugins, separated by colons
    #[arg(long)]
    pub network_cni_plugins_dir: Option<String>,
    /// Directory of the configurations of networks
    #[arg(long)]
    pub network_cni_config_dir: Option<PathBuf>,
    /// Count what containers send and receive on networks of their own
    #[arg(long, default_value_t = true, action = ArgAction::Set)]
    pub network_cni_metrics: bool,
    /// Keep what is known of containers' networks over a start of the host
    #[arg(long)]
    pub network_cni_root_dir_persist: bool,
    /// Events that perf counts, separated by commas
    #[arg(long)]
    pub perf_events: Option<String>,
    /// Time from one count to the next
    #[arg(long, default_value = "60secs", value_parser = duration::parse)]
    pub perf_interval: Duration,
    /// Time that a count takes
    #[arg(long, default_value = "10secs", value_parser = duration::parse)]
    pub perf_duration: Duration,
    /// Where a container with a root of its own sees its sandbox
    #[arg(long, default_value = "/mnt/mesos/sandbox")]
    pub sandbox_directory: PathBuf,
    /// Directory of seccomp profiles
    #[arg(long)]
    pub seccomp_config_dir: Option<PathBuf>,
    /// Profile, in that directory, of containers that name none
    #[arg(long)]
    pub seccomp_profile_name: Option<String>,
}

fn json<M: prost::Message + prost::Name + Default>(text: &str) -> Result<M, String> {
    let value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    protos::json::from_json(&value).map_err(|error| error.to_string())
}

/// Reading a message passes over names that it does not know; here, they are mistakes.
fn capabilities(text: &str) -> Result<CapabilityInfo, String> {
    let document: serde_json::Value =
        serde_json::from_str(text).map_err(|error| error.to_string())?;
    let names = document.get("capabilities").and_then(serde_json::Value::as_array);
    for name in names.ok_or("it has no list 'capabilities'")? {
        let known = name.as_str().and_then(Capability::from_str_name);
        known.ok_or_else(|| format!("there is no capability {name}"))?;
    }
    json(text)
}

fn size(text: &str) -> Result<ByteSize, String> {
    text.parse::<ByteSize>().map_err(|error| error.to_string())
}

impl Flags {
    /// Adds what these flags say to options that have the rest.
    pub fn apply(self, options: Options) -> Options {
        Options {
            allowed_devices: self.allowed_devices,
            bounding_capabilities: self.bounding_capabilities,
            effective_capabilities: self.effective_capabilities,
            cgroups_cpu_enable_pids_and_tids_count: self.cgroups_cpu_enable_pids_and_tids_count,
            cgroups_enable_cfs: self.cgroups_enable_cfs,
            cgroups_limit_swap: self.cgroups_limit_swap,
            cgroups_net_cls_primary_handle: self.cgroups_net_cls_primary_handle,
            cgroups_net_cls_secondary_handles: self.cgroups_net_cls_secondary_handles,
            revocable_cpu_low_priority: self.revocable_cpu_low_priority,
            container_disk_watch_interval: self.container_disk_watch_interval,
            enforce_container_disk_quota: self.enforce_container_disk_quota,
            container_ports_watch_interval: self.container_ports_watch_interval,
            container_ports_isolated_range: self.container_ports_isolated_range,
            check_agent_port_range_only: self.check_agent_port_range_only,
            enforce_container_ports: self.enforce_container_ports,
            default_container_shm_size: self.default_container_shm_size.map(|size| size.0),
            disallow_sharing_agent_ipc_namespace: self.disallow_sharing_agent_ipc_namespace,
            disallow_sharing_agent_pid_namespace: self.disallow_sharing_agent_pid_namespace,
            host_path_volume_force_creation: self.host_path_volume_force_creation,
            network_cni_plugins_dir: self.network_cni_plugins_dir,
            network_cni_config_dir: self.network_cni_config_dir,
            network_cni_metrics: self.network_cni_metrics,
            network_cni_root_dir_persist: self.network_cni_root_dir_persist,
            perf_events: self.perf_events,
            perf_interval: self.perf_interval,
            perf_duration: self.perf_duration,
            sandbox_directory: self.sandbox_directory,
            seccomp_config_dir: self.seccomp_config_dir,
            seccomp_profile_name: self.seccomp_profile_name,
            ..options
        }
    }
}

#[cfg(test)]
mod tests {
    use libprocess::flags::Loader;

    use super::*;

    #[derive(clap::Parser)]
    #[command(rename_all = "snake_case")]
    struct Program {
        #[command(flatten)]
        isolators: Flags,
    }

    fn load(args: &[&str]) -> Result<Options, String> {
        let loaded = Loader::new("slave").load::<Program>(args.iter().copied());
        let flags = loaded.map_err(|error| error.to_string())?.flags.isolators;
        Ok(flags.apply(Options::default()))
    }

    #[test]
    fn flags_defaults_are_those_of_the_options() {
        let (loaded, defaults) = (load(&[]).unwrap(), Options::default());
        assert_eq!(format!("{loaded:?}"), format!("{defaults:?}"));
    }

    #[test]
    fn flags_are_read() {
        let options = load(&[
            "--cgroups_enable_cfs",
            "--no-revocable_cpu_low_priority",
            "--perf_duration=5secs",
            "--default_container_shm_size=64MB",
            r#"--allowed_capabilities={"capabilities":["NET_RAW"]}"#,
            r#"--allowed_devices={"allowed_devices":[{"device":{"path":"/dev/null"},"access":{"read":true}}]}"#,
        ])
        .unwrap();
        assert!(options.cgroups_enable_cfs && !options.revocable_cpu_low_priority);
        assert_eq!(options.perf_duration, Duration::from_secs(5));
        assert_eq!(options.default_container_shm_size, Some(64 << 20));
        assert_eq!(options.effective_capabilities.unwrap().capabilities, [1013]);
        assert_eq!(options.allowed_devices.unwrap().allowed_devices.len(), 1);
    }

    #[test]
    fn flags_bad_values_are_refused_in_one_line() {
        for bad in [
            "--perf_interval=x",
            "--default_container_shm_size=big",
            "--effective_capabilities={\"capabilities\":[\"FLY\"]}",
            "--allowed_devices=none",
        ] {
            let error = load(&[bad]).unwrap_err();
            assert_eq!(error.lines().count(), 1, "{bad}: {error}");
        }
    }
}
