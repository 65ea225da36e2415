//! HTTPS to services outside.

use std::{error::Error, sync::Arc, time::Duration};

use reqwest::{Client, ClientBuilder, redirect};
use rustls::{ClientConfig, RootCertStore};

/// A connection that was idle for that long is not used again: an instance may have been frozen meanwhile.
pub const MAX_IDLE: Duration = Duration::from_secs(30);

/// A connection on which nothing that was sent arrives for that long is given up, and the request sent again: the network
/// forgot it while the instance was frozen. Waiting for an answer is something else and may take minutes.
const MAX_SILENCE: Duration = Duration::from_secs(5);

/// A client that trusts the web's authorities, follows no redirect (what it sends goes where it was meant to and
/// nowhere else) and takes no proxy from the environment.
///
/// # Errors
/// When the TLS library cannot be set up.
pub fn client_builder() -> Result<ClientBuilder, Box<dyn Error + Send + Sync>> {
    let roots = RootCertStore::from_iter(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Client::builder()
        .tls_backend_preconfigured(tls)
        .pool_idle_timeout(MAX_IDLE)
        .tcp_user_timeout(MAX_SILENCE)
        .tcp_nodelay(true)
        .redirect(redirect::Policy::none())
        .no_proxy())
}
