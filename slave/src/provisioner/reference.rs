//! Names of images, as people write them: `[registry/]repository[:tag][@digest]`.

use std::fmt;
use std::str::FromStr;

/// The registry of names without one.
pub const DEFAULT_REGISTRY: &str = "registry-1.docker.io";
/// The tag of names without one.
const DEFAULT_TAG: &str = "latest";
/// Longest name that is believed.
const MAX_BYTES: usize = 1024;

/// The name of an image.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reference {
    /// Host and port of the registry, if the name says it.
    pub registry: Option<String>,
    /// Path of the repository, such as `library/busybox`.
    pub repository: String,
    /// The tag; `latest` for names without tag and digest.
    pub tag: Option<String>,
    /// Such as `sha256:…`; it wins over the tag.
    pub digest: Option<String>,
}

/// A text is no name of an image.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is no name of an image")]
pub struct ReferenceError(pub String);

impl Reference {
    /// What a manifest is asked for by: the digest, else the tag.
    pub fn version(&self) -> &str {
        self.digest.as_deref().or(self.tag.as_deref()).unwrap_or(DEFAULT_TAG)
    }

    /// The name without its registry, such as `library/busybox:latest`.
    pub fn short(&self) -> String {
        match (&self.digest, &self.tag) {
            (Some(digest), _) => format!("{}@{digest}", self.repository),
            (None, tag) => {
                format!("{}:{}", self.repository, tag.as_deref().unwrap_or(DEFAULT_TAG))
            }
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.registry {
            Some(registry) => write!(f, "{registry}/{}", self.short()),
            None => f.write_str(&self.short()),
        }
    }
}

fn is_registry(part: &str) -> bool {
    part == "localhost" || part.contains(['.', ':'])
}

fn is_component(part: &str) -> bool {
    let allowed =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte);
    let edge = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric());
    part.bytes().all(allowed) && edge(part.bytes().next()) && edge(part.bytes().last())
}

fn is_tag(tag: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    (1..=128).contains(&tag.len()) && tag.bytes().all(allowed) && !tag.starts_with(['.', '-'])
}

/// True for `sha256:` and 64 hexadecimal digits: the digests that can be checked here.
pub(super) fn is_digest(digest: &str) -> bool {
    digest.strip_prefix("sha256:").is_some_and(|hex| {
        hex.len() == 64 && hex.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    })
}

fn is_host(host: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte);
    host.starts_with(|first: char| first.is_ascii_alphanumeric() || first == '[')
        && host.bytes().all(allowed)
}

impl FromStr for Reference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = || ReferenceError(text.chars().take(MAX_BYTES).collect());
        if text.len() > MAX_BYTES {
            return Err(bad());
        }
        let (name, digest) = match text.split_once('@') {
            Some((name, digest)) => (name, Some(digest.to_owned())),
            None => (text, None),
        };
        let (registry, path) = match name.split_once('/') {
            Some((first, rest)) if is_registry(first) => (Some(first.to_owned()), rest),
            _ => (None, name),
        };
        let (repository, tag) = match path.rsplit_once(':') {
            Some((repository, tag)) => (repository.to_owned(), Some(tag.to_owned())),
            None => (path.to_owned(), None),
        };
        let tag = tag.or_else(|| digest.is_none().then(|| DEFAULT_TAG.to_owned()));
        let sound = repository.split('/').all(is_component)
            && tag.as_deref().is_none_or(is_tag)
            && digest.as_deref().is_none_or(is_digest)
            && registry.as_deref().is_none_or(is_host);
        let reference = Self { registry, repository, tag, digest };
        sound.then_some(reference).ok_or_else(bad)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reference_parts_are_told_apart() {
        let digest = format!("sha256:{}", "0a".repeat(32));
        let cases = [
            ("busybox", None, "busybox", "latest"),
            ("library/busybox:1", None, "library/busybox", "1"),
            ("localhost/a", Some("localhost"), "a", "latest"),
            ("127.0.0.1:5000/a/b:c-1", Some("127.0.0.1:5000"), "a/b", "c-1"),
        ];
        for (text, registry, repository, version) in cases {
            let reference: Reference = text.parse().unwrap();
            assert_eq!(reference.registry.as_deref(), registry, "{text}");
            assert_eq!(reference.repository, repository);
            assert_eq!(reference.version(), version);
            assert_eq!(reference.to_string().parse(), Ok(reference));
        }
        let by_digest: Reference = format!("r.io/a:1@{digest}").parse().unwrap();
        assert_eq!(by_digest.version(), digest);
        assert_eq!(by_digest.short(), format!("a@{digest}"));
    }

    #[test]
    fn reference_that_is_none_is_refused() {
        let long = "a".repeat(2000);
        for bad in [
            "",
            "A",
            "a//b",
            "../a",
            "a/..",
            "a:",
            "a:b c",
            "a@sha256:1",
            "a@md5:00",
            "-a",
            "a:.b",
            "x y.io/a",
            &long,
        ] {
            assert!(bad.parse::<Reference>().is_err(), "{bad}");
        }
    }
}
