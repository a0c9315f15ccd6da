//! The flags of `mesos-execute`.

use std::time::Duration;

use clap::{ArgAction, Parser};
use libprocess::flags::Logging;

/// Runs one command, or one task, on a cluster and waits for its end.
#[derive(Parser, Debug, Clone)]
#[command(rename_all = "snake_case")]
pub struct Flags {
    /// The master: host:port, or zk://host:port,.../path where masters elect their leader
    #[arg(long, help_heading = "Cluster")]
    pub master: Option<String>,
    /// Start a master and a slave in this process and run the task there
    #[arg(long, help_heading = "Cluster")]
    pub local: bool,
    /// Role of the framework
    #[arg(long, default_value = "*", help_heading = "Cluster")]
    pub role: String,
    /// Comma-separated capabilities of the framework, such as TASK_KILLING_STATE
    #[arg(long, value_name = "LIST", help_heading = "Cluster")]
    pub framework_capabilities: Option<String>,
    /// Hear TASK_UNREACHABLE, TASK_DROPPED and TASK_GONE instead of TASK_LOST
    #[arg(long, help_heading = "Cluster")]
    pub partition_aware: bool,
    /// Name of the framework for the master, which has to prove it where a secret is given
    #[arg(long, help_heading = "Cluster")]
    pub principal: Option<String>,
    /// Secret that proves the name
    #[arg(long, value_name = "SECRET", help_heading = "Cluster")]
    pub secret: Option<String>,
    /// Encoding for masters that are spoken to over HTTP; accepted without effect
    #[arg(long, default_value = "protobuf", help_heading = "Cluster")]
    pub content_type: String,

    /// Name of the task, and its id
    #[arg(long, help_heading = "Task")]
    pub name: Option<String>,
    /// The command
    #[arg(long, help_heading = "Task")]
    pub command: Option<String>,
    /// Run the command with a shell; else it is split at blanks and executed
    #[arg(long, action = ArgAction::Set, default_value_t = true, help_heading = "Task")]
    pub shell: bool,
    /// Environment variables of the command: a JSON object of strings
    #[arg(long, alias = "environment", value_name = "JSON", help_heading = "Task")]
    pub env: Option<String>,
    /// What the task needs
    #[arg(long, default_value = "cpus:1;mem:128", help_heading = "Task")]
    pub resources: String,
    /// A whole TaskInfo instead of name, command, env and resources
    #[arg(long, value_name = "JSON", help_heading = "Task")]
    pub task: Option<String>,
    /// Let the task outlive its slave's process
    #[arg(long, help_heading = "Task")]
    pub checkpoint: bool,
    /// Kill the task so long after it started to run
    #[arg(long, value_parser = protos::duration::parse, help_heading = "Task")]
    pub kill_after: Option<Duration>,

    /// Which containerizer runs the task: mesos
    #[arg(long, default_value = "mesos", help_heading = "Container")]
    pub containerizer: String,
    /// Docker image (not supported yet)
    #[arg(long, help_heading = "Container")]
    pub docker_image: Option<String>,
    /// Appc image (not supported yet)
    #[arg(long, help_heading = "Container")]
    pub appc_image: Option<String>,
    /// Networks to join (not supported yet)
    #[arg(long, help_heading = "Container")]
    pub networks: Option<String>,
    /// Volumes (not supported yet)
    #[arg(long, value_name = "JSON", help_heading = "Container")]
    pub volumes: Option<String>,
    /// Resource limits of the process (not supported yet)
    #[arg(long, value_name = "JSON", help_heading = "Container")]
    pub rlimits: Option<String>,
    /// Linux capabilities to have at once (not supported yet)
    #[arg(long, value_name = "JSON", help_heading = "Container")]
    pub effective_capabilities: Option<String>,
    /// Linux capabilities to be able to gain (not supported yet)
    #[arg(long, value_name = "JSON", help_heading = "Container")]
    pub bounding_capabilities: Option<String>,
    /// A terminal for the task (not supported yet)
    #[arg(long, help_heading = "Container")]
    pub tty: bool,
    /// Tasks that share an executor (not supported yet)
    #[arg(long, value_name = "JSON", help_heading = "Container")]
    pub task_group: Option<String>,

    /// A package to upload before (not supported yet)
    #[arg(long, help_heading = "Package")]
    pub package: Option<String>,
    /// Replace an uploaded package; without effect alone
    #[arg(long, help_heading = "Package")]
    pub overwrite: bool,
    /// The Hadoop client; without effect alone
    #[arg(long, default_value = "hadoop", help_heading = "Package")]
    pub hadoop: String,
    /// The HDFS name node; without effect alone
    #[arg(long, default_value = "localhost:9000", help_heading = "Package")]
    pub hdfs: String,

    /// The log.
    #[command(flatten)]
    pub logging: Logging,
}
