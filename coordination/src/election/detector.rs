//! The detector that looks at a group: the member that joined first leads.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use libprocess::{Ctx, Node, Process, Routes};

use super::info;
use crate::group::{Group, GroupError, Member};
use crate::{Detector, Leader, StandaloneDetector};

/// How long after a refusal the group is asked again.
const PAUSE: Duration = Duration::from_secs(2);

/// Detects the leader of a group. While the group cannot be reached it answers what it knew last.
#[derive(Clone)]
pub struct GroupDetector {
    told: StandaloneDetector,
}

impl GroupDetector {
    /// Starts watching, under the next free `master-detector(N)`.
    pub fn start(node: &Node, group: Arc<dyn Group>) -> Self {
        let told = StandaloneDetector::default();
        let watcher = Watcher { group, told: told.clone(), members: None, leader: None };
        node.spawn_numbered("master-detector", watcher);
        Self { told }
    }
}

impl Detector for GroupDetector {
    fn detect(&self, previous: Option<Leader>) -> BoxFuture<'static, Option<Leader>> {
        self.told.detect(previous)
    }
}

struct Watcher {
    group: Arc<dyn Group>,
    told: StandaloneDetector,
    members: Option<BTreeSet<Member>>,
    /// The member that the detector was told of.
    leader: Option<Member>,
}

impl Process for Watcher {
    fn routes(_: &mut Routes<Self>) {}

    fn initialize(&mut self, cx: &mut Ctx<Self>) {
        self.watch(cx);
    }
}

impl Watcher {
    fn watch(&mut self, cx: &mut Ctx<Self>) {
        cx.defer(self.group.watch(self.members.clone()), |watcher: &mut Self, members, cx| {
            match members {
                Ok(members) => watcher.changed(members, cx),
                Err(error) => watcher.failed(&error, cx),
            }
        });
    }

    fn failed(&mut self, error: &GroupError, cx: &mut Ctx<Self>) {
        slog::warn!(cx.log(), "cannot detect who leads: {error}");
        match error {
            GroupError::Refused { .. } => _ = cx.after(PAUSE, Self::watch),
            GroupError::Ended => cx.stop(),
        }
    }

    fn changed(&mut self, members: BTreeSet<Member>, cx: &mut Ctx<Self>) {
        let first = members.first().cloned();
        self.members = Some(members);
        match first {
            None => {
                self.leader = None;
                slog::info!(cx.log(), "nobody leads");
                self.told.appoint(None);
            }
            Some(first) if self.leader.as_ref() == Some(&first) => {}
            Some(first) => {
                cx.defer(self.group.data(&first), move |watcher: &mut Self, data, cx| {
                    watcher.found(first, data, cx);
                });
                return;
            }
        }
        self.watch(cx);
    }

    fn found(
        &mut self,
        member: Member,
        data: Result<Option<Bytes>, GroupError>,
        cx: &mut Ctx<Self>,
    ) {
        match data {
            Ok(Some(data)) => {
                let leader = info::decode(member.label.as_deref(), &data);
                match &leader {
                    Ok(leader) => {
                        slog::info!(cx.log(), "detected a leader"; "pid" => %leader.pid);
                    }
                    Err(error) => slog::error!(cx.log(), "cannot tell who leads: {error}";
                        "znode" => member.name()),
                }
                self.leader = Some(member);
                self.told.appoint(leader.ok());
            }
            // It left meanwhile: the members will change, or have changed.
            Ok(None) => self.members = None,
            Err(error) => return self.failed(&error, cx),
        }
        self.watch(cx);
    }
}
