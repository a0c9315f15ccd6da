//! The process `fetcher(1)`: one helper for each container that has something to fetch.

use std::collections::BTreeMap;
use std::path::PathBuf;

use futures::channel::oneshot;
use libprocess::subprocess::{Child, Command, Ended, Output, SubprocessError, Target};
use libprocess::{Ctx, Process, Routes};
use protos::ids::ContainerId;
use protos::mesos::command_info::Uri;
use protos::mesos::fetcher::{FetcherInfo, fetcher_info};

/// What to fetch, and where to.
#[derive(Debug, Clone)]
pub struct FetchRequest {
    /// Whose sandbox it is; a fetch is stopped by this name.
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

const SIGKILL: i32 = 9;

/// A helper that is being started, or runs.
#[derive(Default)]
struct Fetching {
    pid: Option<u32>,
    stopped: bool,
}

/// Who waits for a fetch, and where it goes to.
struct Waiting {
    container: ContainerId,
    directory: PathBuf,
    reply: oneshot::Sender<Result<(), FetchError>>,
}

/// Starts the helper.
pub struct Fetcher {
    /// Program and leading arguments of the helper.
    helper: Vec<String>,
    /// Paths without a scheme that are not absolute lie below it (flag `frameworks_home`).
    frameworks_home: Option<String>,
    running: BTreeMap<ContainerId, Fetching>,
}

impl Process for Fetcher {
    fn routes(_: &mut Routes<Self>) {}
}

impl Fetcher {
    /// A fetcher that has yet to be spawned.
    pub fn new(helper: Vec<String>, frameworks_home: Option<String>) -> Self {
        Self { helper, frameworks_home, running: BTreeMap::new() }
    }

    /// Fetches; ready at once when there is nothing to fetch.
    pub fn fetch(
        &mut self,
        request: FetchRequest,
        cx: &mut Ctx<Self>,
    ) -> impl Future<Output = Result<(), FetchError>> + Send + use<> {
        let (reply, fetched) = oneshot::channel();
        let directory = request.directory.clone();
        if request.uris.is_empty() {
            // The receiver is still here.
            let _ = reply.send(Ok(()));
        } else {
            let starting = cx.subprocesses().spawn(self.command(&request));
            let FetchRequest { container, directory, .. } = request;
            self.running.insert(container.clone(), Fetching::default());
            let waiting = Waiting { container, directory, reply };
            cx.defer(starting, move |this, started, cx| this.started(waiting, started, cx));
        }
        let reason = "the fetcher is gone".to_owned();
        async move { fetched.await.unwrap_or(Err(FetchError { directory, reason })) }
    }

    /// Kills the helper that fetches for a container, if there is one; that fetch then fails.
    pub fn stop(&mut self, container: &ContainerId, cx: &mut Ctx<Self>) {
        let Some(fetching) = self.running.get_mut(container) else { return };
        fetching.stopped = true;
        if let Some(pid) = fetching.pid
            && let Err(error) = cx.subprocesses().signal(Target::Tree(pid), SIGKILL)
        {
            slog::warn!(cx.log(), "cannot stop a fetch";
                "container" => %container, "reason" => %error);
        }
    }

    fn started(
        &mut self,
        waiting: Waiting,
        started: Result<Child, SubprocessError>,
        cx: &mut Ctx<Self>,
    ) {
        let child = match started {
            Ok(child) => child,
            Err(error) => return self.over(waiting, Err(error.to_string())),
        };
        let fetching = self.running.entry(waiting.container.clone()).or_default();
        fetching.pid = Some(child.pid);
        if fetching.stopped {
            self.stop(&waiting.container, cx);
        }
        cx.defer(child.ended, move |this, ended, _| this.ended(waiting, &ended));
    }

    fn ended(&mut self, waiting: Waiting, ended: &Ended) {
        let stopped = self.running.get(&waiting.container).is_some_and(|it| it.stopped);
        let outcome = match ended.status {
            Some(status) if status.success() => Ok(()),
            _ if stopped => Err("the fetch was stopped".to_owned()),
            _ => Err("the fetcher failed, see stderr in the sandbox".to_owned()),
        };
        self.over(waiting, outcome);
    }

    fn over(&mut self, waiting: Waiting, outcome: Result<(), String>) {
        let Waiting { container, directory, reply } = waiting;
        self.running.remove(&container);
        // Who asked may be gone; what was fetched stays all the same.
        let _ = reply.send(outcome.map_err(|reason| FetchError { directory, reason }));
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
