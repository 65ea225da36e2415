//! An HTTP client for servers on this machine.

use reqwest::ClientBuilder;

/// Returns a client that ignores the proxy variables of the environment. reqwest needs a TLS provider even though no
/// server on this machine uses TLS.
pub fn local_client() -> ClientBuilder {
    // This fails only if the provider is already installed.
    let _ = rustls::crypto::ring::default_provider().install_default();
    ClientBuilder::new().no_proxy()
}
