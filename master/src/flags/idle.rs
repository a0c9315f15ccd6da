//! Flags of the protocol family that are accepted and have no effect, so that a command line that is
//! known elsewhere is not refused. Whoever gives one is told that nothing comes of it.

use std::collections::BTreeMap;

/// Their values, as they were given.
#[derive(clap::Args, Debug, Clone, Default)]
#[command(rename_all = "snake_case", next_help_heading = "Accepted without effect")]
pub struct IdleFlags {
    /// Must frameworks of the HTTP API prove who they are?
    #[arg(long)]
    pub authenticate_http_frameworks: Option<bool>,
    /// How they do
    #[arg(long)]
    pub http_framework_authenticators: Option<String>,
    /// Hooks to call
    #[arg(long)]
    pub hooks: Option<String>,
    /// Command that prints the address to listen on
    #[arg(long)]
    pub ip_discovery_command: Option<String>,
    /// Executors on one slave
    #[arg(long, alias = "max_executors_per_slave")]
    pub max_executors_per_agent: Option<u64>,
    /// Subscribers of the event stream of the newer operators' API
    #[arg(long)]
    pub max_operator_event_stream_subscribers: Option<u64>,
    /// Profiles of memory
    #[arg(long)]
    pub memory_profiling: Option<bool>,
    /// Modules to load
    #[arg(long)]
    pub modules: Option<String>,
    /// Directory of descriptions of modules
    #[arg(long)]
    pub modules_dir: Option<String>,
    /// Memory of a regular expression of offer constraints
    #[arg(long)]
    pub offer_constraints_re2_max_mem: Option<String>,
    /// Size of a regular expression of offer constraints
    #[arg(long)]
    pub offer_constraints_re2_max_program_size: Option<i64>,
    /// Directory of the web pages
    #[arg(long)]
    pub webui_dir: Option<String>,
}

/// A line for each of them that was given.
pub(crate) fn warnings(effective: &BTreeMap<String, String>) -> Vec<String> {
    use clap::Args;
    let known = IdleFlags::augment_args(clap::Command::new("idle"));
    let given = known.get_arguments().filter_map(|flag| {
        let mut names: Vec<&str> = flag.get_long().into_iter().collect();
        names.extend(flag.get_all_aliases().unwrap_or_default());
        names.into_iter().find(|name| effective.contains_key(*name)).map(str::to_owned)
    });
    given.map(|name| format!("flag '{name}' has no effect")).collect()
}
