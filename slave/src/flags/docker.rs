//! Flags that concern images and Docker.

use std::path::PathBuf;
use std::time::Duration;

use clap::ArgAction;
use protos::duration;
use serde_json::Value;

use crate::provisioner::{Backend, ProvisionerOptions};

/// Their values.
#[derive(clap::Args, Debug, Clone)]
#[command(rename_all = "snake_case", next_help_heading = "Images and Docker")]
#[group(id = "docker_flags")]
pub struct DockerFlags {
    /// Kinds of images that containers may be made of: docker; none when absent
    #[arg(long)]
    pub image_providers: Option<String>,
    /// How images become roots: copy or overlay; overlay when absent and the kernel has it
    #[arg(long)]
    pub image_provisioner_backend: Option<Backend>,
    /// Where images come from: a registry's URL, or a directory of archives made by docker save
    #[arg(long)]
    pub docker_registry: Option<String>,
    /// Directory for images
    #[arg(long)]
    pub docker_store_dir: Option<PathBuf>,
    /// Credentials for registries, as JSON of docker's own file
    #[arg(long, value_name = "JSON", value_parser = document)]
    pub docker_config: Option<Document>,
    /// The docker program; not needed: the daemon is spoken to by its socket
    #[arg(long, default_value = "docker")]
    pub docker: String,
    /// Socket of the docker daemon
    #[arg(long, default_value = "/var/run/docker.sock")]
    pub docker_socket: PathBuf,
    /// Kill docker containers that an earlier slave of the same work_dir started and nobody knows
    #[arg(long, default_value_t = true, action = ArgAction::Set)]
    pub docker_kill_orphans: bool,
    /// Time after which ended docker containers are removed
    #[arg(long, default_value = "6hrs", value_parser = duration::parse)]
    pub docker_remove_delay: Duration,
    /// Time that docker gives containers to stop before it kills them
    #[arg(long, default_value = "0secs", value_parser = duration::parse)]
    pub docker_stop_timeout: Duration,
}

/// JSON.
#[derive(Debug, Clone, PartialEq)]
pub struct Document(pub Value);

fn document(text: &str) -> Result<Document, String> {
    let value: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    value.is_object().then_some(Document(value)).ok_or_else(|| "it is no JSON object".to_owned())
}

impl DockerFlags {
    pub(super) fn store_dir(&self) -> PathBuf {
        let own = self.docker_store_dir.clone();
        own.unwrap_or_else(|| std::env::temp_dir().join("mesos/store/docker"))
    }

    /// Who provides images; None when nobody does.
    ///
    /// # Errors
    /// Text naming the flag that cannot be used.
    pub(super) fn provisioner(
        &self,
        helper: &[String],
        work_dir: &std::path::Path,
        stall: Duration,
    ) -> Result<Option<ProvisionerOptions>, String> {
        for kind in self.image_providers.iter().flat_map(|kinds| kinds.split(',')) {
            if !kind.eq_ignore_ascii_case("docker") {
                return Err(format!(
                    "flag 'image_providers': '{kind}' is not available in this version"
                ));
            }
        }
        let wanted = self.image_providers.is_some();
        Ok(wanted.then(|| ProvisionerOptions {
            helper: helper.to_vec(),
            store: self.store_dir(),
            registry: self.docker_registry.clone(),
            config: self.docker_config.clone().map(|document| document.0),
            backend: self.image_provisioner_backend.unwrap_or_else(Backend::of_host),
            work_dir: work_dir.to_owned(),
            stall,
        }))
    }
}
