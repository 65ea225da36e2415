//! Runs the real binaries against the runtime API with the events of every gateway, and checks the responses as they
//! are posted to Lambda.

mod deployment_check;
mod failures;
mod requests;
mod responses;
mod streams;

use rotracker_tests::{
    TestDatabase,
    emulator::{Instance, binary, database_variables, example, template_variables},
    runtime_api::RuntimeApi,
};

/// A function with a runtime API of its own.
struct Function {
    lambda: RuntimeApi,
    instance: Instance,
}

impl Function {
    /// Starts the function `name` on `database`, with additional `variables`.
    async fn start(name: &str, database: &TestDatabase, variables: &[(&'static str, String)]) -> Self {
        let lambda = RuntimeApi::start().await;
        let instance = start_instance(&lambda, name, database, variables).await;
        Self { lambda, instance }
    }

    /// Starts the example function `odd_function`.
    async fn odd() -> Self {
        let lambda = RuntimeApi::start().await;
        let instance = Instance::start(&lambda.address, &example("odd_function").await, &template_variables());
        Self { lambda, instance }
    }

    /// The request lines of the log.
    fn requests(&self) -> Vec<serde_json::Value> {
        let lines = self.instance.log();
        let lines = lines.iter().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
        lines.filter(|line| line["message"] == "request").collect()
    }
}

async fn start_instance(
    lambda: &RuntimeApi,
    name: &str,
    database: &TestDatabase,
    variables: &[(&'static str, String)],
) -> Instance {
    let variables = [database_variables(database).as_slice(), &template_variables(), variables].concat();
    Instance::start(&lambda.address, &binary(name).await, &variables)
}
