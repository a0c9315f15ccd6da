//! Which certificates are believed.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

use super::{TlsError, TlsSettings};

/// How much of a server's certificate is checked.
#[derive(Debug)]
enum Trust {
    /// Nothing but that the server has the certificate's key.
    Anyone,
    /// The chain up to a root; the name is not looked at.
    Chain(Arc<WebPkiServerVerifier>),
    /// The chain, and that the certificate names the server's ip.
    ChainAndIp(Arc<WebPkiServerVerifier>),
}

#[derive(Debug)]
struct Servers {
    trust: Trust,
    provider: Arc<CryptoProvider>,
}

pub(super) fn server(
    settings: &TlsSettings,
    roots: &Arc<RootCertStore>,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ServerCertVerifier>, TlsError> {
    let chain = || {
        WebPkiServerVerifier::builder_with_provider(roots.clone(), provider.clone())
            .build()
            .map_err(|error| TlsError::Refused(error.to_string()))
    };
    let trust = match (settings.verify_server, settings.verify_ip) {
        (false, _) => Trust::Anyone,
        (true, false) => Trust::Chain(chain()?),
        (true, true) => Trust::ChainAndIp(chain()?),
    };
    Ok(Arc::new(Servers { trust, provider: provider.clone() }))
}

pub(super) fn client(
    settings: &TlsSettings,
    roots: Arc<RootCertStore>,
    provider: Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    if !settings.require_client {
        return Ok(WebPkiClientVerifier::no_client_auth());
    }
    let built = WebPkiClientVerifier::builder_with_provider(roots, provider).build();
    built.map_err(|error| TlsError::Refused(error.to_string()))
}

/// A certificate whose chain is good but which names another host.
fn is_about_the_name(error: &Error) -> bool {
    use CertificateError::{NotValidForName, NotValidForNameContext};
    matches!(error, Error::InvalidCertificate(NotValidForName | NotValidForNameContext { .. }))
}

impl ServerCertVerifier for Servers {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let check = |chain: &WebPkiServerVerifier| {
            chain.verify_server_cert(end_entity, intermediates, server_name, ocsp, now)
        };
        match &self.trust {
            Trust::Anyone => Ok(ServerCertVerified::assertion()),
            Trust::ChainAndIp(chain) => check(chain),
            // The name is looked at last, when all else was found good.
            Trust::Chain(chain) => check(chain).or_else(|error| {
                if is_about_the_name(&error) {
                    Ok(ServerCertVerified::assertion())
                } else {
                    Err(error)
                }
            }),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, cert, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, cert, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
