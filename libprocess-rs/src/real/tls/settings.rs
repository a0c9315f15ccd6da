//! The `LIBPROCESS_SSL_*` variables.

use std::path::{Path, PathBuf};

use rustls::crypto::{CryptoProvider, ring};
use rustls::{RootCertStore, SupportedProtocolVersion, version};

/// Where distributions keep the roots that they trust.
const SYSTEM_ROOTS: &str = "/etc/ssl/certs/ca-certificates.crt";

/// Names of cipher suites as the variables have them, with those of the standard.
const SUITES: [(&str, &str); 9] = [
    ("ECDHE-ECDSA-AES128-GCM-SHA256", "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"),
    ("ECDHE-ECDSA-AES256-GCM-SHA384", "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"),
    ("ECDHE-ECDSA-CHACHA20-POLY1305", "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256"),
    ("ECDHE-RSA-AES128-GCM-SHA256", "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"),
    ("ECDHE-RSA-AES256-GCM-SHA384", "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384"),
    ("ECDHE-RSA-CHACHA20-POLY1305", "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256"),
    ("TLS_AES_128_GCM_SHA256", "TLS13_AES_128_GCM_SHA256"),
    ("TLS_AES_256_GCM_SHA384", "TLS13_AES_256_GCM_SHA384"),
    ("TLS_CHACHA20_POLY1305_SHA256", "TLS13_CHACHA20_POLY1305_SHA256"),
];
const CURVES: [(&str, &str); 3] =
    [("X25519", "X25519"), ("prime256v1", "secp256r1"), ("secp384r1", "secp384r1")];

/// TLS as the `LIBPROCESS_SSL_*` variables set it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsSettings {
    /// `CERT_FILE`: the node's certificate chain, PEM.
    pub cert_file: PathBuf,
    /// `KEY_FILE`: its private key, PEM.
    pub key_file: PathBuf,
    /// `SUPPORT_DOWNGRADE`: speak clear text with peers that do.
    pub support_downgrade: bool,
    /// `VERIFY_SERVER_CERT`: check the certificates of nodes that are connected to.
    pub verify_server: bool,
    /// `REQUIRE_CLIENT_CERT`: peers that connect must have a certificate that checks out.
    pub require_client: bool,
    /// `VERIFY_IPADD`: a server's certificate must name its ip.
    pub verify_ip: bool,
    /// `CA_FILE`: trusted roots, PEM.
    pub ca_file: Option<PathBuf>,
    /// `CA_DIR`: a directory of such files.
    pub ca_dir: Option<PathBuf>,
    /// `CIPHERS`, separated by colons; None for all that are known.
    pub ciphers: Option<String>,
    /// `ECDH_CURVES`, separated by colons; None (`auto`) for all that are known.
    pub curves: Option<String>,
    /// `ENABLE_TLS_V1_2`.
    pub tls12: bool,
    /// `ENABLE_TLS_V1_3`.
    pub tls13: bool,
}

/// TLS cannot be set up.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TlsError {
    /// A variable that is needed is not set.
    #[error("LIBPROCESS_SSL_{0} must be set when LIBPROCESS_SSL_ENABLED is true")]
    Missing(&'static str),
    /// A variable has a value that cannot be served.
    #[error("LIBPROCESS_SSL_{name}='{value}' is not valid: {expected}")]
    Invalid {
        /// The variable without its prefix.
        name: &'static str,
        /// Its value.
        value: String,
        /// What would be valid.
        expected: &'static str,
    },
    /// A file cannot be read.
    #[error("cannot read {path}: {reason}")]
    Unreadable {
        /// The file or directory.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// Certificate, key and roots do not fit together.
    #[error("tls cannot be set up: {0}")]
    Refused(String),
}

struct Variables<'a>(&'a dyn Fn(&str) -> Option<String>);

impl Variables<'_> {
    /// `LIBPROCESS_SSL_<name>`, else the old `SSL_<name>`.
    fn text(&self, name: &str) -> Option<String> {
        let value = (self.0)(&format!("LIBPROCESS_SSL_{name}"));
        value.or_else(|| (self.0)(&format!("SSL_{name}"))).filter(|value| !value.is_empty())
    }

    fn flag(&self, name: &'static str, default: bool) -> Result<bool, TlsError> {
        let Some(value) = self.text(name) else { return Ok(default) };
        match value.as_str() {
            "1" | "true" => Ok(true),
            "0" | "false" => Ok(false),
            _ => Err(TlsError::Invalid { name, value, expected: "true or false" }),
        }
    }

    /// A flag that once had another name.
    fn renamed(&self, name: &'static str, old: &'static str) -> Result<bool, TlsError> {
        Ok(self.flag(name, false)? || self.flag(old, false)?)
    }

    fn none_of(&self, names: [&'static str; 3]) -> Result<(), TlsError> {
        for name in names {
            if self.flag(name, false)? {
                let expected = "versions of TLS before 1.2 are not served";
                return Err(TlsError::Invalid { name, value: "true".to_owned(), expected });
            }
        }
        Ok(())
    }
}

impl TlsSettings {
    /// Reads the variables; None when TLS is not enabled.
    ///
    /// # Errors
    /// [`TlsError`] for a value that is missing or cannot be served.
    pub fn from_env(lookup: impl Fn(&str) -> Option<String>) -> Result<Option<Self>, TlsError> {
        let read = Variables(&lookup);
        if !read.flag("ENABLED", false)? {
            return Ok(None);
        }
        read.none_of(["ENABLE_SSL_V3", "ENABLE_TLS_V1_0", "ENABLE_TLS_V1_1"])?;
        let file =
            |name: &'static str| read.text(name).map(PathBuf::from).ok_or(TlsError::Missing(name));
        let require_client = read.renamed("REQUIRE_CLIENT_CERT", "REQUIRE_CERT")?;
        let settings = Self {
            cert_file: file("CERT_FILE")?,
            key_file: file("KEY_FILE")?,
            support_downgrade: read.flag("SUPPORT_DOWNGRADE", false)?,
            verify_server: read.renamed("VERIFY_SERVER_CERT", "VERIFY_CERT")? || require_client,
            require_client,
            verify_ip: read.flag("VERIFY_IPADD", false)?,
            ca_file: read.text("CA_FILE").map(PathBuf::from),
            ca_dir: read.text("CA_DIR").map(PathBuf::from),
            ciphers: read.text("CIPHERS"),
            curves: read.text("ECDH_CURVES").filter(|curves| curves != "auto"),
            tls12: read.flag("ENABLE_TLS_V1_2", true)?,
            tls13: read.flag("ENABLE_TLS_V1_3", false)?,
        };
        if !settings.tls12 && !settings.tls13 {
            return Err(TlsError::Invalid {
                name: "ENABLE_TLS_V1_2",
                value: "false".to_owned(),
                expected: "one version of TLS must be enabled",
            });
        }
        Ok(Some(settings))
    }

    pub(super) fn versions(&self) -> Vec<&'static SupportedProtocolVersion> {
        let mut versions = Vec::new();
        versions.extend(self.tls12.then_some(&version::TLS12));
        versions.extend(self.tls13.then_some(&version::TLS13));
        versions
    }

    /// The cryptography, cut down to the suites and curves that were asked for.
    pub(super) fn provider(&self) -> Result<CryptoProvider, TlsError> {
        let mut provider = ring::default_provider();
        if let Some(wanted) = &self.ciphers {
            let wanted = chosen("CIPHERS", wanted, &SUITES)?;
            provider
                .cipher_suites
                .retain(|suite| wanted.contains(&format!("{:?}", suite.suite()).as_str()));
        }
        if let Some(wanted) = &self.curves {
            let wanted = chosen("ECDH_CURVES", wanted, &CURVES)?;
            provider
                .kx_groups
                .retain(|group| wanted.contains(&format!("{:?}", group.name()).as_str()));
        }
        Ok(provider)
    }

    pub(super) fn roots(&self) -> Result<RootCertStore, TlsError> {
        let mut roots = RootCertStore::empty();
        if let Some(file) = &self.ca_file {
            super::add_roots(&mut roots, file)?;
        }
        if let Some(dir) = &self.ca_dir {
            let failed = |error: std::io::Error| TlsError::Unreadable {
                path: dir.clone(),
                reason: error.to_string(),
            };
            for entry in std::fs::read_dir(dir).map_err(failed)? {
                // Directories of roots also hold what is no certificate.
                let _ = super::add_roots(&mut roots, &entry.map_err(failed)?.path());
            }
        }
        let verifies = self.verify_server || self.require_client;
        if self.ca_file.is_none() && self.ca_dir.is_none() && verifies {
            super::add_roots(&mut roots, Path::new(SYSTEM_ROOTS))?;
        }
        Ok(roots)
    }
}

/// The standard names of those that a list names; unknown ones are passed over, as different
/// builds know different ones, unless nothing is left.
fn chosen(
    name: &'static str,
    list: &str,
    known: &[(&'static str, &'static str)],
) -> Result<Vec<&'static str>, TlsError> {
    let names = list.split([':', ',', ' ']);
    let found = names.filter_map(|wanted| known.iter().find(|(name, _)| *name == wanted));
    let found: Vec<_> = found.map(|(_, standard)| *standard).collect();
    if found.is_empty() {
        let expected = "none of them is served";
        return Err(TlsError::Invalid { name, value: list.to_owned(), expected });
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<Option<TlsSettings>, TlsError> {
        let pairs: Vec<(String, String)> =
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        TlsSettings::from_env(move |name| {
            pairs.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone())
        })
    }

    const BASE: [(&str, &str); 3] = [
        ("LIBPROCESS_SSL_ENABLED", "true"),
        ("LIBPROCESS_SSL_CERT_FILE", "/c"),
        ("LIBPROCESS_SSL_KEY_FILE", "/k"),
    ];

    fn with(more: (&'static str, &'static str)) -> Result<Option<TlsSettings>, TlsError> {
        read(&[&BASE[..], &[more]].concat())
    }

    #[test]
    fn tls_settings_unless_enabled_are_none() {
        assert_eq!(read(&[("LIBPROCESS_SSL_CERT_FILE", "/c")]), Ok(None));
    }

    #[test]
    fn tls_settings_old_names_and_prefix_count() {
        let settings = read(&[
            ("SSL_ENABLED", "1"),
            ("SSL_CERT_FILE", "/old"),
            ("LIBPROCESS_SSL_CERT_FILE", "/new"),
            ("SSL_KEY_FILE", "/k"),
            ("SSL_REQUIRE_CERT", "true"),
        ]);
        let settings = settings.unwrap().unwrap();
        assert_eq!(settings.cert_file, PathBuf::from("/new"));
        assert!(settings.require_client && settings.verify_server);
        assert!(settings.tls12 && !settings.tls13);
    }

    #[test]
    fn tls_settings_bad_values_name_the_variable() {
        assert_eq!(
            read(&BASE[..2]),
            Err(TlsError::Missing("KEY_FILE")),
            "the key is needed as well"
        );
        for (name, value) in [
            ("LIBPROCESS_SSL_VERIFY_SERVER_CERT", "maybe"),
            ("LIBPROCESS_SSL_ENABLE_TLS_V1_0", "true"),
            ("LIBPROCESS_SSL_ENABLE_TLS_V1_2", "false"),
        ] {
            let error = with((name, value)).expect_err(name);
            assert!(error.to_string().starts_with(name), "{error}");
        }
    }

    #[test]
    fn tls_settings_ciphers_cut_down_what_is_offered() {
        let settings = with(("LIBPROCESS_SSL_CIPHERS", "RC4-SHA:ECDHE-RSA-AES128-GCM-SHA256"));
        let provider = settings.unwrap().unwrap().provider().unwrap();
        assert_eq!(provider.cipher_suites.len(), 1);
        let none = with(("LIBPROCESS_SSL_CIPHERS", "RC4-SHA:AES128-SHA")).unwrap().unwrap();
        assert!(none.provider().is_err());
        let curve = with(("LIBPROCESS_SSL_ECDH_CURVES", "prime256v1")).unwrap().unwrap();
        assert_eq!(curve.provider().unwrap().kx_groups.len(), 1);
    }
}
