//! Reserved resources and volumes on disk: in two steps, so that a slave that ends between them does
//! the second when it comes back.

use futures::future::{join_all, try_join_all};
use libprocess::Ctx;
use libprocess::disk::DiskError;
use protos::mesos;

use super::Slave;
use crate::calls::resources::{ResourceChange, change};
use crate::paths;

impl Slave {
    pub(super) fn change_resources(&mut self, change: ResourceChange, cx: &mut Ctx<Self>) {
        let (disk, work_dir) = (cx.disk(), self.state.config.work_dir.clone());
        let target = paths::resources_target(&work_dir);
        let written = disk.write(&target, change.checkpoint.clone());
        let changed = async move {
            written.await?;
            try_join_all(change.make.iter().map(|path| disk.create_dir(path))).await?;
            for mount in &change.empty {
                for entry in disk.list(mount).await? {
                    disk.remove(&entry.path).await?;
                }
            }
            join_all(change.remove.iter().map(|path| disk.remove(path))).await;
            disk.write(&paths::resources(&work_dir), change.checkpoint).await?;
            disk.remove(&target).await
        };
        cx.defer(changed, |slave, changed: Result<(), DiskError>, cx| {
            if let Err(error) = changed {
                slave.exit(1, format!("cannot write a checkpoint: {error}"), cx);
            }
        });
    }

    /// Takes over what an earlier run remembered; what it was about to do is done.
    pub(super) fn recover_resources(
        &mut self,
        known: Vec<mesos::Resource>,
        target: Option<Vec<mesos::Resource>>,
        cx: &mut Ctx<Self>,
    ) {
        let wanted = target.clone().unwrap_or_else(|| known.clone());
        if target.is_some() {
            let change = change(&self.state.config.work_dir, &known, &wanted);
            self.change_resources(change, cx);
        }
        self.state.checkpointed = wanted;
    }
}
