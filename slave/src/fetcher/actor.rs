//! The process `fetcher(1)`: one helper for each container that has something to fetch.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use futures::channel::oneshot;
use libprocess::subprocess::{Child, Command, Ended, Output, Target};
use libprocess::{Ctx, Process, Routes};
use protos::ids::ContainerId;
use protos::mesos::DurationInfo;
use protos::mesos::command_info::Uri;
use protos::mesos::fetcher::fetcher_info::item::Action;
use protos::mesos::fetcher::{FetcherInfo, fetcher_info};

use super::cache::{Cache, Plan};
use super::room::{self, Room};

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

/// Who waits for a fetch, and what for.
struct Waiting {
    request: FetchRequest,
    reply: oneshot::Sender<Result<(), FetchError>>,
}

/// What the fetcher is told once.
#[derive(Debug, Clone)]
pub struct FetcherOptions {
    /// Program and leading arguments of the helper.
    pub helper: Vec<String>,
    /// Paths without a scheme that are not absolute lie below it (flag `frameworks_home`).
    pub frameworks_home: Option<String>,
    /// Where the cache is (flag `fetcher_cache_dir`); it is emptied at the start.
    pub cache_dir: PathBuf,
    /// It was made and emptied by [`super::prepare`] before the actor started.
    pub cache_is_prepared: bool,
    /// Bytes that the cache may hold (flag `fetcher_cache_size`).
    pub cache_bytes: u64,
    /// A transfer that stands still for so long has failed (flag `fetcher_stall_timeout`).
    pub stall_timeout: Duration,
    /// Where the Hadoop client is (flag `hadoop_home`); in the path when absent.
    pub hadoop_home: Option<String>,
}

impl Default for FetcherOptions {
    fn default() -> Self {
        Self {
            helper: vec!["mesos-fetcher".to_owned()],
            frameworks_home: None,
            cache_dir: std::env::temp_dir().join("mesos/fetch"),
            cache_is_prepared: false,
            cache_bytes: 2 * 1024 * 1024 * 1024,
            stall_timeout: Duration::from_secs(60),
            hadoop_home: None,
        }
    }
}

/// Starts the helper.
pub struct Fetcher {
    options: FetcherOptions,
    cache: Cache,
    running: BTreeMap<ContainerId, Fetching>,
    /// Fetches that need what another one is downloading, oldest first.
    queue: Vec<Waiting>,
}

impl Process for Fetcher {
    fn routes(_: &mut Routes<Self>) {}

    fn initialize(&mut self, cx: &mut Ctx<Self>) {
        let (metrics, handle) = (cx.node().metrics(), cx.handle());
        for name in ["succeeded", "failed"] {
            metrics.counter(&format!("containerizer/fetcher/task_fetches_{name}"));
        }
        metrics.gauge("containerizer/fetcher/cache_size_total_bytes", &handle, |fetcher: &Self| {
            fetcher.cache.limit() as f64
        });
        metrics.gauge("containerizer/fetcher/cache_size_used_bytes", &handle, |fetcher: &Self| {
            fetcher.cache.used() as f64
        });
    }
}

impl Fetcher {
    /// A fetcher that has yet to be spawned.
    pub fn new(options: FetcherOptions) -> Self {
        let cache = Cache::new(options.cache_bytes);
        Self { options, cache, running: BTreeMap::new(), queue: Vec::new() }
    }

    /// Forgets what an earlier slave cached: nobody knows whether it is whole.
    pub fn clear(&mut self, cx: &mut Ctx<Self>) {
        // Removed, it could be made again by somebody else.
        if self.options.cache_is_prepared {
            return;
        }
        let removed = cx.disk().remove(&self.options.cache_dir);
        cx.defer(removed, |_, removed, cx| {
            if let Err(error) = removed {
                slog::warn!(cx.log(), "cannot empty the fetcher's cache"; "reason" => %error);
            }
        });
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
            self.running.insert(request.container.clone(), Fetching::default());
            self.begin(Waiting { request, reply }, cx);
        }
        let reason = "the fetcher is gone".to_owned();
        async move { fetched.await.unwrap_or(Err(FetchError { directory, reason })) }
    }

    /// Starts the helper, or queues the fetch behind another one's download.
    fn begin(&mut self, waiting: Waiting, cx: &mut Ctx<Self>) {
        let request = &waiting.request;
        let user = request.user.map(|(uid, _)| uid.to_string());
        let actions = match self.cache.plan(user.as_deref(), &request.uris) {
            Plan::Wait => return self.queue.push(waiting),
            Plan::Go(actions) => actions,
        };
        let command = self.command(request, &actions);
        let caches = actions.iter().any(|(_, file)| file.is_some());
        let room = caches.then(|| self.make_room(request));
        let os = cx.subprocesses();
        let starting = async move {
            if let Some(room) = room {
                let made = os.spawn(room).await.map_err(|error| error.to_string())?;
                told(&made.ended.await)?;
            }
            os.spawn(command).await.map_err(|error| error.to_string())
        };
        cx.defer(starting, move |this, started, cx| this.started(waiting, started, cx));
    }

    /// How the slave makes the directory in which the request's user caches. Links and owners must be
    /// looked at in one go with what is done about them, which only a program can do.
    fn make_room(&self, request: &FetchRequest) -> Command {
        let order = self.room(request).to_json().to_string();
        let env = BTreeMap::from([(room::VARIABLE.to_owned(), order)]);
        Command {
            stdout: Output::Null,
            stderr: Output::Collect,
            die_with_parent: true,
            ..self.helper(env)
        }
    }

    fn helper(&self, mut env: BTreeMap<String, String>) -> Command {
        env.insert("PATH".to_owned(), "/usr/local/bin:/usr/bin:/bin".to_owned());
        let argv = self.options.helper.clone();
        Command {
            program: argv.first().cloned().unwrap_or_default(),
            argv,
            env,
            session: true,
            ..Command::default()
        }
    }

    fn room(&self, request: &FetchRequest) -> Room {
        Room { root: self.options.cache_dir.clone(), user: request.user }
    }

    /// Kills the helper that fetches for a container, if there is one; that fetch then fails.
    pub fn stop(&mut self, container: &ContainerId, cx: &mut Ctx<Self>) {
        if let Some(at) = self.queue.iter().position(|it| it.request.container == *container) {
            let waiting = self.queue.remove(at);
            return self.tell(waiting, Err("the fetch was stopped".to_owned()), cx);
        }
        let Some(fetching) = self.running.get_mut(container) else { return };
        fetching.stopped = true;
        if let Some(pid) = fetching.pid
            && let Err(error) = cx.subprocesses().signal(Target::Tree(pid), SIGKILL)
        {
            slog::warn!(cx.log(), "cannot stop a fetch";
                "container" => %container, "reason" => %error);
        }
    }

    fn started(&mut self, waiting: Waiting, started: Result<Child, String>, cx: &mut Ctx<Self>) {
        let child = match started {
            Ok(child) => child,
            Err(reason) => return self.over(waiting, Err(reason), cx),
        };
        let container = waiting.request.container.clone();
        let fetching = self.running.entry(container.clone()).or_default();
        fetching.pid = Some(child.pid);
        if fetching.stopped {
            self.stop(&container, cx);
        }
        cx.defer(child.ended, move |this, ended, cx| this.ended(waiting, &ended, cx));
    }

    fn ended(&mut self, waiting: Waiting, ended: &Ended, cx: &mut Ctx<Self>) {
        let stopped = self.running.get(&waiting.request.container).is_some_and(|it| it.stopped);
        let outcome = match ended.status {
            Some(status) if status.success() => Ok(()),
            _ if stopped => Err("the fetch was stopped".to_owned()),
            _ => Err("the fetcher failed, see stderr in the sandbox".to_owned()),
        };
        self.over(waiting, outcome, cx);
    }

    /// The helper is done: the cache's books follow what is on disk.
    fn over(&mut self, waiting: Waiting, outcome: Result<(), String>, cx: &mut Ctx<Self>) {
        let directory = self.room(&waiting.request).directory();
        let caches = waiting.request.uris.iter().any(|uri| uri.cache.unwrap_or(false));
        if !caches {
            return self.tell(waiting, outcome, cx);
        }
        let listed = cx.disk().list(&directory);
        cx.defer(listed, move |this, listed, cx| {
            let files = listed.unwrap_or_default();
            let size = |name: &str| {
                let found = files.iter().find(|file| file.path.ends_with(name));
                found.map(|file| file.size)
            };
            let request = &waiting.request;
            let user = request.user.map(|(uid, _)| uid.to_string());
            for (user, file) in this.cache.over(user.as_deref(), &request.uris, size) {
                let directory = user.unwrap_or_else(|| "slave".to_owned());
                let path = this.options.cache_dir.join(directory).join(file);
                // What cannot be removed is removed at the next start.
                cx.defer(cx.disk().remove(&path), |_, _, _| {});
            }
            this.tell(waiting, outcome, cx);
            for waiting in std::mem::take(&mut this.queue) {
                this.begin(waiting, cx);
            }
        });
    }

    fn tell(&mut self, waiting: Waiting, outcome: Result<(), String>, cx: &Ctx<Self>) {
        let Waiting { request, reply } = waiting;
        self.running.remove(&request.container);
        let name = if outcome.is_ok() { "succeeded" } else { "failed" };
        let metric = format!("containerizer/fetcher/task_fetches_{name}");
        cx.node().metrics().counter(&metric).increment();
        let directory = request.directory;
        // Who asked may be gone; what was fetched stays all the same.
        let _ = reply.send(outcome.map_err(|reason| FetchError { directory, reason }));
    }

    fn command(&self, request: &FetchRequest, actions: &[(Action, Option<String>)]) -> Command {
        let item = |(uri, (action, file)): (&Uri, &(Action, Option<String>))| fetcher_info::Item {
            uri: uri.clone(),
            action: (*action).into(),
            cache_filename: file.clone(),
        };
        let stall = i64::try_from(self.options.stall_timeout.as_nanos()).unwrap_or(i64::MAX);
        let info = FetcherInfo {
            sandbox_directory: request.directory.display().to_string(),
            cache_directory: Some(self.room(request).directory().display().to_string()),
            items: request.uris.iter().zip(actions).map(item).collect(),
            frameworks_home: self.options.frameworks_home.clone(),
            stall_timeout: Some(DurationInfo { nanoseconds: stall }),
            ..FetcherInfo::default()
        };
        let json = protos::json::to_json(&info).to_string();
        let mut env = BTreeMap::from([("MESOS_FETCHER_INFO".to_owned(), json)]);
        env.extend(self.options.hadoop_home.clone().map(|home| ("HADOOP_HOME".to_owned(), home)));
        Command {
            cwd: Some(request.directory.clone()),
            stdout: Output::File(request.directory.join("stdout")),
            stderr: Output::File(request.directory.join("stderr")),
            user: request.user,
            ..self.helper(env)
        }
    }
}

/// What a helper said at its end, if that was none of success.
fn told(ended: &Ended) -> Result<(), String> {
    if ended.status.is_some_and(|status| status.success()) {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&ended.stderr);
    let last = said.trim().lines().last().unwrap_or("the fetcher failed");
    Err(last.trim_start_matches("mesos-fetcher: ").to_owned())
}
