//! A Lambda function as bare as can be, with which the start of ours is compared.

use std::convert::Infallible;

use lambda_http::{Error, Request, Response, run, service_fn};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    run(service_fn(async |_: Request| {
        let mut response = Response::new("{}".to_owned());
        *response.status_mut() = lambda_http::http::StatusCode::NOT_FOUND;
        Ok::<_, Infallible>(response)
    }))
    .await
}
