//! A Lambda function as bare as can be, with which the start of ours is compared.

use lambda_http::{Body, Error, Request, Response, run, service_fn};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    run(service_fn(async |_: Request| {
        Response::builder().status(404).header("content-type", "application/json").body(Body::from("{}"))
    }))
    .await
}
