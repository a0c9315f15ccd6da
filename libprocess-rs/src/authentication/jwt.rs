//! JSON web tokens signed with HMAC SHA-256 (RFC 7519, RFC 7515: `HS256`).

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures::future::BoxFuture;
use hmac::{Hmac, Mac};
use serde_json::Value;
use sha2::Sha256;

use super::{Authentication, Authenticator, Principal, credentials, quoted};
use crate::Time;
use crate::http::Request;

type Clock = Box<dyn Fn() -> Time + Send + Sync>;

/// Lets bearers of tokens pass that were signed with a secret and have not expired.
pub struct Jwt {
    realm: String,
    secret: Vec<u8>,
    now: Clock,
}

impl Jwt {
    /// An authenticator for a realm; `now` is the node's time, against which `exp` is held.
    pub fn new(
        realm: impl Into<String>,
        secret: impl Into<Vec<u8>>,
        now: impl Fn() -> Time + Send + Sync + 'static,
    ) -> Self {
        Self { realm: realm.into(), secret: secret.into(), now: Box::new(now) }
    }

    /// Judges a request at once.
    pub fn judge(&self, request: &Request) -> Authentication {
        let realm = quoted(&self.realm);
        let Some(token) = credentials(request, "Bearer") else {
            return Authentication::Unauthorized(vec![format!("Bearer realm={realm}")]);
        };
        match self.claims(token) {
            Ok(claims) => Authentication::Principal(Principal { value: None, claims }),
            Err(reason) => Authentication::Unauthorized(vec![format!(
                "Bearer realm={realm}, error=\"invalid_token\", error_description=\"{reason}\""
            )]),
        }
    }

    fn claims(&self, token: &str) -> Result<BTreeMap<String, String>, &'static str> {
        let (signed, signature) = token.rsplit_once('.').ok_or("token has no signature")?;
        let (header, payload) = signed.split_once('.').ok_or("token has no payload")?;
        if object(header)?.get("alg").and_then(Value::as_str) != Some("HS256") {
            return Err("token is not signed by HS256");
        }
        let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| "signature is no base64")?;
        // Keys of any length are taken.
        let mut mac =
            Hmac::<Sha256>::new_from_slice(&self.secret).map_err(|_| "secret is not usable")?;
        mac.update(signed.as_bytes());
        mac.verify_slice(&signature).map_err(|_| "signature does not match")?;
        let payload = object(payload)?;
        if let Some(expires) = payload.get("exp") {
            let expires = expires.as_f64().ok_or("expiry is no number")?;
            if (self.now)().as_secs_f64() >= expires {
                return Err("token has expired");
            }
        }
        if payload.is_empty() {
            return Err("token makes no claims");
        }
        let text = |value: &Value| match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        Ok(payload.iter().map(|(name, value)| (name.clone(), text(value))).collect())
    }

    /// A token that makes these claims, for tests and clients.
    pub fn sign(secret: &[u8], claims: &Value) -> String {
        let encode = |text: String| URL_SAFE_NO_PAD.encode(text);
        let header = encode(r#"{"alg":"HS256","typ":"JWT"}"#.to_owned());
        let signed = format!("{header}.{}", encode(claims.to_string()));
        let mut signature = Vec::new();
        if let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret) {
            mac.update(signed.as_bytes());
            signature = mac.finalize().into_bytes().to_vec();
        }
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

fn object(encoded: &str) -> Result<serde_json::Map<String, Value>, &'static str> {
    let bytes = URL_SAFE_NO_PAD.decode(encoded).map_err(|_| "token is no base64")?;
    match serde_json::from_slice(&bytes) {
        Ok(Value::Object(object)) => Ok(object),
        _ => Err("token part is no JSON object"),
    }
}

impl Authenticator for Jwt {
    fn authenticate(&self, request: &Request) -> BoxFuture<'static, Authentication> {
        Box::pin(std::future::ready(self.judge(request)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn judge(token: &str) -> Authentication {
        let jwt = Jwt::new("r", "key", || Time::from_nanos(100_000_000_000));
        let mut request = Request::default();
        request.headers.insert("authorization".to_owned(), format!("Bearer {token}"));
        jwt.judge(&request)
    }

    #[test]
    fn jwt_signed_token_makes_its_claims_the_principal() {
        let token = Jwt::sign(b"key", &json!({"sub": "ann", "exp": 101, "n": 1}));
        let Authentication::Principal(who) = judge(&token) else { panic!("refused") };
        assert_eq!(who.value, None);
        assert_eq!(who.claims.get("sub").map(String::as_str), Some("ann"));
        assert_eq!(who.claims.get("n").map(String::as_str), Some("1"));
    }

    #[test]
    fn jwt_bad_tokens_are_refused_with_the_reason() {
        let unsigned = URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#);
        let cases = [
            (Jwt::sign(b"other", &json!({"sub": "ann"})), "signature does not match"),
            (Jwt::sign(b"key", &json!({"sub": "ann", "exp": 100})), "token has expired"),
            (Jwt::sign(b"key", &json!({})), "token makes no claims"),
            (format!("{unsigned}.{unsigned}."), "token is not signed by HS256"),
            ("x".to_owned(), "token has no signature"),
        ];
        for (token, reason) in cases {
            let Authentication::Unauthorized(challenges) = judge(&token) else {
                panic!("{reason}: let in")
            };
            assert!(challenges[0].contains(reason), "{challenges:?}");
            assert!(challenges[0].contains(r#"error="invalid_token""#));
        }
    }
}
