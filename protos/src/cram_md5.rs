//! The arithmetic of CRAM-MD5 (RFC 2195): what a client answers to a challenge, and whether that is
//! right.

use hmac::{Hmac, Mac};
use md5::Md5;

/// The answer of `principal` to a challenge: its name, a blank, and the digest in lower-case hex.
pub fn answer(principal: &str, secret: &str, challenge: &[u8]) -> String {
    let digest: String =
        mac(secret, challenge).finalize().into_bytes().iter().map(|b| format!("{b:02x}")).collect();
    format!("{principal} {digest}")
}

/// The principal and the digest that an answer claims. None when it is no answer.
pub fn claim(answer: &[u8]) -> Option<(&str, [u8; 16])> {
    let text = std::str::from_utf8(answer).ok()?;
    let (principal, hex) = text.rsplit_once(' ')?;
    let mut digest = [0; 16];
    if principal.is_empty() || hex.len() != 32 || !hex.is_ascii() {
        return None;
    }
    for (at, byte) in digest.iter_mut().enumerate() {
        *byte = u8::from_str_radix(hex.get(at * 2..at * 2 + 2)?, 16).ok()?;
    }
    Some((principal, digest))
}

/// True when the digest is that of the secret; takes as long whether it is or not.
pub fn verify(secret: &str, challenge: &[u8], digest: &[u8; 16]) -> bool {
    mac(secret, challenge).verify_slice(digest).is_ok()
}

#[expect(clippy::expect_used, reason = "this code takes keys of any length")]
fn mac(secret: &str, challenge: &[u8]) -> Hmac<Md5> {
    let mut mac = Hmac::<Md5>::new_from_slice(secret.as_bytes()).expect("any length is a key");
    mac.update(challenge);
    mac
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 2195.
    #[test]
    fn answer_of_the_standard_is_reproduced() {
        let challenge = b"<1896.697170952@postoffice.reston.mci.net>";
        let told = answer("tim", "tanstaaftanstaaf", challenge);
        assert_eq!(told, "tim b913a602c7eda7a495b4e6e7334d3890");
        let (principal, digest) = claim(told.as_bytes()).unwrap();
        assert_eq!(principal, "tim");
        assert!(verify("tanstaaftanstaaf", challenge, &digest));
        assert!(!verify("wrong", challenge, &digest));
        assert!(!verify("tanstaaftanstaaf", b"<other>", &digest));
    }

    #[test]
    fn answers_malformed_claim_nothing() {
        let hex = "b913a602c7eda7a495b4e6e7334d3890";
        for bad in [
            "",
            "tim",
            hex,
            &format!(" {hex}"),
            &format!("tim {hex}0"),
            "tim zz",
            &format!("tim {}é", &hex[..30]),
        ] {
            assert!(claim(bad.as_bytes()).is_none(), "{bad}");
        }
        assert!(claim(&[0xff, b' ']).is_none());
    }
}
