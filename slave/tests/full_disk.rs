//! Update logs on a disk that is really full: what did not fit leaves nothing behind. Needs root.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests")]

use std::fs;
use std::io::Write;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use libprocess::Handle;
use libprocess::real::{Config, run, start};
use protos::ids::{FrameworkId, TaskId};
use protos::mesos::TaskState;
use protos::mesos::internal::{StatusUpdate, StatusUpdateRecord, status_update_record};
use protos::status;
use slave::checkpoint;
use slave::status_updates::{Acknowledged, StatusUpdateManager};

use status_update_record::Type::{Ack, Update};

/// The host gives room by pages.
const PAGE: usize = 4096;
/// What is left of the last page of a log: not enough for the next record.
const LEFT: usize = 6;

/// A small file system of the test's own, with a log on it.
struct Small {
    directory: tempfile::TempDir,
    manager: Handle<StatusUpdateManager>,
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.directory.path()).status();
    }
}

fn succeeds(program: &str, args: &[&str]) {
    assert!(Command::new(program).args(args).status().unwrap().success(), "{program} {args:?}");
}

impl Small {
    async fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().display().to_string();
        succeeds("mount", &["-t", "tmpfs", "-o", "size=256k,mode=755", "tmpfs", &path]);
        let config = Config { ip: Ipv4Addr::LOCALHOST, ..Config::default() };
        let node = start(config).await.unwrap();
        let manager = StatusUpdateManager::new(Arc::new(|_| {}));
        let manager = node.spawn_numbered("status-update-manager", manager);
        Self { directory, manager }
    }

    fn log(&self) -> PathBuf {
        self.directory.path().join("task.updates")
    }

    fn filler(&self) -> PathBuf {
        self.directory.path().join("filler")
    }

    fn fill(&self) {
        let mut filler = fs::File::create(self.filler()).unwrap();
        while filler.write_all(&[0; PAGE]).is_ok() {}
    }

    /// Stores an update; says why not, if not.
    async fn update(&self, update: StatusUpdate) -> Result<(), String> {
        let log = self.log();
        let stored = self.manager.ask_later(move |it, cx| it.update(update, Some(log), cx));
        stored.await.unwrap().unwrap().map_err(|error| error.to_string())
    }

    async fn acknowledge(&self, uuid: u8) -> Acknowledged {
        let (framework, task) = (FrameworkId::new("F"), TaskId::new("t"));
        let uuid = vec![uuid; 16].into();
        let done = self.manager.ask_later(move |it, cx| it.acknowledge(framework, task, uuid, cx));
        done.await.unwrap().unwrap()
    }

    fn length(&self) -> usize {
        fs::read(self.log()).unwrap().len()
    }

    /// What is logged, nothing of which is torn.
    fn records(&self) -> Vec<status_update_record::Type> {
        let bytes = fs::read(self.log()).unwrap();
        let (records, used) = checkpoint::decode_all::<StatusUpdateRecord>(&bytes).unwrap();
        assert_eq!(used, bytes.len());
        records.iter().map(StatusUpdateRecord::r#type).collect()
    }
}

fn update(state: TaskState, uuid: u8) -> StatusUpdate {
    status::of(&TaskId::new("t"), state, 0.0).uuid([uuid; 16]).update(&FrameworkId::new("F"))
}

/// An update whose record fills all of a page but `LEFT`.
fn large() -> StatusUpdate {
    let sized = |size: usize| {
        let mut update = update(TaskState::TaskRunning, 1);
        update.status.data = Some(vec![0; size].into());
        update
    };
    let length = |update: &StatusUpdate| {
        let update = Some(update.clone());
        let r#type = status_update_record::Type::Update.into();
        checkpoint::encode(&StatusUpdateRecord { r#type, update, uuid: None }).len()
    };
    (0..PAGE).map(sized).find(|update| length(update) == PAGE - LEFT).unwrap()
}

#[test]
fn record_that_does_not_fit_on_a_full_disk_leaves_no_piece_behind() {
    run(async {
        let small = Small::start().await;
        small.update(large()).await.unwrap();
        small.fill();
        assert_eq!(small.acknowledge(1).await, Acknowledged::Ignored);
        let reason = small.update(update(TaskState::TaskFinished, 2)).await.unwrap_err();
        assert!(reason.contains("No space left on device"), "{reason}");
        assert_eq!(small.records(), [Update]);
        fs::remove_file(small.filler()).unwrap();
        // Both are told again.
        assert_eq!(small.acknowledge(1).await, Acknowledged::Advanced);
        small.update(update(TaskState::TaskFinished, 2)).await.unwrap();
        assert_eq!(small.acknowledge(2).await, Acknowledged::Closed);
        assert_eq!(small.records(), [Update, Ack, Update, Ack]);
    });
}

#[test]
fn log_that_cannot_be_cut_takes_nothing_more_until_it_can() {
    run(async {
        let small = Small::start().await;
        small.update(large()).await.unwrap();
        let log = small.log().display().to_string();
        small.fill();
        // May be appended to only.
        succeeds("chattr", &["+a", &log]);
        assert_eq!(small.acknowledge(1).await, Acknowledged::Ignored);
        assert_eq!(small.length(), PAGE);
        fs::remove_file(small.filler()).unwrap();
        assert_eq!(small.acknowledge(1).await, Acknowledged::Ignored);
        let reason = small.update(update(TaskState::TaskFinished, 2)).await.unwrap_err();
        assert!(reason.contains("cannot be cut off"), "{reason}");
        assert_eq!(small.length(), PAGE);
        succeeds("chattr", &["-a", &log]);
        assert_eq!(small.acknowledge(1).await, Acknowledged::Advanced);
        assert_eq!(small.records(), [Update, Ack]);
    });
}
