//! Who asks: authenticators for realms of HTTP routes.
//!
//! A route names a realm ([`crate::Routes::realm`]); a node may have an authenticator for it
//! ([`crate::Node::set_authenticator`]). Without one, requests pass with no principal.
//!
//! ```
//! use libprocess::authentication::{Authentication, Authenticator, Basic};
//! use libprocess::http::Request;
//!
//! let basic = Basic::new("readers", [("ann".to_owned(), "secret".to_owned())]);
//! let mut request = Request::new("GET", "/files").unwrap();
//! assert!(matches!(basic.judge(&request), Authentication::Unauthorized(_)));
//! request.headers.insert("authorization".to_owned(), "Basic YW5uOnNlY3JldA==".to_owned());
//! assert!(matches!(basic.judge(&request), Authentication::Principal(who) if who.to_string() == "ann"));
//! ```

mod basic;
mod combined;
mod jwt;

use std::collections::BTreeMap;
use std::fmt;

use futures::future::BoxFuture;

use crate::http::{Request, Response};

pub use basic::Basic;
pub use combined::Combined;
pub use jwt::Jwt;

/// Who makes a request: a name, claims about it, or both.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Principal {
    /// The name; None for a principal that consists of claims.
    pub value: Option<String>,
    /// Claims by name, such as those of a token.
    pub claims: BTreeMap<String, String>,
}

impl Principal {
    /// A principal with a name and no claims.
    pub fn named(value: impl Into<String>) -> Self {
        Self { value: Some(value.into()), claims: BTreeMap::new() }
    }
}

/// The bare name when there are no claims, else JSON with `value` and `claims`.
impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.claims.is_empty() {
            return f.write_str(self.value.as_deref().unwrap_or_default());
        }
        let mut object = serde_json::Map::new();
        if let Some(value) = &self.value {
            object.insert("value".to_owned(), value.as_str().into());
        }
        let claims = self.claims.iter().map(|(name, claim)| (name.clone(), claim.as_str().into()));
        object.insert("claims".to_owned(), serde_json::Value::Object(claims.collect()));
        write!(f, "{}", serde_json::Value::Object(object))
    }
}

/// What an authenticator says of a request.
#[derive(Debug)]
pub enum Authentication {
    /// The request comes from this principal.
    Principal(Principal),
    /// 401 with challenges, one for each scheme that would do.
    Unauthorized(Vec<String>),
    /// 403: the client is known and not wanted.
    Forbidden,
}

impl Authentication {
    /// The principal, or the response that refuses the request.
    pub(crate) fn admit(self) -> Result<Principal, Response> {
        match self {
            // A principal without name and claims is nobody: an authenticator must not say so.
            Self::Principal(who) if who.value.is_none() && who.claims.is_empty() => {
                Err(Response::status(500))
            }
            Self::Principal(who) => Ok(who),
            Self::Unauthorized(challenges) => {
                Err(Response::status(401).header("WWW-Authenticate", &challenges.join(",")))
            }
            Self::Forbidden => Err(Response::status(403)),
        }
    }
}

/// Tells who makes a request. Must not block; what takes time goes into the returned future.
pub trait Authenticator: Send + Sync + 'static {
    /// Looks at the request's headers.
    fn authenticate(&self, request: &Request) -> BoxFuture<'static, Authentication>;
}

/// The credentials of a scheme from the `Authorization` header, if it names that scheme.
fn credentials<'a>(request: &'a Request, scheme: &str) -> Option<&'a str> {
    let header = request.header("authorization")?;
    header.strip_prefix(scheme)?.strip_prefix(' ')
}

fn quoted(realm: &str) -> String {
    format!("\"{}\"", realm.replace(['"', '\\'], ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn principal_with_claims_prints_as_json_and_without_as_its_name() {
        assert_eq!(Principal::named("ann").to_string(), "ann");
        let mut who = Principal::named("ann");
        who.claims.insert("role".to_owned(), "reader".to_owned());
        assert_eq!(who.to_string(), r#"{"value":"ann","claims":{"role":"reader"}}"#);
        who.value = None;
        assert_eq!(who.to_string(), r#"{"claims":{"role":"reader"}}"#);
    }

    #[test]
    fn authentication_of_nobody_is_an_error_of_the_server() {
        let refused = Authentication::Principal(Principal::default()).admit();
        assert_eq!(refused.map_err(|response| response.status), Err(500));
    }
}
