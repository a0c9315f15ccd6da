//! Flags of the protocol family that are accepted and have no effect yet.
//!
//! They are listed so that a command line that is known elsewhere is not refused; whoever gives one is
//! told at the start that nothing comes of it.

use std::collections::BTreeSet;

use clap::Args;

/// Flags of other groups that nothing depends on here, and why.
const NEEDLESS: [(&str, &str); 2] = [
    ("docker", "the daemon is spoken to by its socket"),
    ("systemd_enable_support", "nothing here needs systemd"),
];

/// Their values, as they were given or as they would be elsewhere.
#[derive(clap::Args, Debug, Clone, Default)]
#[command(rename_all = "snake_case", next_help_heading = "Accepted without effect")]
pub struct IdleFlags {
    /// Capabilities that are told to masters
    #[arg(long)]
    pub agent_features: Option<String>,
    /// Cgroup subsystems for the slave itself
    #[arg(long, alias = "slave_subsystems")]
    pub agent_subsystems: Option<String>,
    /// Where Appc images are looked for
    #[arg(long, default_value = "http://")]
    pub appc_simple_discovery_uri_prefix: Option<String>,
    /// Directory of Appc images
    #[arg(long)]
    pub appc_store_dir: Option<String>,
    /// Executors must authenticate
    #[arg(long, default_value = "false")]
    pub authenticate_http_executors: Option<bool>,
    /// Who decides who may do what
    #[arg(long, default_value = "local")]
    pub authorizer: Option<String>,
    /// Directory of settings of storage plugins
    #[arg(long)]
    pub csi_plugin_config_dir: Option<String>,
    /// Name servers of containers
    #[arg(long)]
    pub default_container_dns: Option<String>,
    /// Module that knows disk profiles
    #[arg(long)]
    pub disk_profile_adaptor: Option<String>,
    /// Ignore what images say of their runtime
    #[arg(long, default_value = "false")]
    pub docker_ignore_runtime: Option<bool>,
    /// Image in which executors run
    #[arg(long)]
    pub docker_mesos_image: Option<String>,
    /// Directory for what is known of docker volumes
    #[arg(long, default_value = "/var/run/mesos/isolators/docker/volume")]
    pub docker_volume_checkpoint_dir: Option<String>,
    /// Give docker volumes to the container's user
    #[arg(long, default_value = "false")]
    pub docker_volume_chown: Option<bool>,
    /// Socket for executors
    #[arg(long)]
    pub domain_socket_location: Option<String>,
    /// Traffic shaping of containers
    #[arg(long)]
    pub egress_burst: Option<String>,
    /// Traffic shaping of containers
    #[arg(long)]
    pub egress_ceil_limit: Option<String>,
    /// Traffic shaping of containers
    #[arg(long, default_value = "root")]
    pub egress_flow_classifier_parent: Option<String>,
    /// Traffic shaping of containers
    #[arg(long)]
    pub egress_rate_limit_per_container: Option<String>,
    /// Traffic shaping of containers
    #[arg(long)]
    pub egress_rate_per_cpu: Option<String>,
    /// Traffic shaping of containers
    #[arg(long, default_value = "false")]
    pub egress_unique_flow_per_container: Option<bool>,
    /// Ports of network/port_mapping
    #[arg(long, default_value = "1024")]
    pub ephemeral_ports_per_container: Option<String>,
    /// Interface of network/port_mapping
    #[arg(long)]
    pub eth0_name: Option<String>,
    /// Endpoints that are closed
    #[arg(long)]
    pub firewall_rules: Option<String>,
    /// Remove sandboxes of standalone containers in time
    #[arg(long, default_value = "false")]
    pub gc_non_executor_container_sandboxes: Option<bool>,
    /// Modules that are told of launches
    #[arg(long)]
    pub hooks: Option<String>,
    /// Command tasks speak the newer protocol
    #[arg(long, default_value = "false")]
    pub http_command_executor: Option<bool>,
    /// Executors speak by a socket of the file system
    #[arg(long, default_value = "false")]
    pub http_executor_domain_sockets: Option<bool>,
    /// Time between two signs of life to clients
    #[arg(long, default_value = "30secs")]
    pub http_heartbeat_interval: Option<String>,
    /// When images are removed
    #[arg(long)]
    pub image_gc_config: Option<String>,
    /// Traffic shaping of containers
    #[arg(long)]
    pub ingress_burst: Option<String>,
    /// Traffic shaping of containers
    #[arg(long)]
    pub ingress_ceil_limit: Option<String>,
    /// Traffic shaping of containers
    #[arg(long, default_value = "true")]
    pub ingress_isolate_existing_containers: Option<bool>,
    /// Traffic shaping of containers
    #[arg(long)]
    pub ingress_rate_limit_per_container: Option<String>,
    /// Traffic shaping of containers
    #[arg(long)]
    pub ingress_rate_per_cpu: Option<String>,
    /// Address of version 6 to listen on
    #[arg(long)]
    pub ip6: Option<String>,
    /// Command that tells the address of version 6
    #[arg(long)]
    pub ip6_discovery_command: Option<String>,
    /// File with the key for executors' tokens
    #[arg(long, alias = "executor_secret_key")]
    pub jwt_secret_key: Option<String>,
    /// Interface of network/port_mapping
    #[arg(long)]
    pub lo_name: Option<String>,
    /// Module that finds the master
    #[arg(long)]
    pub master_detector: Option<String>,
    /// Traffic shaping of containers
    #[arg(long)]
    pub maximum_egress_rate_limit: Option<String>,
    /// Traffic shaping of containers
    #[arg(long)]
    pub maximum_ingress_rate_limit: Option<String>,
    /// Profile the memory
    #[arg(long, default_value = "false")]
    pub memory_profiling: Option<bool>,
    /// Traffic shaping of containers
    #[arg(long)]
    pub minimum_egress_rate_limit: Option<String>,
    /// Traffic shaping of containers
    #[arg(long)]
    pub minimum_ingress_rate_limit: Option<String>,
    /// Directory of modules
    #[arg(long)]
    pub modules_dir: Option<String>,
    /// Statistics of network/port_mapping
    #[arg(long, default_value = "false")]
    pub network_enable_rate_statistics: Option<bool>,
    /// Statistics of network/port_mapping
    #[arg(long, default_value = "false")]
    pub network_enable_snmp_statistics: Option<bool>,
    /// Statistics of network/port_mapping
    #[arg(long, default_value = "false")]
    pub network_enable_socket_statistics_details: Option<bool>,
    /// Statistics of network/port_mapping
    #[arg(long, default_value = "false")]
    pub network_enable_socket_statistics_summary: Option<bool>,
    /// Statistics of network/port_mapping
    #[arg(long)]
    pub network_link_speed: Option<String>,
    /// Statistics of network/port_mapping
    #[arg(long)]
    pub network_rate_statistics_interval: Option<String>,
    /// Statistics of network/port_mapping
    #[arg(long)]
    pub network_rate_statistics_window: Option<String>,
    /// GPUs that are offered
    #[arg(long)]
    pub nvidia_gpu_devices: Option<String>,
    /// Directory of settings of resource providers
    #[arg(long)]
    pub resource_provider_config_dir: Option<String>,
    /// Module that knows secrets
    #[arg(long)]
    pub secret_resolver: Option<String>,
    /// Directory of the running systemd
    #[arg(long, default_value = "/run/systemd/system")]
    pub systemd_runtime_directory: Option<String>,
    /// Groups for shared volumes
    #[arg(long)]
    pub volume_gid_range: Option<String>,
    /// End containers beyond their disk quota
    #[arg(long, default_value = "false")]
    pub xfs_kill_containers: Option<bool>,
    /// Project ids for disk quotas
    #[arg(long, default_value = "[5000-10000]")]
    pub xfs_project_range: Option<String>,
    /// Disk beyond the quota before a container ends
    #[arg(long, default_value = "10MB")]
    pub xfs_quota_headroom: Option<String>,
}

/// One line for each flag that was given and has no effect.
pub(super) fn warnings(given: &BTreeSet<String>) -> Vec<String> {
    let known = IdleFlags::augment_args(clap::Command::new("idle"));
    let idle = known.get_arguments().filter_map(|flag| {
        let mut names: Vec<&str> = flag.get_long().into_iter().collect();
        names.extend(flag.get_all_aliases().unwrap_or_default());
        names.into_iter().find(|name| given.contains(*name)).map(str::to_owned)
    });
    let line = |name: String| format!("flag '{name}' has no effect in this version");
    let mut lines: Vec<String> = idle.map(line).collect();
    for (name, why) in NEEDLESS {
        if given.contains(name) {
            lines.push(format!("flag '{name}' has no effect: {why}"));
        }
    }
    lines
}
