//! The messages between sessions and the service.

use bytes::Bytes;
use prost::{Message, Name};

/// What a session asks; a ping when nothing else is set.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Request {
    #[prost(uint64, tag = "1")]
    pub(super) id: u64,
    /// The session; 0 for a new one.
    #[prost(uint64, tag = "2")]
    pub(super) session: u64,
    #[prost(uint64, tag = "3")]
    pub(super) timeout_ms: u64,
    #[prost(string, optional, tag = "4")]
    pub(super) create: Option<String>,
    #[prost(bytes = "bytes", tag = "5")]
    pub(super) data: Bytes,
    #[prost(string, optional, tag = "6")]
    pub(super) delete: Option<String>,
    #[prost(string, optional, tag = "7")]
    pub(super) read: Option<String>,
    #[prost(bool, tag = "8")]
    pub(super) list: bool,
    #[prost(bool, tag = "9")]
    pub(super) close: bool,
    #[prost(string, optional, tag = "10")]
    pub(super) write: Option<String>,
    /// The version that what is written or deleted must have.
    #[prost(int32, optional, tag = "11")]
    pub(super) version: Option<i32>,
}

/// What the service answers; with id 0 it tells that children have changed.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Response {
    #[prost(uint64, tag = "1")]
    pub(super) id: u64,
    #[prost(uint64, tag = "2")]
    pub(super) session: u64,
    #[prost(bool, tag = "3")]
    pub(super) expired: bool,
    #[prost(bool, tag = "4")]
    pub(super) found: bool,
    #[prost(bytes = "bytes", tag = "5")]
    pub(super) data: Bytes,
    #[prost(string, repeated, tag = "6")]
    pub(super) names: Vec<String>,
    #[prost(int32, tag = "7")]
    pub(super) version: i32,
}

const PACKAGE: &str = "coordination.simulated";

impl Name for Request {
    const NAME: &'static str = "Request";
    const PACKAGE: &'static str = PACKAGE;
}

impl Name for Response {
    const NAME: &'static str = "Response";
    const PACKAGE: &'static str = PACKAGE;
}
