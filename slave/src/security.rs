//! Who may ask what of a slave: who asks is proved by the Basic scheme (flags `authenticate_http_*`),
//! what they may see is in access control lists (flag `acls`).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use futures::FutureExt;
use futures::future::ready;
use libprocess::Node;
use libprocess::authentication::{Basic, Principal};
use libprocess::http::Request;
use protos::mesos::AcLs;
use protos::mesos::acl::Entity;
use protos::mesos::acl::entity::Type;

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
/// Endpoints that the list `get_endpoints` speaks of.
const ENDPOINTS: [&str; 2] = ["/containers", "/monitor/statistics"];

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

impl Sandboxes {
    pub(crate) fn note(&self, path: &str, user: &str) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert(path.trim_end_matches('/').to_owned(), user.to_owned());
    }

    /// Whose a path is.
    fn user(&self, path: &str) -> Option<String> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_above = |root: &str| {
            path.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        all.iter().rfind(|(root, _)| is_above(root)).map(|(_, user)| user.clone())
    }
}

/// Has requests checked against the lists; `id` is the slave's process.
pub(crate) fn authorize(node: &Node, id: &str, acls: &AcLs, sandboxes: &Arc<Sandboxes>) {
    for path in FILES {
        let (acls, sandboxes) = (acls.clone(), sandboxes.clone());
        let check = move |request: &Request, who: Option<&Principal>| {
            let wanted = request.param("path").unwrap_or_default();
            let user = sandboxes.user(wanted);
            let rules = acls.access_sandboxes.iter().map(|it| (&it.principals, &it.users));
            ready(allowed(&acls, rules, name(who), user.as_deref())).boxed()
        };
        node.set_authorization(path, Some(Arc::new(check)));
    }
    for endpoint in ENDPOINTS {
        for path in [format!("/{id}{endpoint}"), format!("/{id}{endpoint}.json")] {
            let acls = acls.clone();
            let check = move |_: &Request, who: Option<&Principal>| {
                let rules = acls.get_endpoints.iter().map(|it| (&it.principals, &it.paths));
                ready(allowed(&acls, rules, name(who), Some(endpoint))).boxed()
            };
            node.set_authorization(&path, Some(Arc::new(check)));
        }
    }
}

fn name(who: Option<&Principal>) -> Option<&str> {
    who.and_then(|who| who.value.as_deref())
}

/// The first rule that speaks of both decides; without one, whether lists are permissive.
fn allowed<'a>(
    acls: &AcLs,
    mut rules: impl Iterator<Item = (&'a Entity, &'a Entity)>,
    principal: Option<&str>,
    object: Option<&str>,
) -> bool {
    let decisive = rules.find(|(who, what)| speaks(who, principal) && speaks(what, object));
    match decisive {
        Some((who, what)) => permits(who, principal) && permits(what, object),
        None => acls.permissive.unwrap_or(true),
    }
}

fn lists(entity: &Entity, value: Option<&str>) -> bool {
    value.is_some_and(|value| entity.values.iter().any(|listed| listed == value))
}

fn speaks(entity: &Entity, value: Option<&str>) -> bool {
    entity.r#type() != Type::Some || lists(entity, value)
}

fn permits(entity: &Entity, value: Option<&str>) -> bool {
    match entity.r#type() {
        Type::Any => true,
        Type::None => false,
        Type::Some => lists(entity, value),
    }
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
    fn sandboxes_are_seen_by_whom_the_lists_name() {
        let told = r#"{"permissive": false, "access_sandboxes": [
            {"principals": {"values": ["ops"]}, "users": {"type": "ANY"}},
            {"principals": {"values": ["web"]}, "users": {"values": ["www"]}}]}"#;
        let acls: AcLs = protos::json::from_json(&serde_json::from_str(told).unwrap()).unwrap();
        let may = |who: Option<&str>, user: &str| {
            let rules = acls.access_sandboxes.iter().map(|it| (&it.principals, &it.users));
            allowed(&acls, rules, who, Some(user))
        };
        assert!(may(Some("ops"), "root") && may(Some("web"), "www"));
        assert!(!may(Some("web"), "root") && !may(None, "www"));
    }
}
