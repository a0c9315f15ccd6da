//! Flags of who may ask what of a slave.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use coordination::authenticatee::Patience;
use protos::credentials::{Credential, Credentials};
use protos::duration;
use protos::mesos::AcLs;

use super::json;
use crate::security::Security;

/// Their values.
#[derive(clap::Args, Debug, Clone)]
#[command(rename_all = "snake_case", next_help_heading = "Security")]
#[group(id = "security_flags")]
pub struct SecurityFlags {
    /// Who may see sandboxes and endpoints: access control lists
    #[arg(long, value_name = "JSON", value_parser = json::<AcLs>)]
    pub acls: Option<AcLs>,
    /// File with principal and secret by which this slave proves to masters who it is: JSON, or both on
    /// a line
    #[arg(long, value_name = "PATH")]
    pub credential: Option<PathBuf>,
    /// How it does
    #[arg(long, default_value = "crammd5", value_parser = ["crammd5"])]
    pub authenticatee: String,
    /// Longest wait before another attempt to do so; doubles with each
    #[arg(long, default_value = "1secs", value_parser = duration::parse)]
    pub authentication_backoff_factor: Duration,
    /// Shortest time for an attempt
    #[arg(long, default_value = "5secs", value_parser = duration::parse)]
    pub authentication_timeout_min: Duration,
    /// Longest time for an attempt
    #[arg(long, default_value = "1mins", value_parser = duration::parse)]
    pub authentication_timeout_max: Duration,
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

/// The text of a file that may be named as a URL.
fn text_of(path: &std::path::Path) -> std::io::Result<String> {
    let text = path.to_string_lossy();
    std::fs::read_to_string(text.strip_prefix("file://").unwrap_or(&text))
}

impl SecurityFlags {
    /// What this slave proves to masters who it is with.
    ///
    /// # Errors
    /// Text naming the flag when the file cannot be read; nothing of what it says.
    pub(super) fn credential(&self) -> Result<Option<Credential>, String> {
        let Some(path) = &self.credential else { return Ok(None) };
        let failed = |error: &dyn std::fmt::Display| format!("flag 'credential': {error}");
        let text = text_of(path).map_err(|error| failed(&error))?;
        Credential::parse(&text).map(Some).map_err(|error| failed(&error))
    }

    /// How it does.
    pub(super) fn patience(&self) -> Patience {
        Patience {
            backoff: self.authentication_backoff_factor,
            min: self.authentication_timeout_min,
            max: self.authentication_timeout_max,
        }
    }

    /// What they come to.
    ///
    /// # Errors
    /// Text naming the flag that cannot be used.
    pub(super) fn read(&self) -> Result<Security, String> {
        let failed = |error: &dyn std::fmt::Display| format!("flag 'http_credentials': {error}");
        let secrets: BTreeMap<_, _> = match &self.http_credentials {
            Some(path) => {
                let text = text_of(path).map_err(|error| failed(&error))?;
                Credentials::parse(&text).map_err(|error| failed(&error))?.pairs().collect()
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
