//! TLS on the node's one port and on the connections it makes.

mod settings;
mod verify;

use std::net::{SocketAddr, SocketAddrV4};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::io::Io;
pub use settings::{TlsError, TlsSettings};

/// The first byte of a TLS handshake; no HTTP method begins with it.
const HANDSHAKE: u8 = 0x16;

/// What a node needs to speak TLS.
pub(crate) struct Tls {
    acceptor: TlsAcceptor,
    connector: TlsConnector,
    downgrade: bool,
}

impl Tls {
    pub(crate) fn new(settings: &TlsSettings) -> Result<Self, TlsError> {
        let unreadable = |path: &std::path::Path, error: &dyn std::fmt::Display| {
            TlsError::Unreadable { path: path.to_owned(), reason: error.to_string() }
        };
        let (cert, key) = (&settings.cert_file, &settings.key_file);
        let certificates: Vec<_> = CertificateDer::pem_file_iter(cert)
            .and_then(Iterator::collect)
            .map_err(|error| unreadable(cert, &error))?;
        let key_der = PrivateKeyDer::from_pem_file(key).map_err(|error| unreadable(key, &error))?;
        let roots = Arc::new(settings.roots()?);
        let provider = Arc::new(settings.provider()?);
        let versions = settings.versions();
        let failed = |error: rustls::Error| TlsError::Refused(error.to_string());
        let client = ClientConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&versions)
            .map_err(failed)?
            .dangerous()
            .with_custom_certificate_verifier(verify::server(settings, &roots, &provider)?)
            .with_client_auth_cert(certificates.clone(), key_der.clone_key())
            .map_err(failed)?;
        let server = ServerConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&versions)
            .map_err(failed)?
            .with_client_cert_verifier(verify::client(settings, roots, provider)?)
            .with_single_cert(certificates, key_der)
            .map_err(failed)?;
        Ok(Self {
            acceptor: TlsAcceptor::from(Arc::new(server)),
            connector: TlsConnector::from(Arc::new(client)),
            downgrade: settings.support_downgrade,
        })
    }

    /// Takes an accepted connection over. With downgrade allowed, the first byte tells which kind
    /// it is.
    pub(crate) async fn accept(&self, stream: TcpStream) -> std::io::Result<Io> {
        if self.downgrade {
            let mut first = [0];
            stream.peek(&mut first).await?;
            if first[0] != HANDSHAKE {
                return Ok(Io::new(Box::new(stream)));
            }
        }
        Ok(Io::new(Box::new(self.acceptor.accept(stream).await?)))
    }

    /// Makes a connection that was dialled secure; in clear text over a new one when that fails
    /// and downgrade is allowed.
    pub(crate) async fn connect(
        &self,
        stream: TcpStream,
        peer: SocketAddrV4,
    ) -> std::io::Result<Io> {
        let name = ServerName::IpAddress(SocketAddr::V4(peer).ip().into());
        match self.connector.connect(name, stream).await {
            Ok(secure) => Ok(Io::new(Box::new(secure))),
            Err(error) if !self.downgrade => Err(error),
            Err(_) => {
                let clear = TcpStream::connect(peer).await?;
                clear.set_nodelay(true)?;
                Ok(Io::new(Box::new(clear)))
            }
        }
    }
}

/// Adds the certificates of a PEM file; those that are no roots are passed over.
fn add_roots(roots: &mut RootCertStore, path: &std::path::Path) -> Result<(), TlsError> {
    let failed = |error: rustls::pki_types::pem::Error| TlsError::Unreadable {
        path: path.to_owned(),
        reason: error.to_string(),
    };
    let certificates: Vec<_> =
        CertificateDer::pem_file_iter(path).and_then(Iterator::collect).map_err(failed)?;
    roots.add_parsable_certificates(certificates);
    Ok(())
}
