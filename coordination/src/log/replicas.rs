//! Finding the replicas of a log in a group: each is a member whose data is its PID.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use libprocess::{Ctx, Node, Pid, Process, Routes};

use super::Network;
use crate::group::{Group, GroupError, Member, Membership};

/// How long after a refusal the group is asked again.
const PAUSE: Duration = Duration::from_secs(2);

impl Network {
    /// Keeps `own` a member of the group, and the network what the group says, as long as the node
    /// lives. While the group cannot be reached the network stays as it was.
    pub fn follow(&self, node: &Node, group: Arc<dyn Group>, own: Pid) {
        let pids = BTreeMap::new();
        let replicas = Replicas { network: self.clone(), group, own, members: None, pids };
        node.spawn_numbered("log-replicas", replicas);
    }
}

struct Replicas {
    network: Network,
    group: Arc<dyn Group>,
    own: Pid,
    members: Option<BTreeSet<Member>>,
    /// What members say of themselves; None for what is no PID.
    pids: BTreeMap<Member, Option<Pid>>,
}

impl Process for Replicas {
    fn routes(_: &mut Routes<Self>) {}

    fn initialize(&mut self, cx: &mut Ctx<Self>) {
        self.join(cx);
        self.watch(cx);
    }
}

impl Replicas {
    fn join(&mut self, cx: &mut Ctx<Self>) {
        let joined = self.group.join(None, Bytes::from(self.own.to_string()));
        cx.defer(joined, |replicas: &mut Self, joined: Result<Membership, _>, cx| match joined {
            Ok(membership) => cx.defer(membership.lost(), |replicas: &mut Self, (), cx| {
                slog::warn!(cx.log(), "replica is no member any more: it joins again");
                replicas.join(cx);
            }),
            Err(error) => replicas.failed(&error, Self::join, cx),
        });
    }

    fn failed(
        &mut self,
        error: &GroupError,
        again: fn(&mut Self, &mut Ctx<Self>),
        cx: &mut Ctx<Self>,
    ) {
        slog::warn!(cx.log(), "cannot find the log's replicas: {error}");
        match error {
            GroupError::Refused { .. } => _ = cx.after(PAUSE, again),
            GroupError::Ended => cx.stop(),
        }
    }

    fn watch(&mut self, cx: &mut Ctx<Self>) {
        cx.defer(self.group.watch(self.members.clone()), |replicas: &mut Self, members, cx| {
            match members {
                Ok(members) => {
                    replicas.pids.retain(|member, _| members.contains(member));
                    replicas.members = Some(members);
                    replicas.look(cx);
                }
                Err(error) => replicas.failed(&error, Self::watch, cx),
            }
        });
    }

    /// Reads the data of one member after another, then tells the network.
    fn look(&mut self, cx: &mut Ctx<Self>) {
        let members = self.members.iter().flatten();
        let Some(next) = members.into_iter().find(|member| !self.pids.contains_key(*member)) else {
            // The local replica takes part whether or not the group has heard of it.
            let pids = self.pids.values().flatten().cloned().chain([self.own.clone()]);
            self.network.set(pids.collect());
            return self.watch(cx);
        };
        let next = next.clone();
        cx.defer(self.group.data(&next), move |replicas: &mut Self, data, cx| match data {
            Ok(data) => {
                let text = data.unwrap_or_default();
                let pid = std::str::from_utf8(&text).ok().and_then(|text| text.parse().ok());
                if pid.is_none() {
                    slog::warn!(cx.log(), "member is no replica"; "znode" => next.name());
                }
                replicas.pids.insert(next, pid);
                replicas.look(cx);
            }
            Err(error) => replicas.failed(&error, Self::look, cx),
        });
    }
}
