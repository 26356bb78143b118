//! Whom to trust with TLS, and who we are: the system's authorities, and what `certs.d` has for a registry.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use ureq::tls::{
    Certificate, ClientCert, PemItem, PrivateKey, RootCerts, TlsConfig, TlsProvider, parse_pem,
};

use crate::error::{Error, ErrorKind, Result};

/// Where the certificates of registries are: directories with one named `HOST[:PORT]` for each, as
/// containers-certs.d(5) has it: `*.crt` are authorities, `*.cert` with `*.key` is a client's certificate.
pub(crate) fn usual_directories() -> Vec<PathBuf> {
    ["/etc/containers/certs.d", "/etc/docker/certs.d"].map(PathBuf::from).into()
}

/// The TLS settings for the registry at `authority`.
pub(crate) fn settings(
    directories: &[PathBuf],
    authority: &str,
    verify: bool,
) -> Result<TlsConfig> {
    let mut own = Own::default();
    for directory in directories {
        own.add(&directory.join(authority))?;
    }
    let mut settings = TlsConfig::builder()
        .provider(TlsProvider::Rustls)
        // ureq warns that the type may change with rustls: then this line won't compile.
        .unversioned_rustls_crypto_provider(Arc::new(ring::default_provider()))
        .client_cert(own.client);
    if verify {
        let mut roots = system()?;
        roots.extend(own.authorities);
        if roots.is_empty() {
            return Err(Error::new(
                ErrorKind::Tls,
                format!(
                    "{authority} can't be verified: this machine has no authorities to trust; \
                     install ca-certificates, or set SSL_CERT_FILE"
                ),
            ));
        }
        settings = settings.root_certs(RootCerts::Specific(Arc::new(roots)));
    } else {
        settings =
            settings.root_certs(RootCerts::Specific(Arc::default())).disable_verification(true);
    }
    Ok(settings.build())
}

/// The authorities that this machine trusts, or those of `SSL_CERT_FILE` and `SSL_CERT_DIR`.
fn system() -> Result<Vec<Certificate<'static>>> {
    let found = rustls_native_certs::load_native_certs();
    if found.certs.is_empty()
        && let Some(error) = found.errors.into_iter().next()
    {
        let message = "reading the authorities that this machine trusts failed";
        return Err(Error::new(ErrorKind::Tls, message).because(error));
    }
    Ok(found.certs.iter().map(|cert| Certificate::from_der(cert).to_owned()).collect())
}

/// What one registry's directories hold.
#[derive(Default)]
struct Own {
    authorities: Vec<Certificate<'static>>,
    client: Option<ClientCert>,
}

impl Own {
    fn add(&mut self, directory: &Path) -> Result<()> {
        let entries = match fs::read_dir(directory) {
            Ok(entries) => entries,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(e) => return Err(bad(directory, "can't be read").because(e)),
        };
        let mut paths: Vec<PathBuf> = entries.filter_map(|e| Some(e.ok()?.path())).collect();
        paths.sort();
        for path in paths {
            match path.extension().and_then(|extension| extension.to_str()) {
                Some("crt") => self.authorities.extend(certificates(&path)?),
                Some("cert") => {
                    let chain = certificates(&path)?;
                    let key = key(&path.with_extension("key"))?;
                    check_pair(&path, &chain, &key)?;
                    self.client = Some(ClientCert::new_with_certs(&chain, key));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

fn bad(path: &Path, why: &str) -> Error {
    Error::new(ErrorKind::Configuration, format!("{} {why}", path.display()))
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).map_err(|e| bad(path, "can't be read").because(e))
}

fn certificates(path: &Path) -> Result<Vec<Certificate<'static>>> {
    let mut found = Vec::new();
    for item in parse_pem(&read(path)?) {
        let item = item.map_err(|e| bad(path, "is not in PEM format").because(e))?;
        if let PemItem::Certificate(certificate) = item {
            found.push(certificate);
        }
    }
    if found.is_empty() {
        return Err(bad(path, "holds no certificate in PEM format"));
    }
    Ok(found)
}

/// Fails unless TLS can use the certificate with its key: ureq panics where it can't.
fn check_pair(path: &Path, chain: &[Certificate<'_>], key: &PrivateKey<'_>) -> Result<()> {
    let unfit =
        || bad(path, "can't be used with its .key: it should be that key's, in X.509 version 3");
    let chain = chain.iter().map(|it| CertificateDer::from(it.der()).into_owned()).collect();
    let key = PrivateKeyDer::try_from(key.der().to_vec()).map_err(|e| unfit().because(e))?;
    CertifiedKey::from_der(chain, key, &ring::default_provider())
        .map(drop)
        .map_err(|e| unfit().because(e))
}

fn key(path: &Path) -> Result<PrivateKey<'static>> {
    PrivateKey::from_pem(&read(path)?)
        .map_err(|e| bad(path, "holds no private key in PEM format").because(e))
}
