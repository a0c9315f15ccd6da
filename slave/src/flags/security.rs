//! Flags of who may ask what of a slave.

use std::path::PathBuf;

use protos::mesos::AcLs;

use super::json;
use crate::security::{Security, credentials};

/// Their values.
#[derive(clap::Args, Debug, Clone)]
#[command(rename_all = "snake_case", next_help_heading = "Security")]
#[group(id = "security_flags")]
pub struct SecurityFlags {
    /// Who may see sandboxes and endpoints: access control lists
    #[arg(long, value_name = "JSON", value_parser = json::<AcLs>)]
    pub acls: Option<AcLs>,
    /// Must who reads over HTTP prove who they are?
    #[arg(long, default_value_t = false, action = clap::ArgAction::Set)]
    pub authenticate_http_readonly: bool,
    /// Must who changes something over HTTP prove who they are?
    #[arg(long, default_value_t = false, action = clap::ArgAction::Set)]
    pub authenticate_http_readwrite: bool,
    /// How they do
    #[arg(long, default_value = "basic", value_parser = ["basic"])]
    pub http_authenticators: String,
    /// File of principals and secrets: JSON, or both on a line
    #[arg(long)]
    pub http_credentials: Option<PathBuf>,
}

impl SecurityFlags {
    /// What they come to.
    ///
    /// # Errors
    /// Text naming the flag that cannot be used.
    pub(super) fn read(&self) -> Result<Security, String> {
        let failed = |error: &dyn std::fmt::Display| format!("flag 'http_credentials': {error}");
        let secrets = match &self.http_credentials {
            Some(path) => {
                let text = path.to_string_lossy();
                let path = text.strip_prefix("file://").unwrap_or(&text);
                let text = std::fs::read_to_string(path).map_err(|error| failed(&error))?;
                credentials(&text).map_err(|error| failed(&error))?
            }
            None => Default::default(),
        };
        let wanted = self.authenticate_http_readonly || self.authenticate_http_readwrite;
        if wanted && secrets.is_empty() {
            return Err(failed(&"there are none, and authentication is wanted"));
        }
        Ok(Security {
            readonly: self.authenticate_http_readonly,
            readwrite: self.authenticate_http_readwrite,
            secrets,
            acls: self.acls.clone(),
        })
    }
}
