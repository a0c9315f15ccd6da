//! Election of a master: contending for the lead and finding out who has it, over a group.

mod contender;
mod detector;
mod info;

use futures::future::BoxFuture;
use libprocess::Time;
use protos::mesos::MasterInfo;

use crate::group::{GroupError, Membership};

pub use contender::{GroupContender, StandaloneContender};
pub use detector::GroupDetector;
pub use info::{BINARY_LABEL, InfoError, JSON_LABEL, decode, encode};

/// A candidacy that stands until it is lost.
#[derive(Debug, Clone)]
pub struct Candidacy {
    membership: Option<Membership>,
}

impl Candidacy {
    /// True while nobody else can have won because this candidacy ended: what a leader asks before
    /// it acts, as it may have slept since it heard of anything.
    pub fn holds(&self, now: Time) -> bool {
        self.membership.as_ref().is_none_or(|membership| membership.holds(now))
    }

    /// Ready when the candidacy has ended, before anybody else can win by that. A leader must stop
    /// acting then; who does not lead may contend again.
    pub fn lost(&self) -> BoxFuture<'static, ()> {
        match &self.membership {
            Some(membership) => membership.lost(),
            None => Box::pin(futures::future::pending()),
        }
    }
}

/// Contends for the lead. Whoever contends detects in parallel: it leads as soon as the detector
/// says so.
pub trait Contender: Send + Sync {
    /// Becomes a candidate: ready when others can see it.
    fn contend(&self, info: &MasterInfo) -> BoxFuture<'static, Result<Candidacy, GroupError>>;
}
