//! Candidates.

use std::sync::Arc;

use futures::future::BoxFuture;
use protos::mesos::MasterInfo;

use super::info::{JSON_LABEL, encode, pid_of};
use super::{Candidacy, Contender};
use crate::group::{Group, GroupError};
use crate::{Leader, StandaloneDetector};

/// Contends as a member of a group.
#[derive(Clone)]
pub struct GroupContender {
    group: Arc<dyn Group>,
}

impl GroupContender {
    /// A contender in a group.
    pub fn new(group: Arc<dyn Group>) -> Self {
        Self { group }
    }
}

impl Contender for GroupContender {
    fn contend(&self, info: &MasterInfo) -> BoxFuture<'static, Result<Candidacy, GroupError>> {
        let joined = self.group.join(Some(JSON_LABEL), encode(info));
        Box::pin(async move { Ok(Candidacy { membership: Some(joined.await?) }) })
    }
}

/// Leads as soon as it contends: for a master without others.
#[derive(Clone)]
pub struct StandaloneContender {
    detector: StandaloneDetector,
}

impl StandaloneContender {
    /// A contender that a detector is told of.
    pub fn new(detector: StandaloneDetector) -> Self {
        Self { detector }
    }
}

impl Contender for StandaloneContender {
    fn contend(&self, info: &MasterInfo) -> BoxFuture<'static, Result<Candidacy, GroupError>> {
        let leader = pid_of(info).map(|pid| Leader { pid, info: Some(info.clone()) });
        self.detector.appoint(leader);
        Box::pin(async { Ok(Candidacy { membership: None }) })
    }
}
