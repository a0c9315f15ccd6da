//! Flags of who is who and who may do what.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use protos::duration;
use protos::mesos;

use super::json;

/// Flags of authentication and authorisation.
#[derive(Args, Debug, Clone)]
#[command(rename_all = "snake_case")]
pub struct Security {
    /// Who may do what: access control lists
    #[arg(long, help_heading = "Security", value_name = "JSON", value_parser = json::<mesos::AcLs>)]
    pub acls: Option<mesos::AcLs>,
    /// File of principals and secrets: JSON, or both on a line
    #[arg(long, help_heading = "Security")]
    pub credentials: Option<PathBuf>,
    /// Must slaves prove who they are?
    #[arg(long, help_heading = "Security", alias = "authenticate_slaves", default_value_t = false, action = clap::ArgAction::Set)]
    pub authenticate_agents: bool,
    /// Must frameworks prove who they are?
    #[arg(long, help_heading = "Security", alias = "authenticate", default_value_t = false, action = clap::ArgAction::Set)]
    pub authenticate_frameworks: bool,
    /// Must who reads over HTTP prove who they are?
    #[arg(long, help_heading = "Security", default_value_t = false, action = clap::ArgAction::Set)]
    pub authenticate_http_readonly: bool,
    /// Must who changes something over HTTP prove who they are?
    #[arg(long, help_heading = "Security", alias = "authenticate_http", default_value_t = false, action = clap::ArgAction::Set)]
    pub authenticate_http_readwrite: bool,
    /// How they do
    #[arg(long, help_heading = "Security", default_value = "basic", value_parser = ["basic"])]
    pub http_authenticators: String,
    /// Time that a proof may take
    #[arg(long, help_heading = "Security", default_value = "15secs", value_parser = duration::parse)]
    pub authentication_v0_timeout: Duration,
    /// How peers prove who they are
    #[arg(long, help_heading = "Security", default_value = "crammd5", value_parser = ["crammd5"])]
    pub authenticators: String,
    /// Who decides who may do what
    #[arg(long, help_heading = "Security", default_value = "local", value_parser = ["local"])]
    pub authorizers: String,
    /// File with the key of operators' tokens: JSON web tokens, signed with HS256, with a claim `sub`
    #[arg(long, help_heading = "Security")]
    pub jwt_secret_key: Option<PathBuf>,
    /// Endpoints that answer nobody
    #[arg(long, help_heading = "Security", value_name = "JSON", value_parser = json::<mesos::internal::Firewall>)]
    pub firewall_rules: Option<mesos::internal::Firewall>,
    /// Limits of frameworks' messages by principal
    #[arg(long, help_heading = "Security", value_name = "JSON", value_parser = json::<mesos::RateLimits>)]
    pub rate_limits: Option<mesos::RateLimits>,
}
