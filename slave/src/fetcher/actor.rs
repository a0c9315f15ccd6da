//! The process `fetcher(1)`: one helper for each container that has something to fetch.

use std::collections::BTreeMap;
use std::path::PathBuf;

use libprocess::subprocess::{Command, Output};
use libprocess::{Ctx, Process, Routes};
use protos::ids::ContainerId;
use protos::mesos::command_info::Uri;
use protos::mesos::fetcher::{FetcherInfo, fetcher_info};

/// What to fetch, and where to.
#[derive(Debug, Clone)]
pub struct FetchRequest {
    /// For the log.
    pub container: ContainerId,
    /// The sandbox.
    pub directory: PathBuf,
    /// What to fetch.
    pub uris: Vec<Uri>,
    /// Numeric user and group to fetch as; the slave's when absent.
    pub user: Option<(u32, u32)>,
}

/// A fetch failed; what was fetched stays in the sandbox.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot fetch into {directory}: {reason}")]
pub struct FetchError {
    /// The sandbox; its `stderr` says more.
    pub directory: PathBuf,
    /// Why.
    pub reason: String,
}

/// Starts the helper.
pub struct Fetcher {
    /// Program and leading arguments of the helper.
    helper: Vec<String>,
    /// Paths without a scheme that are not absolute lie below it (flag `frameworks_home`).
    frameworks_home: Option<String>,
}

impl Process for Fetcher {
    fn routes(_: &mut Routes<Self>) {}
}

impl Fetcher {
    /// A fetcher that has yet to be spawned.
    pub fn new(helper: Vec<String>, frameworks_home: Option<String>) -> Self {
        Self { helper, frameworks_home }
    }

    /// Fetches; ready at once when there is nothing to fetch.
    pub fn fetch(
        &mut self,
        request: FetchRequest,
        cx: &mut Ctx<Self>,
    ) -> impl Future<Output = Result<(), FetchError>> + Send + use<> {
        let starting =
            (!request.uris.is_empty()).then(|| cx.subprocesses().spawn(self.command(&request)));
        let directory = request.directory;
        async move {
            let failed = |reason: String| FetchError { directory: directory.clone(), reason };
            let Some(starting) = starting else { return Ok(()) };
            let helper = starting.await.map_err(|error| failed(error.to_string()))?;
            match helper.ended.await.status {
                Some(status) if status.success() => Ok(()),
                _ => Err(failed("the fetcher failed, see stderr in the sandbox".to_owned())),
            }
        }
    }

    fn command(&self, request: &FetchRequest) -> Command {
        let item = |uri: &Uri| fetcher_info::Item {
            uri: uri.clone(),
            action: fetcher_info::item::Action::BypassCache.into(),
            cache_filename: None,
        };
        let info = FetcherInfo {
            sandbox_directory: request.directory.display().to_string(),
            items: request.uris.iter().map(item).collect(),
            frameworks_home: self.frameworks_home.clone(),
            ..FetcherInfo::default()
        };
        let json = protos::json::to_json(&info).to_string();
        let env = BTreeMap::from([
            ("MESOS_FETCHER_INFO".to_owned(), json),
            ("PATH".to_owned(), "/usr/local/bin:/usr/bin:/bin".to_owned()),
        ]);
        Command {
            program: self.helper.first().cloned().unwrap_or_default(),
            argv: self.helper.clone(),
            env,
            cwd: Some(request.directory.clone()),
            stdout: Output::File(request.directory.join("stdout")),
            stderr: Output::File(request.directory.join("stderr")),
            session: true,
            user: request.user,
            ..Command::default()
        }
    }
}
