//! Groups: who is there, as all see it. A member is there as long as whoever joined keeps in
//! touch; members are ordered by when they joined.
//!
//! [`Group`] is the trait; [`StandaloneGroup`] lives in memory, [`SessionGroup`] in a directory
//! service that it reaches by sessions: ZooKeeper ([`zookeeper`]) or one that is simulated
//! ([`simulated`]).

mod keeper;
pub mod session;
pub mod simulated;
mod standalone;
pub mod zookeeper;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use bytes::Bytes;
use futures::FutureExt;
use futures::channel::oneshot;
use futures::future::{BoxFuture, Shared};
use libprocess::Time;

pub use keeper::SessionGroup;
pub use standalone::StandaloneGroup;

/// A member as others see it: the name of its znode is `label_` (if it has one) and its number in
/// ten digits. Ordered by number, whatever the label.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Member {
    /// When it joined, as a number: unique in the group.
    pub sequence: u64,
    /// What kind of data it carries.
    pub label: Option<String>,
}

impl Member {
    /// The member that a znode stands for; None for other children of the group's znode.
    pub fn parse(name: &str) -> Option<Self> {
        let (label, number) = match name.rsplit_once('_') {
            Some((label, number)) => (Some(label.to_owned()), number),
            None => (None, name),
        };
        let digits = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
        let sequence = number.parse().ok().filter(|_| digits)?;
        Some(Self { sequence, label })
    }

    /// The name of its znode.
    pub fn name(&self) -> String {
        format!("{}{:010}", prefix(self.label.as_deref()), self.sequence)
    }
}

/// What the names of znodes with a label start with.
pub fn prefix(label: Option<&str>) -> String {
    label.map(|label| format!("{label}_")).unwrap_or_default()
}

/// Until when a session is believed in: nanoseconds since the epoch. Read at any time, so that who
/// slept finds out before it acts, whatever waits in its mailbox.
#[derive(Debug, Clone)]
pub(crate) struct Lease(Arc<AtomicU64>);

impl Lease {
    /// A lease until some time.
    pub(crate) fn until(time: Time) -> Self {
        Self(Arc::new(AtomicU64::new(time.as_nanos())))
    }

    /// A lease that does not run out by itself.
    pub(crate) fn endless() -> Self {
        Self(Arc::new(AtomicU64::new(u64::MAX)))
    }

    pub(crate) fn renew(&self, until: Time) {
        self.0.store(until.as_nanos(), Ordering::SeqCst);
    }

    fn holds(&self, now: Time) -> bool {
        now.as_nanos() < self.0.load(Ordering::SeqCst)
    }
}

/// The end of a membership, which is told by using it up.
#[derive(Debug)]
pub(crate) struct Ending {
    told: oneshot::Sender<()>,
    over: Arc<AtomicBool>,
}

impl Ending {
    pub(crate) fn tell(self) {
        self.over.store(true, Ordering::SeqCst);
        // Who was a member may have lost interest.
        let _ = self.told.send(());
    }
}

/// A membership of one's own.
#[derive(Debug, Clone)]
pub struct Membership {
    /// The member.
    pub member: Member,
    lost: Shared<oneshot::Receiver<()>>,
    lease: Lease,
    over: Arc<AtomicBool>,
}

impl Membership {
    pub(crate) fn new(member: Member, lease: Lease) -> (Self, Ending) {
        let (told, receiver) = oneshot::channel();
        let over = Arc::new(AtomicBool::new(false));
        let ending = Ending { told, over: over.clone() };
        (Self { member, lost: receiver.shared(), lease, over }, ending)
    }

    /// True while nobody else can have been told that the membership has ended, by a clock that is
    /// asked now: a process that was stopped for a while finds out by this before it acts.
    pub fn holds(&self, now: Time) -> bool {
        self.lease.holds(now) && !self.over.load(Ordering::SeqCst)
    }

    /// Ready when the membership has ended, or may have ended for all that is known here: before
    /// anybody else is told so.
    pub fn lost(&self) -> BoxFuture<'static, ()> {
        self.lost.clone().map(drop).boxed()
    }
}

/// A group refused, for a reason that does not pass by itself.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GroupError {
    /// Authentication, access or arguments.
    #[error("group {group}: {reason}")]
    Refused {
        /// Where the group is.
        group: String,
        /// Why not.
        reason: String,
    },
    /// The process that keeps in touch is gone.
    #[error("the group's process has ended")]
    Ended,
}

/// What a group answers, once it is known: failures that may pass are tried again until they do.
pub type GroupFuture<T> = BoxFuture<'static, Result<T, GroupError>>;

/// Membership of a group.
pub trait Group: Send + Sync {
    /// Joins with some data.
    fn join(&self, label: Option<&str>, data: Bytes) -> GroupFuture<Membership>;

    /// Leaves; false when the member was not there any more.
    fn cancel(&self, member: &Member) -> GroupFuture<bool>;

    /// A member's data; None when it is not there any more.
    fn data(&self, member: &Member) -> GroupFuture<Option<Bytes>>;

    /// Ready with the members as soon as they are not `known`.
    fn watch(&self, known: Option<BTreeSet<Member>>) -> GroupFuture<BTreeSet<Member>>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn member_names_parse_with_and_without_label_and_order_by_number() {
        let with = Member { sequence: 12, label: Some("json.info".into()) };
        assert_eq!(with.name(), "json.info_0000000012");
        assert_eq!(Member::parse("json.info_0000000012"), Some(with.clone()));
        let without = Member { sequence: 3, label: None };
        assert_eq!(without.name(), "0000000003");
        assert_eq!(Member::parse("0000000003"), Some(without.clone()));
        assert!(without < with);
        for other in ["log_replicas", "", "info_", "info_+1", "12x"] {
            assert_eq!(Member::parse(other), None, "{other}");
        }
    }
}
