//! What a request must pass before its handler runs: firewall, authentication, authorisation.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, PoisonError, RwLock};

use futures::future::BoxFuture;

use crate::authentication::{Authenticator, Principal};
use crate::http::{Request, Response};
use crate::inbox::Asked;

/// Says whether a principal may make a request.
pub type Authorize =
    Arc<dyn Fn(&Request, Option<&Principal>) -> BoxFuture<'static, bool> + Send + Sync>;

/// The outcome of the checks of one request.
pub(crate) enum Admission {
    Pass(Option<Principal>),
    Refuse(Response),
}

/// The checks of a node.
#[derive(Default)]
pub(crate) struct Guards {
    by: RwLock<Installed>,
}

#[derive(Default)]
struct Installed {
    authenticators: BTreeMap<String, Arc<dyn Authenticator>>,
    authorizations: BTreeMap<String, Authorize>,
    closed: BTreeSet<String>,
}

impl Guards {
    pub(crate) fn set_authenticator(&self, realm: &str, by: Option<Arc<dyn Authenticator>>) {
        let mut installed = self.by.write().unwrap_or_else(PoisonError::into_inner);
        match by {
            Some(by) => installed.authenticators.insert(realm.to_owned(), by),
            None => installed.authenticators.remove(realm),
        };
    }

    pub(crate) fn set_authorization(&self, path: &str, by: Option<Authorize>) {
        let mut installed = self.by.write().unwrap_or_else(PoisonError::into_inner);
        match by {
            Some(by) => installed.authorizations.insert(path.to_owned(), by),
            None => installed.authorizations.remove(path),
        };
    }

    pub(crate) fn set_closed(&self, paths: BTreeSet<String>) {
        self.by.write().unwrap_or_else(PoisonError::into_inner).closed = paths;
    }

    /// True when the firewall lets nobody through to exactly this path.
    pub(crate) fn is_closed(&self, path: &str) -> bool {
        self.by.read().unwrap_or_else(PoisonError::into_inner).closed.contains(path)
    }

    /// The checks that a request to `path` in `realm` must pass; None when there are none.
    pub(crate) fn check(
        &self,
        request: &Request,
        realm: Option<&str>,
        path: &str,
    ) -> Option<BoxFuture<'static, Admission>> {
        let installed = self.by.read().unwrap_or_else(PoisonError::into_inner);
        let authenticator = realm.and_then(|realm| installed.authenticators.get(realm));
        let authorize = installed.authorizations.get(path).cloned();
        if authenticator.is_none() && authorize.is_none() {
            return None;
        }
        let who = authenticator.map(|by| by.authenticate(request));
        let asked = authorize.map(|by| (by, without_body(request)));
        Some(Box::pin(async move {
            let principal = match who {
                None => None,
                Some(who) => match who.await.admit() {
                    Ok(principal) => Some(principal),
                    Err(response) => return Admission::Refuse(response),
                },
            };
            if let Some((authorize, request)) = asked
                && !authorize(&request, principal.as_ref()).await
            {
                return Admission::Refuse(Response::status(403));
            }
            Admission::Pass(principal)
        }))
    }
}

/// Checks look at the head alone.
fn without_body(request: &Request) -> Request {
    let Request { method, path, query, headers, peer, .. } = request;
    Request {
        method: method.clone(),
        path: path.clone(),
        query: query.clone(),
        headers: headers.clone(),
        peer: *peer,
        ..Request::default()
    }
}

/// Requests of one process that wait for their checks, in the order in which they came: none
/// overtakes another even if its own check is done first, or it needs none.
#[derive(Default)]
pub(crate) struct Waiting(VecDeque<Asked>);

impl Waiting {
    pub(crate) fn push(&mut self, asked: Asked) {
        self.0.push_back(asked);
    }

    pub(crate) fn pop(&mut self) -> Option<Asked> {
        self.0.pop_front()
    }
}
