//! TLS to the server: rustls with ring, public roots or the operator's own.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio_rustls::TlsConnector;

use super::options::{SmtpOptions, TlsMode};

/// TLS cannot be set up as configured.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("cannot read the certificates of {}", path.display())]
    CaFile { path: PathBuf, source: rustls::pki_types::pem::Error },
    #[error("{} holds no certificate", path.display())]
    NoCertificate { path: PathBuf },
    #[error("{0} is neither a host name nor an IP address")]
    HostName(String),
    #[error("TLS cannot be set up")]
    Rustls(#[from] rustls::Error),
}

/// What a connection needs to become an encrypted one; `None` when it never does.
pub(super) struct Encryption {
    pub(super) connector: TlsConnector,
    pub(super) server_name: ServerName<'static>,
}

pub(super) fn encryption(options: &SmtpOptions) -> Result<Option<Encryption>, TlsError> {
    if options.tls == TlsMode::None {
        return Ok(None);
    }
    let provider = Arc::new(ring::default_provider());
    let builder =
        ClientConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions()?;
    let config = if options.accept_any_certificate {
        builder.dangerous().with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)))
    } else {
        builder.with_root_certificates(roots(options)?)
    };
    let server_name = ServerName::try_from(options.host.clone())
        .map_err(|_not_a_name| TlsError::HostName(options.host.clone()))?;
    Ok(Some(Encryption {
        connector: TlsConnector::from(Arc::new(config.with_no_client_auth())),
        server_name,
    }))
}

fn roots(options: &SmtpOptions) -> Result<RootCertStore, TlsError> {
    let Some(path) = &options.ca_file else {
        return Ok(RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() });
    };
    let unreadable = |source| TlsError::CaFile { path: path.clone(), source };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path).map_err(unreadable)? {
        roots.add(certificate.map_err(unreadable)?)?;
    }
    if roots.is_empty() {
        return Err(TlsError::NoCertificate { path: path.clone() });
    }
    Ok(roots)
}

/// What a failed handshake tells the operator.
pub(super) fn handshake_failed(error: &io::Error) -> String {
    format!("TLS handshake failed: {error}")
}

/// Takes any certificate: for `tls=insecure` only. Signatures of the handshake are still checked.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
