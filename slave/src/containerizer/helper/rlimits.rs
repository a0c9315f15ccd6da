//! Limits of the process.

use nix::sys::resource::{RLIM_INFINITY, Resource, setrlimit};
use protos::mesos::RLimitInfo;
use protos::mesos::r_limit_info::r_limit::Type;

use super::apply::{HelperError, step};

/// Sets them; without both numbers a limit is unlimited.
pub(super) fn apply(limits: Option<&RLimitInfo>) -> Result<(), HelperError> {
    for limit in limits.iter().flat_map(|limits| &limits.rlimits) {
        let name = limit.r#type().as_str_name();
        let Some(resource) = resource(limit.r#type()) else {
            return Err(HelperError::LaunchInfo(format!("there is no limit {name}")));
        };
        let (soft, hard) = match (limit.soft, limit.hard) {
            (Some(soft), Some(hard)) => (soft, hard),
            _ => (RLIM_INFINITY, RLIM_INFINITY),
        };
        step(setrlimit(resource, soft, hard), || format!("set {name} to {soft}:{hard}"))?;
    }
    Ok(())
}

fn resource(kind: Type) -> Option<Resource> {
    Some(match kind {
        Type::Unknown => return None,
        Type::RlmtAs => Resource::RLIMIT_AS,
        Type::RlmtCore => Resource::RLIMIT_CORE,
        Type::RlmtCpu => Resource::RLIMIT_CPU,
        Type::RlmtData => Resource::RLIMIT_DATA,
        Type::RlmtFsize => Resource::RLIMIT_FSIZE,
        Type::RlmtLocks => Resource::RLIMIT_LOCKS,
        Type::RlmtMemlock => Resource::RLIMIT_MEMLOCK,
        Type::RlmtMsgqueue => Resource::RLIMIT_MSGQUEUE,
        Type::RlmtNice => Resource::RLIMIT_NICE,
        Type::RlmtNofile => Resource::RLIMIT_NOFILE,
        Type::RlmtNproc => Resource::RLIMIT_NPROC,
        Type::RlmtRss => Resource::RLIMIT_RSS,
        Type::RlmtRtprio => Resource::RLIMIT_RTPRIO,
        Type::RlmtRttime => Resource::RLIMIT_RTTIME,
        Type::RlmtSigpending => Resource::RLIMIT_SIGPENDING,
        Type::RlmtStack => Resource::RLIMIT_STACK,
    })
}
