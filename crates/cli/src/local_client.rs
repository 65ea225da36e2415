//! An HTTP client for what runs on this machine.

use reqwest::ClientBuilder;

/// A client that a proxy in the environment does not divert. Nothing on this machine speaks TLS, but reqwest wants to
/// know how it would be done.
pub fn local_client() -> ClientBuilder {
    // Fails where somebody was faster, who did the same.
    let _ = rustls::crypto::ring::default_provider().install_default();
    ClientBuilder::new().no_proxy()
}
