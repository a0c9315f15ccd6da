//! Several schemes on one realm.

use std::sync::Arc;

use futures::future::BoxFuture;

use super::{Authentication, Authenticator};
use crate::http::Request;

/// Asks authenticators in turn: the first that knows the principal wins. When none does, all
/// challenges go into one header; only if none of them challenges is the request forbidden.
pub struct Combined(Vec<Arc<dyn Authenticator>>);

impl Combined {
    /// Combines authenticators in the order in which they are asked.
    pub fn new(authenticators: Vec<Arc<dyn Authenticator>>) -> Self {
        Self(authenticators)
    }
}

impl Authenticator for Combined {
    fn authenticate(&self, request: &Request) -> BoxFuture<'static, Authentication> {
        let asked: Vec<_> = self.0.iter().map(|each| each.authenticate(request)).collect();
        Box::pin(async move {
            let mut challenges = Vec::new();
            for answer in asked {
                match answer.await {
                    Authentication::Principal(who) => return Authentication::Principal(who),
                    Authentication::Unauthorized(more) => challenges.extend(more),
                    Authentication::Forbidden => {}
                }
            }
            match challenges.is_empty() {
                true => Authentication::Forbidden,
                false => Authentication::Unauthorized(challenges),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authentication::{Basic, Jwt};
    use futures::executor::block_on;

    fn both() -> Combined {
        let basic = Basic::new("r", [("ann".to_owned(), "secret".to_owned())]);
        let jwt = Jwt::new("r", "key", || crate::Time::EPOCH);
        Combined::new(vec![Arc::new(basic), Arc::new(jwt)])
    }

    #[test]
    fn combined_first_scheme_that_knows_the_principal_wins() {
        let mut request = Request::default();
        let token = Jwt::sign(b"key", &serde_json::json!({"sub": "bob"}));
        request.headers.insert("authorization".to_owned(), format!("Bearer {token}"));
        let answer = block_on(both().authenticate(&request));
        assert!(matches!(answer, Authentication::Principal(who) if who.claims["sub"] == "bob"));
    }

    #[test]
    fn combined_challenges_of_all_schemes_are_joined() {
        let answer = block_on(both().authenticate(&Request::default()));
        let refused = answer.admit().expect_err("nobody was let in");
        let header = &refused.headers.iter().find(|(name, _)| name == "WWW-Authenticate");
        let expected = r#"Basic realm="r",Bearer realm="r""#;
        assert_eq!(header.map(|(_, value)| value.as_str()), Some(expected));
    }
}
