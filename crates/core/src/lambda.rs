//! The Lambda runner: hands a router to the runtime in the way the place needs it.

use axum::Router;
pub use lambda_http::Error;

/// Where the function runs, as far as answers differ by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// AWS Lambda and `cargo lambda watch`: answers are streamed.
    Streaming,
    /// `sam local`, which can neither stream nor pass compressed bytes on: answers are sent whole and plain.
    Buffered,
}

impl Delivery {
    /// `AWS_SAM_LOCAL` is set to `true` by `sam local` in its containers, and nowhere else.
    pub fn of_process() -> Self {
        if std::env::var("AWS_SAM_LOCAL").is_ok_and(|value| value == "true") { Self::Buffered } else { Self::Streaming }
    }
}

/// Serves invocations with `router` until the instance ends.
///
/// # Errors
/// When the runtime API cannot be reached; the instance is then lost.
pub async fn run(router: Router, delivery: Delivery) -> Result<(), Error> {
    match delivery {
        // Falls back to one invocation at a time where the place asks for no more.
        Delivery::Streaming => lambda_http::run_with_streaming_response_concurrent(router).await,
        Delivery::Buffered => lambda_http::run(router).await,
    }
}
