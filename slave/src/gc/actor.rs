//! The process `agent-garbage-collector(1)`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use libprocess::files::Files;
use libprocess::{Ctx, Handle, Process, Routes, Time};

use super::schedule::{Schedule, max_age};

/// How old what is over may become.
#[derive(Debug, Clone)]
pub struct Limits {
    /// The directory whose file system is watched.
    pub work_dir: PathBuf,
    /// Age at which anything goes (flag `gc_delay`).
    pub delay: Duration,
    /// Share of the disk that is to stay free, from 0 to 1 (flag `gc_disk_headroom`).
    pub headroom: f64,
    /// Between two looks at the disk (flag `disk_watch_interval`).
    pub watch: Duration,
}

/// Removes what is over and old.
pub struct GarbageCollector {
    limits: Limits,
    schedule: Schedule,
    /// What the last look at the disk allowed.
    max_age: Duration,
    /// Paths that are being removed.
    removing: usize,
    /// Who shows sandboxes.
    files: Option<Handle<Files>>,
}

impl Process for GarbageCollector {
    fn routes(_: &mut Routes<Self>) {}

    fn initialize(&mut self, cx: &mut Ctx<Self>) {
        let metrics = cx.node().metrics();
        for name in ["gc/path_removals_failed", "gc/path_removals_succeeded"] {
            // They show from the start, not from their first event.
            metrics.counter(name);
        }
        let handle = cx.handle();
        metrics.gauge("gc/path_removals_pending", &handle, |gc: &Self| {
            (gc.schedule.len() + gc.removing) as f64
        });
        metrics.gauge("slave/executor_directory_max_allowed_age_secs", &handle, |gc: &Self| {
            gc.max_age.as_secs_f64()
        });
        self.watch(cx);
    }
}

impl GarbageCollector {
    /// A collector that has yet to be spawned.
    pub fn new(limits: Limits, files: Option<Handle<Files>>) -> Self {
        let max_age = limits.delay;
        Self { limits, schedule: Schedule::default(), max_age, removing: 0, files }
    }

    /// Has paths removed when they are old: since when has nothing changed in them?
    pub fn collect(&mut self, paths: impl IntoIterator<Item = (PathBuf, Time)>) {
        for (path, since) in paths {
            self.schedule.add(path, since);
        }
    }

    /// Keeps paths that are used again.
    pub fn keep(&mut self, paths: &[PathBuf]) {
        for path in paths {
            self.schedule.keep(path);
        }
    }

    fn watch(&mut self, cx: &mut Ctx<Self>) {
        let space = cx.disk().space(&self.limits.work_dir);
        cx.defer(space, |gc, space, cx| {
            match space {
                Ok((total, available)) if total > 0 => {
                    let usage = 1.0 - available as f64 / total as f64;
                    gc.max_age = max_age(gc.limits.delay, gc.limits.headroom, usage);
                }
                Ok(_) => {}
                // Before the first checkpoint there is no such directory.
                Err(error) if error.is_not_found() => {}
                Err(error) => {
                    slog::warn!(cx.log(), "cannot look at the disk"; "reason" => %error);
                }
            }
            gc.prune(cx);
        });
        cx.after(self.limits.watch, Self::watch);
    }

    fn prune(&mut self, cx: &mut Ctx<Self>) {
        for path in self.schedule.due(cx.now(), self.max_age) {
            let shown = path.display().to_string();
            if let Some(mount) = mounted(&path) {
                // What is in a volume that is mounted there would go as well.
                slog::warn!(cx.log(), "not removed: something is mounted there";
                    "path" => &shown, "mount" => %mount.display());
                cx.node().metrics().counter("gc/path_removals_failed").increment();
                self.schedule.add(path, cx.now());
                continue;
            }
            let removed = cx.disk().remove(&path);
            self.removing += 1;
            cx.defer(removed, move |gc, removed, cx| {
                gc.removing -= 1;
                let metrics = cx.node().metrics();
                match removed {
                    Ok(()) => {
                        slog::info!(cx.log(), "removed"; "path" => &shown);
                        if let Some(files) = &gc.files {
                            files.tell(move |files, _| files.detach(&shown));
                        }
                        metrics.counter("gc/path_removals_succeeded").increment();
                    }
                    Err(error) => {
                        slog::warn!(cx.log(), "cannot remove"; "reason" => %error);
                        metrics.counter("gc/path_removals_failed").increment();
                    }
                }
            });
        }
    }
}

/// A mount at or below a path; none when the host has none, or does not tell.
fn mounted(path: &Path) -> Option<PathBuf> {
    let path = path.canonicalize().ok()?;
    isolators::filesystem::mounts::below(&path).ok()?.into_iter().next()
}
