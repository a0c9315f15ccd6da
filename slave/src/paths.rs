//! Where things lie below the working directory.

use std::path::{Path, PathBuf};

use protos::ids::{ContainerId, ExecutorId, FrameworkId, SlaveId, TaskId};

/// The sandbox of one run of an executor.
pub fn sandbox(
    work_dir: &Path,
    slave: &SlaveId,
    framework: &FrameworkId,
    executor: &ExecutorId,
    container: &ContainerId,
) -> PathBuf {
    runs(work_dir, slave, framework, executor).join(container.as_str())
}

/// The runs of an executor.
pub fn runs(
    work_dir: &Path,
    slave: &SlaveId,
    framework: &FrameworkId,
    executor: &ExecutorId,
) -> PathBuf {
    executor_dir(&slaves(work_dir).join(slave.as_str()), framework, executor).join("runs")
}

/// Where slaves' sandboxes lie.
pub fn slaves(work_dir: &Path) -> PathBuf {
    work_dir.join("slaves")
}

/// Everything of a framework: its sandboxes and its checkpoints.
pub fn all_of_framework(work_dir: &Path, slave: &SlaveId, framework: &FrameworkId) -> [PathBuf; 2] {
    [slaves(work_dir), meta_slaves(work_dir)]
        .map(|slaves| slaves.join(slave.as_str()).join("frameworks").join(framework.as_str()))
}

/// Everything of an executor: its sandboxes and its checkpoints.
pub fn all_of_executor(
    work_dir: &Path,
    slave: &SlaveId,
    framework: &FrameworkId,
    executor: &ExecutorId,
) -> [PathBuf; 2] {
    [slaves(work_dir), meta_slaves(work_dir)]
        .map(|slaves| executor_dir(&slaves.join(slave.as_str()), framework, executor))
}

/// The boot of the host that the slave last ran in.
pub fn boot_id(work_dir: &Path) -> PathBuf {
    work_dir.join("meta/boot_id")
}

/// Reserved resources and persistent volumes.
pub fn resources(work_dir: &Path) -> PathBuf {
    work_dir.join("meta/resources/resources.info")
}

/// What those are about to become.
pub fn resources_target(work_dir: &Path) -> PathBuf {
    work_dir.join("meta/resources/resources.target")
}

/// Where slaves' checkpoints lie.
pub fn meta_slaves(work_dir: &Path) -> PathBuf {
    work_dir.join("meta/slaves")
}

/// The link to the newest slave's checkpoints.
pub fn latest_slave(work_dir: &Path) -> PathBuf {
    meta_slaves(work_dir).join("latest")
}

/// One slave's checkpoints.
pub fn meta_slave(work_dir: &Path, slave: &SlaveId) -> PathBuf {
    meta_slaves(work_dir).join(slave.as_str())
}

/// What the slave tells of itself.
pub fn slave_info(work_dir: &Path, slave: &SlaveId) -> PathBuf {
    meta_slave(work_dir, slave).join("slave.info")
}

/// A framework's checkpoints.
pub fn meta_framework(work_dir: &Path, slave: &SlaveId, framework: &FrameworkId) -> PathBuf {
    meta_slave(work_dir, slave).join("frameworks").join(framework.as_str())
}

/// An executor's checkpoints.
pub fn meta_executor(
    work_dir: &Path,
    slave: &SlaveId,
    framework: &FrameworkId,
    executor: &ExecutorId,
) -> PathBuf {
    executor_dir(&meta_slave(work_dir, slave), framework, executor)
}

/// The checkpoints of one run of an executor.
pub fn meta_run(
    work_dir: &Path,
    slave: &SlaveId,
    framework: &FrameworkId,
    executor: &ExecutorId,
    container: &ContainerId,
) -> PathBuf {
    meta_executor(work_dir, slave, framework, executor).join("runs").join(container.as_str())
}

/// Marks a run that is over, below its checkpoints.
pub fn sentinel(meta_run: &Path) -> PathBuf {
    meta_run.join("executor.sentinel")
}

/// A task's checkpoints below its run.
pub fn task_dir(meta_run: &Path, task: &TaskId) -> PathBuf {
    meta_run.join("tasks").join(task.as_str())
}

fn executor_dir(slave_dir: &Path, framework: &FrameworkId, executor: &ExecutorId) -> PathBuf {
    let framework = slave_dir.join("frameworks").join(framework.as_str());
    framework.join("executors").join(executor.as_str())
}
