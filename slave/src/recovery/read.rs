//! Walks the checkpoints of the newest slave.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use libprocess::Pid;
use libprocess::disk::Disk;
use prost::Message;
use protos::ids::{ContainerId, ExecutorId, FrameworkId, TaskId};
use protos::mesos;
use protos::mesos::internal::{StatusUpdateRecord, status_update_record};

use super::{FoundExecutor, FoundFramework, FoundTask, Recovered};
use crate::{checkpoint, paths};

/// Where the kernel tells of the boot.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";
/// Characters of a malformed text that are told.
const SHOWN: usize = 64;

/// Reads the newest slave's checkpoints. A fresh working directory is no error, nor is anything that
/// a crash between two checkpoints leaves: a file that is not there yet, a last record that is torn.
///
/// # Errors
/// Text naming what cannot be read; unless `strict`, that is left out instead.
pub(crate) async fn recover(
    disk: Arc<dyn Disk>,
    work_dir: PathBuf,
    strict: bool,
) -> Result<Recovered, String> {
    let mut reader = Reader { disk, strict, errors: Vec::new() };
    let mut found = reader.slave(&work_dir).await?;
    found.errors = reader.errors;
    Ok(found)
}

struct Reader {
    disk: Arc<dyn Disk>,
    strict: bool,
    errors: Vec<String>,
}

impl Reader {
    /// An error, or nothing when recovery is not strict.
    fn objection<T>(&mut self, error: impl std::fmt::Display) -> Result<Option<T>, String> {
        if self.strict {
            return Err(error.to_string());
        }
        self.errors.push(error.to_string());
        Ok(None)
    }

    async fn bytes(&mut self, path: &Path) -> Result<Option<bytes::Bytes>, String> {
        match self.disk.read(path).await {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => self.objection(error),
        }
    }

    async fn record<M: Message + Default>(&mut self, path: &Path) -> Result<Option<M>, String> {
        let Some(bytes) = self.bytes(path).await? else { return Ok(None) };
        match checkpoint::decode_one(&bytes) {
            Ok(message) => Ok(Some(message)),
            Err(error) => self.objection(format!("{}: {error}", path.display())),
        }
    }

    async fn resources(&mut self, path: &Path) -> Result<Option<Vec<mesos::Resource>>, String> {
        let Some(bytes) = self.bytes(path).await? else { return Ok(None) };
        match checkpoint::decode_all(&bytes) {
            Ok((resources, used)) if used == bytes.len() => Ok(Some(resources)),
            Ok((_, used)) => self
                .objection(format!("{}: it ends within a record at byte {used}", path.display())),
            Err(error) => self.objection(format!("{}: {error}", path.display())),
        }
    }

    async fn text(&mut self, path: &Path) -> Result<Option<String>, String> {
        let bytes = self.bytes(path).await?;
        Ok(bytes.map(|bytes| String::from_utf8_lossy(&bytes).trim().to_owned()))
    }

    /// A text that has a form of its own; an empty one is none.
    async fn parsed<T: std::str::FromStr>(&mut self, path: &Path) -> Result<Option<T>, String> {
        match self.text(path).await? {
            Some(text) if !text.is_empty() => match text.parse() {
                Ok(value) => Ok(Some(value)),
                Err(_) => self.objection(malformed(path, &text)),
            },
            _ => Ok(None),
        }
    }

    /// The directory that a link leads to; none when it leads nowhere.
    async fn latest(&mut self, link: &Path) -> Result<Option<PathBuf>, String> {
        let target = match self.disk.canonicalize(link).await {
            Ok(target) => target,
            Err(error) if error.is_not_found() => return Ok(None),
            Err(error) => return self.objection(error),
        };
        match self.disk.stat(&target).await {
            Ok(found) if found.is_dir() => Ok(Some(target)),
            Ok(_) => self.objection(format!("{}: it leads to no directory", link.display())),
            Err(error) => self.objection(error),
        }
    }

    /// The directories in a directory; none when it is missing.
    async fn directories(&mut self, path: &Path) -> Result<Vec<PathBuf>, String> {
        match self.disk.list(path).await {
            Ok(found) => {
                let directories = found.into_iter().filter(|entry| entry.is_dir());
                Ok(directories.map(|entry| entry.path).collect())
            }
            Err(error) if error.is_not_found() => Ok(Vec::new()),
            Err(error) => self.objection(error).map(Option::unwrap_or_default),
        }
    }

    async fn slave(&mut self, work_dir: &Path) -> Result<Recovered, String> {
        let boot_id = self.text(Path::new(BOOT_ID)).await.unwrap_or_default();
        let boot_id = boot_id.filter(|id| !id.is_empty());
        let mut found = Recovered {
            old_boot_id: self.boot_id(&paths::boot_id(work_dir), boot_id.as_deref()).await?,
            boot_id,
            resources: self.resources(&paths::resources(work_dir)).await?.unwrap_or_default(),
            resources_target: self.resources(&paths::resources_target(work_dir)).await?,
            ..Recovered::default()
        };
        let Some(latest) = self.latest(&paths::latest_slave(work_dir)).await? else {
            return Ok(found);
        };
        // Without it there is no id, and nothing of that slave is of use.
        found.info = self.record(&latest.join("slave.info")).await?;
        if found.info.is_some() {
            for directory in self.directories(&latest.join("frameworks")).await? {
                found.frameworks.extend(self.framework(&directory).await?);
            }
        }
        Ok(found)
    }

    /// The boot that was written down. What is no boot's id must not pass for that of another boot, in
    /// which all that runs would be taken for gone.
    async fn boot_id(&mut self, path: &Path, now: Option<&str>) -> Result<Option<String>, String> {
        match self.text(path).await? {
            Some(text) if text.is_empty() => Ok(None),
            Some(text) if now != Some(&text) && uuid::Uuid::parse_str(&text).is_err() => {
                self.objection(malformed(path, &text))
            }
            text => Ok(text),
        }
    }

    async fn framework(&mut self, path: &Path) -> Result<Option<FoundFramework>, String> {
        let Some(info) = self.record::<mesos::FrameworkInfo>(&path.join("framework.info")).await?
        else {
            return Ok(None);
        };
        let pid = self.parsed::<Pid>(&path.join("framework.pid")).await?;
        let mut executors = Vec::new();
        for directory in self.directories(&path.join("executors")).await? {
            executors.extend(self.executor(&directory).await?);
        }
        let id = FrameworkId::new(name(path));
        Ok(Some(FoundFramework { id, info, pid: pid.filter(Pid::is_complete), executors }))
    }

    async fn executor(&mut self, path: &Path) -> Result<Option<FoundExecutor>, String> {
        let Some(info) = self.record::<mesos::ExecutorInfo>(&path.join("executor.info")).await?
        else {
            return Ok(None);
        };
        let marker = self.text(&path.join("executor_generated_for_command_task")).await?;
        // The slave may have ended before the run had a sandbox.
        let Some(run) = self.latest(&path.join("runs/latest")).await? else { return Ok(None) };
        let forked = self.parsed::<u32>(&run.join("pids/forked.pid")).await?;
        let pid = self.parsed::<Pid>(&run.join("pids/libprocess.pid")).await?;
        let mut tasks = Vec::new();
        for directory in self.directories(&run.join("tasks")).await? {
            tasks.extend(self.task(&directory).await?);
        }
        Ok(Some(FoundExecutor {
            id: ExecutorId::new(name(path)),
            info,
            generated: marker.as_deref() == Some("1"),
            container: ContainerId::new(name(&run)),
            over: self.disk.stat(&paths::sentinel(&run)).await.is_ok(),
            forked,
            pid,
            tasks,
        }))
    }

    async fn task(&mut self, path: &Path) -> Result<Option<FoundTask>, String> {
        let Some(task) = self.record::<mesos::Task>(&path.join("task.info")).await? else {
            return Ok(None);
        };
        let task = mesos::Task { task_id: TaskId::new(name(path)).wire(), ..task };
        let mut found = FoundTask { task, updates: Vec::new(), acknowledged: Vec::new() };
        let path = path.join("task.updates");
        let Some(bytes) = self.bytes(&path).await? else { return Ok(Some(found)) };
        let (records, sound, spoilt) = checkpoint::decode_sound::<StatusUpdateRecord>(&bytes);
        if let Some(error) = spoilt {
            self.objection::<()>(format!("{}: {error}", path.display()))?;
        }
        if sound < bytes.len() {
            // The slave ended amid an append, or the file is spoilt from there on; what follows must
            // not hang on that piece.
            self.disk.truncate(&path, sound as u64).await.map_err(|error| error.to_string())?;
        }
        for record in records {
            match record.r#type() {
                status_update_record::Type::Update => found.updates.extend(record.update),
                status_update_record::Type::Ack => found.acknowledged.extend(record.uuid),
            }
        }
        Ok(Some(found))
    }
}

/// A text that has not the form it should have, on one line however it looks.
fn malformed(path: &Path, text: &str) -> String {
    let shown: String = text.chars().take(SHOWN).collect();
    format!("{}: '{}' is malformed", path.display(), shown.escape_debug())
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
