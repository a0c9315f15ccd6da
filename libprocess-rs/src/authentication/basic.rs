//! The Basic scheme.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures::future::BoxFuture;
use subtle::ConstantTimeEq;

use super::{Authentication, Authenticator, Principal, credentials, quoted};
use crate::http::Request;

/// Knows principals by name and secret. A secret has no colon.
pub struct Basic {
    realm: String,
    secrets: BTreeMap<String, String>,
}

impl Basic {
    /// An authenticator for a realm over pairs of principal and secret.
    pub fn new(
        realm: impl Into<String>,
        secrets: impl IntoIterator<Item = (String, String)>,
    ) -> Self {
        Self { realm: realm.into(), secrets: secrets.into_iter().collect() }
    }

    /// Judges a request at once.
    pub fn judge(&self, request: &Request) -> Authentication {
        match credentials(request, "Basic").and_then(|text| self.known(text)) {
            Some(name) => Authentication::Principal(Principal::named(name)),
            None => {
                Authentication::Unauthorized(vec![format!("Basic realm={}", quoted(&self.realm))])
            }
        }
    }

    fn known(&self, encoded: &str) -> Option<String> {
        let text = String::from_utf8(STANDARD.decode(encoded).ok()?).ok()?;
        let mut parts = text.split(':');
        let (Some(name), Some(secret), None) = (parts.next(), parts.next(), parts.next()) else {
            return None;
        };
        let expected = self.secrets.get(name)?;
        // Compared in constant time, so that answers do not tell how much of a guess was right.
        bool::from(expected.as_bytes().ct_eq(secret.as_bytes())).then(|| name.to_owned())
    }
}

impl Authenticator for Basic {
    fn authenticate(&self, request: &Request) -> BoxFuture<'static, Authentication> {
        Box::pin(std::future::ready(self.judge(request)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn basic_only_the_exact_form_and_secret_pass() {
        let basic = Basic::new("r", [("ann".to_owned(), "secret".to_owned())]);
        let cases = [
            ("Basic", "ann:secret", true),
            ("Basic", "ann:wrong", false),
            ("Basic", "ann:secret:more", false),
            ("Basic", "ann", false),
            ("Basic", "bob:secret", false),
            ("basic", "ann:secret", false),
            ("Bearer", "ann:secret", false),
        ];
        for (scheme, text, expected) in cases {
            let mut request = Request::default();
            let header = format!("{scheme} {}", STANDARD.encode(text));
            request.headers.insert("authorization".to_owned(), header);
            let passed = matches!(basic.judge(&request), Authentication::Principal(_));
            assert_eq!(passed, expected, "{scheme} {text}");
        }
    }

    #[test]
    fn basic_without_credentials_challenges_with_its_realm() {
        let basic = Basic::new("top", []);
        let Authentication::Unauthorized(challenges) = basic.judge(&Request::default()) else {
            panic!("nobody was let in");
        };
        assert_eq!(challenges, [r#"Basic realm="top""#]);
    }
}
