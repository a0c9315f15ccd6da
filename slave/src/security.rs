//! Who may ask what of a slave: who asks is proved by the Basic scheme (flags `authenticate_http_*`),
//! what they may see is in access control lists (flag `acls`).

mod acls;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use futures::FutureExt;
use futures::future::ready;
use libprocess::authentication::{Basic, Principal};
use libprocess::files::normalise;
use libprocess::http::Request;
use libprocess::{Authorize, Node};
use protos::mesos::AcLs;

pub(crate) use acls::{Action, allowed, idle};

/// Who may read, where the node asks for that.
pub(crate) const READONLY: &str = "mesos-agent-readonly";
/// The runtime's own realms: metrics and files, and the log's level.
const RUNTIME: [&str; 2] = ["readonly", "readwrite"];
const READWRITE: &str = "mesos-agent-readwrite";
/// Where files are served.
const FILES: [&str; 6] = [
    "/files/browse",
    "/files/browse.json",
    "/files/read",
    "/files/read.json",
    "/files/download",
    "/files/download.json",
];
/// The slave's endpoints that the list `get_endpoints` speaks of.
const ENDPOINTS: [&str; 2] = ["/containers", "/monitor/statistics"];
/// The runtime's, with the path that rules know them by. The page for Prometheus shows what the
/// snapshot does.
const RUNTIME_ENDPOINTS: [(&str, &str); 5] = [
    ("/files/debug", "/files/debug"),
    ("/files/debug.json", "/files/debug"),
    ("/logging/toggle", "/logging/toggle"),
    ("/metrics/prometheus", "/metrics/snapshot"),
    ("/metrics/snapshot", "/metrics/snapshot"),
];
/// The virtual path of the slave's own log.
pub(crate) const LOG: &str = "/slave/log";

/// What a slave is told of its clients.
#[derive(Clone, Default)]
pub struct Security {
    /// Must who reads prove who they are (flag `authenticate_http_readonly`)?
    pub readonly: bool,
    /// Must who changes something (flag `authenticate_http_readwrite`)?
    pub readwrite: bool,
    /// Secrets by principal (flag `http_credentials`).
    pub secrets: BTreeMap<String, String>,
    /// Who may do what; everybody everything when absent (flag `acls`).
    pub acls: Option<AcLs>,
}

/// Secrets are not shown.
impl std::fmt::Debug for Security {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Security of {} principals", self.secrets.len())
    }
}

/// Puts authenticators before the realms that are to be guarded.
pub(crate) fn authenticate(node: &Node, security: &Security) {
    let guarded = [
        (security.readonly, [READONLY, RUNTIME[0]]),
        (security.readwrite, [READWRITE, RUNTIME[1]]),
    ];
    for (wanted, realms) in guarded {
        for realm in realms.into_iter().filter(|_| wanted) {
            let basic = Basic::new(realms[0], security.secrets.clone());
            node.set_authenticator(realm, Some(Arc::new(basic)));
        }
    }
}

/// The users whose sandboxes lie under virtual paths.
#[derive(Debug, Default)]
pub(crate) struct Sandboxes(Mutex<BTreeMap<String, String>>);

/// True when a virtual path is the other or lies below it, both in their one spelling.
fn is_below(path: &str, root: &str) -> bool {
    path.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

impl Sandboxes {
    pub(crate) fn note(&self, path: &str, user: &str) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert(normalise(path), user.to_owned());
    }

    /// Whose a path is, however it is spelt.
    fn user(&self, path: &str) -> Option<String> {
        let path = normalise(path);
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter().rfind(|(root, _)| is_below(&path, root)).map(|(_, user)| user.clone())
    }
}

/// Has requests checked against the lists; `id` is the slave's process.
pub(crate) fn authorize(node: &Node, id: &str, acls: &AcLs, sandboxes: &Arc<Sandboxes>) {
    for path in FILES {
        let (acls, sandboxes) = (acls.clone(), sandboxes.clone());
        let check = move |request: &Request, who: Option<&Principal>| {
            let wanted = request.param("path").unwrap_or_default();
            let may = if is_below(&normalise(wanted), &normalise(LOG)) {
                allowed(Some(&acls), Action::AccessLog, name(who), None)
            } else {
                let user = sandboxes.user(wanted);
                allowed(Some(&acls), Action::AccessSandbox, name(who), user.as_deref())
            };
            ready(may).boxed()
        };
        node.set_authorization(path, Some(Arc::new(check)));
    }
    for endpoint in ENDPOINTS {
        for path in [format!("/{id}{endpoint}"), format!("/{id}{endpoint}.json")] {
            node.set_authorization(&path, Some(may_ask(acls, endpoint)));
        }
    }
    for (path, endpoint) in RUNTIME_ENDPOINTS {
        node.set_authorization(path, Some(may_ask(acls, endpoint)));
    }
}

/// Asks the list `get_endpoints` about an endpoint.
fn may_ask(acls: &AcLs, endpoint: &'static str) -> Authorize {
    let acls = acls.clone();
    Arc::new(move |_: &Request, who: Option<&Principal>| {
        ready(allowed(Some(&acls), Action::GetEndpoint, name(who), Some(endpoint))).boxed()
    })
}

fn name(who: Option<&Principal>) -> Option<&str> {
    who.and_then(|who| who.value.as_deref())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sandbox_is_that_of_the_longest_path_above() {
        let sandboxes = Sandboxes::default();
        sandboxes.note("/w/a", "low");
        sandboxes.note("/w/a/b", "high");
        assert_eq!(sandboxes.user("/w/a/b/c").as_deref(), Some("high"));
        assert_eq!(sandboxes.user("/w/a/x").as_deref(), Some("low"));
        assert_eq!(sandboxes.user("/w/ab"), None);
    }

    #[test]
    fn sandbox_is_known_however_its_path_is_spelt() {
        let sandboxes = Sandboxes::default();
        sandboxes.note("/w/a", "root");
        for path in ["/w/a/x", "w/a/x", "//w/a/x", "/w//a/x", "/w/./a/x", "./w/a/x", "/w/a//"] {
            assert_eq!(sandboxes.user(path).as_deref(), Some("root"), "{path}");
        }
    }
}
