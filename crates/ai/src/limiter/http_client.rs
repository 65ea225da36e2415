//! Lets the AWS SDK send its requests with the HTTP client of the other requests. The SDK's own client is a second implementation,
//! with HTTP/2, which takes nine seconds to compile.

use app_core::outbound;
use aws_sdk_dynamodb::config::{
    HttpClient, RuntimeComponents,
    http::{HttpRequest, HttpResponse},
};
use aws_smithy_runtime_api::client::{
    http::{HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector},
    result::ConnectorError,
};
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use reqwest::Client;

use super::config::StoreConfig;

/// The HTTP client of the AWS SDK.
#[derive(Clone, Debug)]
pub(super) struct SdkHttpClient(
    /// The client, or the reason why the TLS library cannot be set up.
    Result<Client, String>,
);

impl SdkHttpClient {
    /// Creates a client. An HTTPS endpoint outside AWS may have a certificate that only the system trusts.
    pub(super) fn new(config: &StoreConfig) -> Self {
        let builder = if config.endpoint_url.as_ref().is_some_and(|url| url.starts_with("https:")) {
            Ok(outbound::client_builder_with_system_roots())
        } else {
            outbound::client_builder()
        };
        // The SDK signs `Accept-Encoding` if it wants compressed responses.
        // And it limits the time of each attempt.
        let client = builder.and_then(|builder| Ok(builder.no_gzip().tcp_user_timeout(None).build()?));
        Self(client.map_err(|error| error.to_string()))
    }

    /// Returns the client, for requests without the SDK.
    ///
    /// # Errors
    /// When the TLS library could not be set up.
    pub(super) fn client(&self) -> Result<&Client, &str> {
        self.0.as_ref().map_err(String::as_str)
    }
}

impl HttpClient for SdkHttpClient {
    fn http_connector(
        &self,
        _settings: &HttpConnectorSettings,
        _components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        // The SDK's timeouts for an attempt include the connection, so its settings for connections are not needed.
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for SdkHttpClient {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let client = self.0.clone();
        HttpConnectorFuture::new(async move {
            let client = client.map_err(|error| ConnectorError::user(error.into()))?;
            let request = request.try_into_http1x().map_err(|error| ConnectorError::user(error.into()))?;
            let request = request.map(|body| Bytes::copy_from_slice(body.bytes().unwrap_or_default()));
            let request = request.try_into().map_err(connector_error)?;
            let mut response = client.execute(request).await.map_err(connector_error)?;
            let mut head = http::Response::new(());
            *head.status_mut() = response.status();
            *head.headers_mut() = std::mem::take(response.headers_mut());
            let body = response.bytes().await.map_err(connector_error)?;
            HttpResponse::try_from(head.map(|()| SdkBody::from(body)))
                .map_err(|error| ConnectorError::other(error.into(), None))
        })
    }
}

/// Classifies an error, by which the SDK decides whether to try again: after failures of the network.
fn connector_error(error: reqwest::Error) -> ConnectorError {
    if error.is_builder() { ConnectorError::user(error.into()) } else { ConnectorError::io(error.into()) }
}

#[cfg(test)]
mod tests {
    use app_core::config::Env;

    use super::*;

    #[test]
    fn https_endpoints_outside_aws_do_not_panic() {
        let endpoint = ("AWS_ENDPOINT_URL_DYNAMODB".to_owned(), "https://dynamodb.example".to_owned());
        // The system may have no certificates, which is an error of each request.
        let _ = SdkHttpClient::new(&StoreConfig::read(&mut Env::from_iter([endpoint])));
    }
}
