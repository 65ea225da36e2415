//! The client for HTTPS requests to other services.

use std::{
    error::Error,
    sync::{Arc, LazyLock},
    time::Duration,
};

use reqwest::{Client, ClientBuilder, redirect};
use rustls::{ClientConfig, RootCertStore, crypto::ring};

/// A connection that was idle for this long is not used again, because the instance may have been frozen meanwhile.
pub const MAX_IDLE: Duration = Duration::from_secs(30);

/// If sent data is not acknowledged for this long, the connection is given up and the request sent again. The network may have
/// dropped the connection while the instance was frozen. This does not limit the wait for a response.
const MAX_UNACKNOWLEDGED: Duration = Duration::from_secs(5);

/// Returns a builder for a client that trusts the usual certificate authorities. It follows no redirect, so that secrets go only
/// where they are meant to, and takes no proxy from the environment.
///
/// # Errors
/// When the TLS library cannot be set up.
pub fn client_builder() -> Result<ClientBuilder, Box<dyn Error + Send + Sync>> {
    /// Clones share the certificates and sessions.
    static TLS: LazyLock<Result<ClientConfig, rustls::Error>> = LazyLock::new(|| {
        let roots = RootCertStore::from_iter(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        let provider = Arc::new(ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
        Ok(config.with_root_certificates(roots).with_no_client_auth())
    });
    Ok(configured(Client::builder().tls_backend_preconfigured(TLS.clone()?)))
}

/// Returns a builder for a client like that of [`client_builder`] which trusts the certificate authorities of the system. Reading
/// those takes some ten milliseconds.
pub fn client_builder_with_system_roots() -> ClientBuilder {
    // Fails if it was done before.
    let _ = ring::default_provider().install_default();
    configured(Client::builder())
}

fn configured(builder: ClientBuilder) -> ClientBuilder {
    builder
        .pool_idle_timeout(MAX_IDLE)
        .tcp_user_timeout(MAX_UNACKNOWLEDGED)
        .tcp_nodelay(true)
        .redirect(redirect::Policy::none())
        .no_proxy()
}
