//! Real handshakes with a hub in this process, whose certificate only a test's own authority vouches for.

#![cfg(feature = "download")]
#![allow(clippy::unwrap_used, reason = "a helper of tests fails like a test")]

mod common;
#[path = "common/place.rs"]
mod place;

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use neuro_hub::{HubError, Settings};
use place::{Place, read, weights};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tls").join(name)
}

/// Stands before a server that knows no TLS; gives the address that does.
fn encrypt(plain: &str) -> String {
    let certificate = CertificateDer::from_pem_file(file("localhost.pem")).unwrap();
    let key = PrivateKeyDer::try_from(std::fs::read(file("localhost.key.der")).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = Arc::new(config.with_no_client_auth().with_single_cert(vec![certificate], key).unwrap());
    let server = plain.strip_prefix("http://").unwrap().to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("https://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (config, server) = (Arc::clone(&config), server.clone());
            // Who is not trusted sees the connection end; that is no failure of a test.
            std::thread::spawn(move || forward(stream, config, &server));
        }
    });
    address
}

/// One request, which has no body, and its answer, behind which the server closes.
fn forward(stream: TcpStream, config: Arc<ServerConfig>, server: &str) -> std::io::Result<()> {
    let connection = ServerConnection::new(config).map_err(std::io::Error::other)?;
    let mut encrypted = StreamOwned::new(connection, stream);
    let mut request = Vec::new();
    let mut chunk = [0; 4096];
    while !request.windows(4).any(|end| end == b"\r\n\r\n") {
        let count = encrypted.read(&mut chunk)?;
        if count == 0 {
            return Ok(());
        }
        request.extend_from_slice(&chunk[..count]);
    }
    let mut plain = TcpStream::connect(server)?;
    plain.write_all(&request)?;
    std::io::copy(&mut plain, &mut encrypted)?;
    encrypted.conn.send_close_notify();
    encrypted.flush()
}

/// A hub and its store, both behind TLS, and settings that trust the certificates of a file, or whom the system trusts.
fn encrypted(certificates: Option<&str>) -> Place {
    let mut place = Place::sharded();
    place.hub.behind(encrypt);
    let (endpoint, certificates) = (place.hub.endpoint.clone(), certificates.map(file));
    place.settings = Settings { endpoint, certificates, ..place.settings };
    place
}

#[test]
fn a_model_comes_from_whom_the_file_trusts() {
    let place = encrypted(Some("authority.pem"));
    let snapshot = place.find("org/name").unwrap();
    assert_eq!(read(&snapshot.path, "config.json"), b"{}");
    assert_eq!(read(&snapshot.path, "model-00001-of-00002.safetensors"), weights(1));
    assert_eq!(place.hub.loads().len(), 3, "the tokenizer and two shards");
}

#[test]
fn whom_nobody_trusts_is_asked_nothing() {
    // Neither the system nor whoever trusts another certificate knows this authority.
    for certificates in [None, Some("localhost.pem")] {
        let place = encrypted(certificates);
        let error = place.find("org/name").unwrap_err();
        let HubError::Untrusted { host, problem } = &error else { panic!("{error}") };
        assert_eq!(host, "127.0.0.1");
        assert!(!problem.is_empty(), "{error}");
        assert_eq!(place.hub.asked(), []);
    }
}

#[test]
fn contents_without_encryption_are_refused() {
    let mut place = Place::sharded();
    let (endpoint, certificates) = (encrypt(&place.hub.endpoint), Some(file("authority.pem")));
    place.settings = Settings { endpoint, certificates, ..place.settings };
    let error = place.find("org/name").unwrap_err();
    assert!(matches!(&error, HubError::Answer { problem, .. } if problem.contains("without encryption")), "{error}");
    assert_eq!(place.hub.loads(), []);
}

#[test]
fn files_that_hold_no_certificates_are_named() {
    let mut place = encrypted(Some("localhost.key.der"));
    let message = place.find("org/name").unwrap_err().to_string();
    assert!(message.contains("localhost.key.der: it has none, expected certificates as PEM"), "{message}");
    let damaged = place.cache.path().join("damaged.pem");
    std::fs::write(&damaged, "-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n").unwrap();
    for other in [damaged, place.cache.path().join("missing.pem"), place.cache.path().to_path_buf()] {
        place.settings.certificates = Some(other.clone());
        let error = place.find("org/name").unwrap_err();
        assert!(matches!(error, HubError::Certificates { .. } | HubError::Io { .. }), "{error}");
        assert!(error.to_string().contains(&other.display().to_string()), "{error}");
    }
    assert_eq!(place.hub.asked(), []);
}

#[test]
fn what_is_here_needs_no_trust() {
    let mut place = encrypted(Some("authority.pem"));
    let snapshot = place.find("org/name").unwrap();
    // Nothing is asked for a model that is complete, and one that lacks a tokenizer is used as it is.
    place.settings.certificates = None;
    assert!(!place.find("org/name").unwrap().is_fresh);
    std::fs::remove_file(snapshot.path.join("tokenizer.json")).unwrap();
    for certificates in [None, Some(place.cache.path().join("missing.pem"))] {
        let settings = Settings { certificates, ..place.settings.clone() };
        let (found, said) = place.told(&settings, "org/name");
        assert_eq!(found.unwrap().path, snapshot.path);
        assert_eq!(said.len(), 1, "{said:?}");
    }
}
