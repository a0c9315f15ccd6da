//! `disk/du`: how much a container's sandbox and persistent volumes hold, by the tool `du`; the end
//! of containers beyond their disk.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use libprocess::subprocess::{Command, Output, Subprocesses};
use libprocess::{Ctx, Process, Routes};
use protos::ids::ContainerId;
use protos::mesos::task_status::Reason;
use protos::mesos::{DiskStatistics, Resource, ResourceStatistics};
use protos::size::ByteSize;

use crate::front::{IsolatorProcess, Later, Limited, now, statistics};
use crate::launch::{LaunchInfo, Limitation};
use crate::options::Options;
use crate::setup::{Allocation, ContainerSetup, Recovered};
use crate::volume::persistent;

/// What is known of one path.
#[derive(Debug, Clone, PartialEq)]
struct Watched {
    /// Bytes that it may hold.
    quota: u64,
    /// The resources that say so.
    resources: Vec<Resource>,
    /// Bytes that it held when last looked at.
    used: Option<u64>,
}

struct Container {
    directory: PathBuf,
    paths: BTreeMap<PathBuf, Watched>,
    /// Persistent volumes, by where they are seen in the sandbox: they do not count there.
    volumes: BTreeMap<PathBuf, PathBuf>,
    limited: Option<Limited>,
    limitation: Option<Limitation>,
}

/// The isolator's actor.
pub struct DiskDu {
    work_dir: PathBuf,
    interval: Duration,
    enforces: bool,
    containers: BTreeMap<ContainerId, Container>,
}

impl DiskDu {
    /// As the flags say.
    pub fn new(options: &Options) -> Self {
        Self {
            work_dir: options.work_dir.clone(),
            interval: options.container_disk_watch_interval,
            enforces: options.enforce_container_disk_quota,
            containers: BTreeMap::new(),
        }
    }

    fn add(&mut self, id: &ContainerId, setup: &ContainerSetup, cx: &mut Ctx<Self>) {
        let container = Container {
            directory: setup.directory.clone(),
            paths: BTreeMap::new(),
            volumes: BTreeMap::new(),
            limited: None,
            limitation: None,
        };
        self.containers.insert(id.clone(), container);
        self.change(id, &setup.allocation);
        self.look(id, cx);
    }

    fn change(&mut self, id: &ContainerId, allocation: &Allocation) {
        let Some(container) = self.containers.get_mut(id) else { return };
        let mut paths = quotas(&self.work_dir, &container.directory, allocation);
        for (path, watched) in &mut paths {
            watched.used = container.paths.get(path).and_then(|known| known.used);
        }
        container.paths = paths;
        let volumes = ContainerSetup::from(allocation.clone()).persistent_volumes().into_iter();
        let sources = volumes.filter_map(|(resource, volume)| {
            let source = persistent::host_path(&self.work_dir, &resource)?;
            Some((PathBuf::from(volume.container_path), source))
        });
        container.volumes = sources.filter(|(path, _)| path.is_relative()).collect();
    }

    /// Measures all paths of a container, one after the other, and comes back after the interval.
    fn look(&mut self, id: &ContainerId, cx: &mut Ctx<Self>) {
        let Some(container) = self.containers.get(id) else { return };
        let subprocesses = cx.subprocesses();
        let mut commands = Vec::new();
        for path in container.paths.keys() {
            let is_sandbox = *path == container.directory;
            let excluded = if is_sandbox { mounted(path, &container.volumes) } else { Vec::new() };
            commands.push((path.clone(), command(path, &excluded)));
        }
        let measured = async move {
            let mut sizes = Vec::new();
            for (path, command) in commands {
                sizes.push((path, run(subprocesses.clone(), command).await));
            }
            sizes
        };
        let id = id.clone();
        cx.defer(measured, move |this, sizes, cx| {
            this.measured(&id, sizes, cx);
            cx.after(this.interval, move |this, cx| this.look(&id, cx));
        });
    }

    fn measured(
        &mut self,
        id: &ContainerId,
        sizes: Vec<(PathBuf, Result<u64, String>)>,
        cx: &Ctx<Self>,
    ) {
        let Some(container) = self.containers.get_mut(id) else { return };
        for (path, size) in sizes {
            let Some(watched) = container.paths.get_mut(&path) else { continue };
            match size {
                Ok(size) => watched.used = Some(size),
                Err(reason) => {
                    slog::warn!(cx.log(), "disk usage is not known";
                        "container" => %id, "path" => %path.display(), "reason" => reason);
                    continue;
                }
            }
            if self.enforces
                && let Some(limitation) = exceeded(&path, watched)
            {
                match container.limited.take() {
                    // Nobody is interested any more when the receiver is gone.
                    Some(limited) => drop(limited.send(limitation)),
                    None => container.limitation = Some(limitation),
                }
            }
        }
    }
}

/// The paths of a container and what each may hold: plain disk is for the sandbox, each persistent
/// volume has its own.
fn quotas(work_dir: &Path, sandbox: &Path, allocation: &Allocation) -> BTreeMap<PathBuf, Watched> {
    let mut paths: BTreeMap<PathBuf, Watched> = BTreeMap::new();
    for resource in allocation.resources.to_wire() {
        let disk = resource.disk.as_ref();
        let path = match disk {
            _ if resource.name != "disk" => continue,
            Some(disk) if disk.persistence.is_some() => {
                match persistent::host_path(work_dir, &resource) {
                    Some(path) => path,
                    None => continue,
                }
            }
            // A whole disk that holds no volume is nothing that a container fills.
            Some(disk) if disk.source.is_some() => continue,
            _ => sandbox.to_owned(),
        };
        let megabytes = resource.scalar.map_or(0.0, |scalar| scalar.value);
        let watched =
            paths.entry(path).or_insert(Watched { quota: 0, resources: Vec::new(), used: None });
        watched.quota += (megabytes * 1_048_576.0) as u64;
        watched.resources.push(resource);
    }
    paths
}

/// Why a container must end, if it holds too much.
fn exceeded(path: &Path, watched: &Watched) -> Option<Limitation> {
    let used = watched.used.filter(|used| *used > watched.quota)?;
    let (used, quota) = (ByteSize(used), ByteSize(watched.quota));
    let path = path.display();
    Some(Limitation {
        resources: watched.resources.clone(),
        message: Some(format!("Disk usage ({used}) exceeds quota ({quota}) of '{path}'")),
        reason: Some(Reason::ContainerLimitationDisk as i32),
    })
}

/// Where volumes are mounted in a sandbox at this moment. Nothing else may stay uncounted, whatever
/// the container has put in their places. (A link to one does not lead `du` astray.)
fn mounted(sandbox: &Path, volumes: &BTreeMap<PathBuf, PathBuf>) -> Vec<PathBuf> {
    let is_volume = |path: &Path, source: &Path| {
        let (Ok(there), Ok(volume)) = (path.symlink_metadata(), source.metadata()) else {
            return false;
        };
        there.is_dir() && (there.dev(), there.ino()) == (volume.dev(), volume.ino())
    };
    let places = volumes.iter().map(|(path, source)| (sandbox.join(path), source));
    places.filter(|(path, source)| is_volume(path, source)).map(|(path, _)| path).collect()
}

/// A path as a pattern that matches nothing else.
fn pattern(path: &Path) -> String {
    let mut pattern = String::new();
    for character in path.display().to_string().chars() {
        if matches!(character, '*' | '?' | '[' | ']' | '\\') {
            pattern.push('\\');
        }
        pattern.push(character);
    }
    pattern
}

fn command(path: &Path, excluded: &[PathBuf]) -> Command {
    let mut argv: Vec<String> = ["du", "-k", "-s"].map(str::to_owned).into();
    argv.extend(excluded.iter().map(|inner| format!("--exclude={}", pattern(inner))));
    argv.extend(["--".to_owned(), path.display().to_string()]);
    Command {
        program: "du".to_owned(),
        argv,
        env: BTreeMap::from([("PATH".to_owned(), "/usr/local/bin:/usr/bin:/bin".to_owned())]),
        stdout: Output::Collect,
        stderr: Output::Null,
        die_with_parent: true,
        ..Command::default()
    }
}

async fn run(subprocesses: Arc<dyn Subprocesses>, command: Command) -> Result<u64, String> {
    let child = subprocesses.spawn(command).await.map_err(|error| error.to_string())?;
    let ended = child.ended.await;
    // Files that go while du looks make it fail, but it still says what it found.
    kilobytes(&String::from_utf8_lossy(&ended.stdout))
        .map(|kilobytes| kilobytes * 1024)
        .ok_or_else(|| format!("du ended with {:?} and told nothing", ended.status))
}

/// The number of the last line, which is the sum.
fn kilobytes(text: &str) -> Option<u64> {
    text.lines().last()?.split_whitespace().next()?.parse().ok()
}

impl Process for DiskDu {
    fn routes(_: &mut Routes<Self>) {}
}

impl IsolatorProcess for DiskDu {
    const NAME: &'static str = "disk/du";

    fn recover(&mut self, container: &Recovered, cx: &mut Ctx<Self>) -> Result<(), String> {
        self.add(&container.id, &container.setup, cx);
        Ok(())
    }

    fn prepare(
        &mut self,
        container: &ContainerId,
        setup: &Arc<ContainerSetup>,
        cx: &mut Ctx<Self>,
    ) -> Later<LaunchInfo> {
        if self.containers.contains_key(container) {
            return now(Err("it is prepared already".to_owned()));
        }
        self.add(container, setup, cx);
        now(Ok(LaunchInfo::default()))
    }

    fn watch(&mut self, container: &ContainerId, limited: Limited, _: &mut Ctx<Self>) {
        let Some(container) = self.containers.get_mut(container) else { return };
        match container.limitation.take() {
            Some(limitation) => drop(limited.send(limitation)),
            None => container.limited = Some(limited),
        }
    }

    fn update(
        &mut self,
        container: &ContainerId,
        allocation: &Allocation,
        _: &mut Ctx<Self>,
    ) -> Later<()> {
        self.change(container, allocation);
        now(Ok(()))
    }

    fn usage(
        &mut self,
        container: &ContainerId,
        cx: &mut Ctx<Self>,
    ) -> Result<ResourceStatistics, String> {
        let known = self.containers.get(container).ok_or("it is not prepared")?;
        let mut used = statistics(cx);
        for (path, watched) in &known.paths {
            if *path == known.directory {
                used.disk_limit_bytes = Some(watched.quota);
                used.disk_used_bytes = watched.used;
            }
            let disk = watched.resources.first().and_then(|resource| resource.disk.as_ref());
            used.disk_statistics.push(DiskStatistics {
                source: disk.and_then(|disk| disk.source.clone()),
                persistence: disk.and_then(|disk| disk.persistence.clone()),
                limit_bytes: Some(watched.quota),
                used_bytes: watched.used,
            });
        }
        Ok(used)
    }

    fn cleanup(&mut self, container: &ContainerId, _: &mut Ctx<Self>) -> Later<()> {
        self.containers.remove(container);
        now(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use protos::resources::Resources;

    use super::*;

    fn watched(quota: u64, used: u64) -> Watched {
        Watched { quota, resources: Vec::new(), used: Some(used) }
    }

    #[test]
    fn du_quota_is_exceeded_only_beyond_it() {
        let path = Path::new("/sandbox");
        assert_eq!(exceeded(path, &watched(1024, 1024)), None);
        let limitation = exceeded(path, &watched(1 << 20, 3 << 20)).unwrap();
        assert_eq!(limitation.message(), "Disk usage (3MB) exceeds quota (1MB) of '/sandbox'");
        assert_eq!(limitation.reason(), Reason::ContainerLimitationDisk);
    }

    #[test]
    fn du_quotas_are_by_path() {
        let text = r#"[{"name":"disk","type":"SCALAR","scalar":{"value":10}},
            {"name":"cpus","type":"SCALAR","scalar":{"value":1}},
            {"name":"disk","type":"SCALAR","scalar":{"value":5},
             "reservations":[{"type":"STATIC","role":"r"}],
             "disk":{"persistence":{"id":"v"},"volume":{"container_path":"data","mode":"RW"}}}]"#;
        let resources = Resources::parse(text, "*").unwrap();
        let paths = quotas(Path::new("/work"), Path::new("/sandbox"), &resources.into());
        let quotas: Vec<_> =
            paths.iter().map(|(path, watched)| (path.to_str().unwrap(), watched.quota)).collect();
        assert_eq!(quotas, [("/sandbox", 10 << 20), ("/work/volumes/roles/r/v", 5 << 20)]);
    }

    #[test]
    fn du_output_is_read_and_volumes_are_left_out() {
        assert_eq!(kilobytes("12\t/a\n"), Some(12));
        assert_eq!(kilobytes("du: nothing\n"), None);
        assert_eq!(kilobytes(""), None);
        let command = command(Path::new("/s"), &["/s/data".into(), r"/s/a*[b]?\c".into()]);
        let excluded = ["--exclude=/s/data", r"--exclude=/s/a\*\[b\]\?\\c"];
        assert_eq!(command.argv, [&["du", "-k", "-s"], &excluded[..], &["--", "/s"]].concat());
    }

    #[test]
    fn du_leaves_out_volumes_and_nothing_that_is_in_their_place() {
        let place = tempfile::tempdir().unwrap();
        let (sandbox, source) = (place.path().join("s"), place.path().join("volume"));
        std::fs::create_dir_all(sandbox.join("data")).unwrap();
        let volumes = BTreeMap::from([("data".into(), source.clone())]);
        assert_eq!(mounted(&sandbox, &volumes), Vec::<PathBuf>::new());
        std::fs::create_dir(&source).unwrap();
        assert_eq!(mounted(&sandbox, &volumes), Vec::<PathBuf>::new());
        // What is mounted there is the volume itself.
        let volumes = BTreeMap::from([("data".into(), sandbox.join("data"))]);
        assert_eq!(mounted(&sandbox, &volumes), [sandbox.join("data")]);
    }
}
