//! Whom TLS trusts: whom the system trusts, or the certificates of a file.

use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};

use crate::Result;
use crate::error::HubError;

/// Largest file of certificates that is read; those of whole systems have some hundred kilobytes.
const LARGEST: u64 = 16 << 20;

/// TLS with the system's verifier, or with the certificates of a PEM file instead.
pub(crate) fn config(certificates: Option<&Path>) -> Result<TlsConfig> {
    let roots = certificates.map_or(Ok(RootCerts::PlatformVerifier), read)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    Ok(TlsConfig::builder().root_certs(roots).unversioned_rustls_crypto_provider(provider).build())
}

fn read(path: &Path) -> Result<RootCerts> {
    let mut bytes = Vec::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(LARGEST).read_to_end(&mut bytes))
        .map_err(|source| HubError::Io { path: path.to_path_buf(), source })?;
    let refused = |problem: String| HubError::Certificates { path: path.to_path_buf(), problem };
    let mut certificates = Vec::new();
    for item in parse_pem(&bytes) {
        // Keys and whatever else such a file holds are nobody's business here.
        if let PemItem::Certificate(certificate) = item.map_err(|error| refused(error.to_string()))? {
            certificates.push(certificate);
        }
    }
    if certificates.is_empty() {
        return Err(refused("it has none".to_owned()));
    }
    Ok(RootCerts::from(certificates))
}

/// Why the other side is not trusted, where a failure is that; another try changes nothing then.
pub(crate) fn distrust(error: &ureq::Error) -> Option<String> {
    let error = match error {
        ureq::Error::Rustls(error) => error,
        ureq::Error::Io(error) => error.get_ref()?.downcast_ref()?,
        _ => return None,
    };
    match error {
        rustls::Error::InvalidCertificate(problem) => Some(problem.to_string()),
        // The verifier's word where the system has no certificates.
        rustls::Error::General(problem) => Some(problem.clone()),
        _ => None,
    }
}
