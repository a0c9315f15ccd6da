//! JSON web tokens of operators: who is meant stands in the claim `sub`.

use futures::future::BoxFuture;
use libprocess::Node;
use libprocess::authentication::{Authentication, Authenticator, Jwt};
use libprocess::http::Request;

/// The key that tokens are signed with. Its debug form does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct TokenKey(Vec<u8>);

impl std::fmt::Debug for TokenKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

impl TokenKey {
    /// A key of these bytes.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self(bytes.into())
    }
}

/// Lets bearers of tokens pass that name somebody.
pub(crate) struct Tokens(Jwt);

impl Tokens {
    pub(crate) fn new(realm: &str, key: &TokenKey, node: &Node) -> Self {
        let node = node.clone();
        Self(Jwt::new(realm, key.0.clone(), move || node.now()))
    }
}

impl Authenticator for Tokens {
    fn authenticate(&self, request: &Request) -> BoxFuture<'static, Authentication> {
        let judged = match self.0.judge(request) {
            Authentication::Principal(mut who) => {
                who.value = who.claims.get("sub").cloned();
                Authentication::Principal(who)
            }
            other => other,
        };
        Box::pin(async move { judged })
    }
}
