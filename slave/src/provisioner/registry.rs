//! Images from a registry, by its HTTP interface of version 2; `curl` does the transport.
//!
//! What is asked for is told to curl on its standard input: neither tokens nor passwords are seen
//! among its arguments.

use std::fs;
use std::io::{self, Read};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::manifest::{self, Answer};
use super::reference::{DEFAULT_REGISTRY, Reference};
use crate::fetcher::Transfer;

/// Largest manifest, configuration or token that is read.
pub(super) const MAX_DOCUMENT: u64 = 8 << 20;
const ACCEPT: &str = "application/vnd.docker.distribution.manifest.v2+json, \
    application/vnd.docker.distribution.manifest.list.v2+json, \
    application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json";
/// What Docker's own registry is called in files of credentials.
const DOCKER_HUB: [&str; 2] = ["https://index.docker.io/v1/", "docker.io"];

fn bad(message: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, message.into())
}

/// A connection to one repository of a registry.
pub(super) struct Registry {
    base: String,
    repository: String,
    /// `user:password`.
    credential: Option<String>,
    /// The header that lets us in, once we know it.
    authorization: Option<String>,
    stall: Duration,
    /// Where heads of answers are put.
    staging: std::path::PathBuf,
}

struct Head {
    status: u16,
    challenge: Option<String>,
}

impl Registry {
    /// Of an image's name; `default` is the flag `docker_registry`, `config` are credentials in the
    /// form of docker's own file.
    pub(super) fn new(
        reference: &Reference,
        default: Option<&str>,
        config: Option<&Value>,
        stall: Duration,
        staging: &Path,
    ) -> Self {
        let base = match (&reference.registry, default) {
            (Some(host), _) => with_scheme(host),
            (None, Some(default)) => with_scheme(default.trim_end_matches('/')),
            (None, None) => format!("https://{DEFAULT_REGISTRY}"),
        };
        let is_hub = base.ends_with(DEFAULT_REGISTRY);
        let repository = match is_hub && !reference.repository.contains('/') {
            true => format!("library/{}", reference.repository),
            false => reference.repository.clone(),
        };
        let credential = config.and_then(|config| credential(config, &base, is_hub));
        let staging = staging.to_owned();
        Self { base, repository, credential, authorization: None, stall, staging }
    }

    /// The image's manifest: digests of its configuration and its layers.
    pub(super) fn manifest(&mut self, version: &str) -> io::Result<(String, Vec<String>)> {
        let mut version = version.to_owned();
        // An index leads to a manifest, and to nothing else.
        for _ in 0..2 {
            let path = format!("manifests/{version}");
            let bytes = self.document(&path)?;
            if version.starts_with("sha256:") {
                check(&bytes, &version)?;
            }
            match manifest::answer(&bytes).map_err(io::Error::other)? {
                Answer::Index(digest) => version = digest,
                Answer::Image { config, layers } => return Ok((config, layers)),
            }
        }
        Err(bad("an index leads to another index"))
    }

    /// A small blob, as a whole.
    pub(super) fn small(&mut self, digest: &str) -> io::Result<Vec<u8>> {
        let bytes = self.document(&format!("blobs/{digest}"))?;
        check(&bytes, digest)?;
        Ok(bytes)
    }

    fn document(&mut self, path: &str) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.get(path, MAX_DOCUMENT, |body| body.read_to_end(&mut bytes).map(drop))?;
        Ok(bytes)
    }

    /// Gets something below the repository, with what lets us in if need be.
    pub(super) fn get(
        &mut self,
        path: &str,
        most: u64,
        mut take: impl FnMut(&mut dyn Read) -> io::Result<()>,
    ) -> io::Result<()> {
        let url = format!("{}/v2/{}/{path}", self.base, self.repository);
        for _ in 0..2 {
            let header = self.authorization.clone();
            let head = self.ask(&url, header.as_deref(), most, &mut take)?;
            match (head.status, head.challenge) {
                (200, _) => return Ok(()),
                (401, Some(challenge)) if header.is_none() => {
                    self.authorization = Some(self.answer_challenge(&challenge)?);
                }
                (status, _) => return Err(bad(format!("{url} answered {status}"))),
            }
        }
        Err(bad(format!("{url}: the registry does not let us in")))
    }

    /// What the registry wants to see after it said so.
    fn answer_challenge(&self, challenge: &str) -> io::Result<String> {
        let basic = |credential: &String| format!("Basic {}", STANDARD.encode(credential));
        // A password goes to nobody who could be overheard, and is for nothing that could be.
        let withheld = "a password is not sent without TLS";
        let safe = is_safe(&self.base);
        let (scheme, parameters) = challenge.split_once(' ').unwrap_or((challenge, ""));
        if scheme.eq_ignore_ascii_case("basic") {
            let credential = self.credential.as_ref();
            let credential = credential.ok_or_else(|| bad("the registry wants a password"))?;
            let refused = || bad(format!("{}: {withheld}", self.base));
            return safe.then(|| basic(credential)).ok_or_else(refused);
        }
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Err(bad(format!("the registry wants '{scheme}', which is not served")));
        }
        let parameters = parse_parameters(parameters);
        let get = |name: &str| parameters.iter().find(|(key, _)| key == name).map(|(_, v)| v);
        let realm =
            get("realm").ok_or_else(|| bad("the registry does not say who gives tokens"))?;
        if !is_web(realm) {
            return Err(bad(format!("the registry's realm '{realm}' is none of the web")));
        }
        let mut url = realm.clone();
        for name in ["service", "scope"] {
            if let Some(value) = get(name) {
                let mark = if url.contains('?') { '&' } else { '?' };
                url = format!("{url}{mark}{name}={}", escape(value));
            }
        }
        let safe = safe && is_safe(&url);
        let credential = self.credential.as_ref().filter(|_| safe).map(basic);
        let mut bytes = Vec::new();
        let head = self.ask(&url, credential.as_deref(), MAX_DOCUMENT, &mut |body| {
            body.read_to_end(&mut bytes).map(drop)
        })?;
        if head.status != 200 {
            let told = format!("{realm} answered {} to who asked for a token", head.status);
            return Err(bad(match self.credential.is_some() && !safe {
                true => format!("{told}: {withheld}"),
                false => told,
            }));
        }
        let value: Value = serde_json::from_slice(&bytes).map_err(io::Error::other)?;
        let token = ["token", "access_token"].iter().find_map(|key| value.get(*key)?.as_str());
        let token = token.filter(|token| !token.contains(['\r', '\n', '"', '\\']));
        token.map(|token| format!("Bearer {token}")).ok_or_else(|| bad("there is no token"))
    }

    /// One request; the body is handed over when the answer is 200.
    fn ask(
        &self,
        url: &str,
        authorization: Option<&str>,
        most: u64,
        take: &mut dyn FnMut(&mut dyn Read) -> io::Result<()>,
    ) -> io::Result<Head> {
        if url.contains(['"', '\\', '\r', '\n', ' ']) {
            return Err(bad(format!("malformed url {url}")));
        }
        let head = tempfile::NamedTempFile::new_in(&self.staging)?;
        let stall = self.stall.as_secs().max(1).to_string();
        let mut command = Command::new("curl");
        command
            .args(["--silent", "--show-error", "--fail", "--globoff", "--location"])
            .args(["--proto", "=https,http", "--proto-redir", "=https,http", "--max-redirs", "10"])
            .args(["--connect-timeout", "30", "--speed-limit", "1", "--speed-time", &stall])
            .args(["--config", "-", "--dump-header"])
            .arg(head.path())
            .stdin(Stdio::piped())
            .stderr(Stdio::null());
        let mut transfer = Transfer::start(command, "curl", most)?;
        let mut told = format!("url = \"{url}\"\nheader = \"Accept: {ACCEPT}\"\n");
        if let Some(authorization) = authorization {
            told.push_str(&format!("header = \"Authorization: {authorization}\"\n"));
        }
        transfer.tell(&told)?;
        // curl fails for answers from 400 on, and then there is no body.
        let taken = take(&mut transfer);
        let finished = taken.and_then(|()| transfer.finish());
        let head = read_head(&fs::read_to_string(head.path())?);
        match (head, finished) {
            (Some(head), Ok(())) => Ok(head),
            (Some(head), Err(_)) if head.status >= 400 => Ok(head),
            (_, Err(error)) => Err(error),
            (None, Ok(())) => Err(bad(format!("{url} gave no answer"))),
        }
    }
}

/// The last head of those that redirects led through.
fn read_head(text: &str) -> Option<Head> {
    let mut head = None;
    for line in text.lines() {
        if line.starts_with("HTTP/") {
            let status = line.split(' ').nth(1)?.parse().ok()?;
            head = Some(Head { status, challenge: None });
        } else if let (Some((name, value)), Some(head)) = (line.split_once(':'), &mut head)
            && name.eq_ignore_ascii_case("www-authenticate")
        {
            head.challenge = Some(value.trim().to_owned());
        }
    }
    head
}

fn is_web(url: &str) -> bool {
    url.starts_with("https://") || url.starts_with("http://")
}

/// True when nobody can overhear what is sent there.
fn is_safe(url: &str) -> bool {
    url.starts_with("https://") || is_loopback(url)
}

fn is_loopback(url: &str) -> bool {
    let host = url.split_once("://").map_or(url, |(_, rest)| rest);
    let host = host.split(['/', '?', '#']).next().unwrap_or_default();
    let (name, port) = host.rsplit_once(':').unwrap_or((host, "0"));
    // What looks like a port may be the end of somebody's password, with the host behind it.
    port.bytes().all(|byte| byte.is_ascii_digit())
        && (name == "localhost"
            || name.parse::<std::net::Ipv4Addr>().is_ok_and(|it| it.is_loopback()))
}

/// Registries speak TLS, those of this host need not.
fn with_scheme(host: &str) -> String {
    match host {
        host if is_web(host) => host.to_owned(),
        host if is_loopback(host) => format!("http://{host}"),
        host => format!("https://{host}"),
    }
}

/// `user:password` for the registry of an image.
pub(super) fn credential_of(reference: &Reference, config: &Value) -> Option<String> {
    let host = reference.registry.as_deref().unwrap_or(DEFAULT_REGISTRY);
    credential(config, &with_scheme(host), host == DEFAULT_REGISTRY)
}

/// `user:password` for a registry, of a file in docker's form.
fn credential(config: &Value, base: &str, is_hub: bool) -> Option<String> {
    let auths = config.get("auths").unwrap_or(config).as_object()?;
    let host = |text: &str| {
        let text = text.split_once("://").map_or(text, |(_, rest)| rest);
        text.split('/').next().unwrap_or_default().to_owned()
    };
    let wanted = host(base);
    let fits =
        |name: &&String| host(name) == wanted || is_hub && DOCKER_HUB.contains(&name.as_str());
    let name = auths.keys().find(fits)?;
    let auth = auths.get(name)?.get("auth")?.as_str()?;
    let decoded = String::from_utf8(STANDARD.decode(auth).ok()?).ok()?;
    decoded.contains(':').then_some(decoded)
}

/// `name="value"` pairs, separated by commas.
fn parse_parameters(text: &str) -> Vec<(String, String)> {
    let (mut found, mut rest) = (Vec::new(), text);
    while let Some((name, after)) = rest.split_once('=') {
        let name = name.trim_matches([',', ' ']).to_ascii_lowercase();
        let (value, tail) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
            None => after.split_once(',').unwrap_or((after, "")),
        };
        found.push((name, value.to_owned()));
        rest = tail;
    }
    found
}

fn escape(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
    let escaped = text.bytes().map(|byte| match plain(byte) {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02X}"),
    });
    escaped.collect()
}

fn check(bytes: &[u8], digest: &str) -> io::Result<()> {
    let found = super::digest::of(bytes);
    let differs = || bad(format!("{digest} was asked for and {found} was sent"));
    (found == digest).then_some(()).ok_or_else(differs)
}

#[cfg(test)]
mod tests;
