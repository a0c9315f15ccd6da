//! The seam to a directory service: what a group needs of a session with it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use libprocess::Node;

/// Why a request was not answered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SessionError {
    /// The connection broke: whether the request has happened is not known.
    #[error("connection lost")]
    Disconnected,
    /// The service has ended the session, and with it all that the session has created.
    #[error("session expired")]
    Expired,
    /// The service does not want to, and will not want to later.
    #[error("{0}")]
    Refused(String),
}

/// What happens to a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SessionEvent {
    /// It can be used (again).
    Connected,
    /// It cannot be used for now.
    Disconnected,
    /// It is over.
    Expired,
    /// The group's children are not what they were.
    Changed,
}

/// What a session answers.
pub type SessionFuture<T> = BoxFuture<'static, Result<T, SessionError>>;

/// A session that is bound to one group.
pub trait Session: Send + Sync {
    /// Makes a child named `prefix` and the next number that lasts as long as the session: its
    /// name. Makes the group and its parents where they are missing.
    fn create(&self, prefix: String, data: Bytes) -> SessionFuture<String>;

    /// Removes a child, if it has this version or none is given; false when there is none such.
    fn delete(&self, name: String, version: Option<i32>) -> SessionFuture<bool>;

    /// The names of all children, whoever made them. [`SessionEvent::Changed`] tells once that
    /// they have changed.
    fn children(&self) -> SessionFuture<Vec<String>>;

    /// A child's data and the version of it; None when there is none.
    fn read(&self, name: String) -> SessionFuture<Option<(Bytes, i32)>>;

    /// Makes a child that outlasts the session (no version), or replaces the data of one that has
    /// this version; false when it is there already, or not there, or of another version.
    fn write(&self, name: String, data: Bytes, version: Option<i32>) -> SessionFuture<bool>;

    /// Ends the session. It sends no events afterwards.
    fn close(&self);

    /// Ready when a session that was closed is over, or the service finds out by itself.
    fn closed(&self) -> BoxFuture<'static, ()> {
        Box::pin(std::future::ready(()))
    }
}

/// Where a session's events go.
pub type Events = Box<dyn Fn(SessionEvent) + Send + Sync>;

/// Makes sessions.
pub trait Connect: Send + Sync {
    /// Starts a session that ends when the service has not heard of it for `timeout`. Each attempt
    /// may go to another server of the service; `attempt` counts them.
    fn connect(
        &self,
        node: &Node,
        timeout: Duration,
        attempt: u64,
        events: Events,
    ) -> Arc<dyn Session>;

    /// Where the group is, for messages; without secrets.
    fn name(&self) -> String;
}
