//! The dashboard and the alarms use only metrics that the functions emit: any other metric would leave a graph empty or
//! an alarm silent.

use std::{collections::BTreeSet, path::Path};

use app_core::metrics::{METRICS, NAMESPACE};
use serde_json::Value;

/// The name of a metric and the names of its dimensions.
type Metric = (String, BTreeSet<String>);

fn metric<'a>(name: &str, dimensions: impl IntoIterator<Item = &'a str>) -> Metric {
    (name.to_owned(), dimensions.into_iter().map(str::to_owned).collect())
}

/// The template with the dashboard and the alarms.
fn observability() -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../infra/observability.yaml");
    let template: Value = serde_saphyr::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    template["Resources"].clone()
}

/// The default of a parameter of the service's template, which is a number.
fn default_of(parameter: &str) -> f64 {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../template.yaml");
    let template = std::fs::read_to_string(path).unwrap();
    let (_, lines) = template.split_once(&format!("\n  {parameter}:\n")).unwrap();
    lines.lines().find_map(|line| line.trim().strip_prefix("Default: ")).unwrap().parse().unwrap()
}

/// Collects all our metrics that occur in `value`.
fn named(value: &Value, metrics: &mut BTreeSet<Metric>) {
    match value {
        // The metric of an alarm.
        Value::Object(fields) if fields.get("Namespace").is_some_and(|namespace| namespace == NAMESPACE) => {
            let dimensions = fields["Dimensions"].as_array().unwrap();
            let dimensions = dimensions.iter().map(|dimension| dimension["Name"].as_str().unwrap());
            metrics.insert(metric(fields["MetricName"].as_str().unwrap(), dimensions));
        }
        Value::Object(fields) => fields.values().for_each(|value| named(value, metrics)),
        // A metric in a graph: namespace, name, then alternately names and values of dimensions, then options.
        Value::Array(items) if items.first().is_some_and(|namespace| namespace == NAMESPACE) => {
            let words: Vec<&str> = items.iter().filter_map(Value::as_str).collect();
            metrics.insert(metric(words[1], words[2..].iter().step_by(2).copied()));
        }
        Value::Array(items) => items.iter().for_each(|value| named(value, metrics)),
        // SEARCH('{RoTracker,Function,Route,Status} MetricName="Duration" Function="…"', …)
        Value::String(text) => {
            for search in text.split("SEARCH('{").skip(1) {
                let (schema, query) = search.split_once("} MetricName=").unwrap();
                let (namespace, dimensions) = schema.split_once(',').unwrap();
                assert_eq!(namespace, NAMESPACE, "{text}");
                let (names, _) = query.split_once(" Function=").unwrap();
                for name in names.split('"').skip(1).step_by(2) {
                    metrics.insert(metric(name, dimensions.split(',')));
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[test]
fn dashboard_and_alarms_use_emitted_metrics() {
    let emitted: BTreeSet<Metric> = METRICS
        .iter()
        .flat_map(|written| written.dimension_sets().iter().map(|set| metric(written.name(), set.iter().copied())))
        .collect();
    let resources = observability();
    let (mut on_dashboard, mut in_alarms) = (BTreeSet::new(), BTreeSet::new());
    let body = resources["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"].as_str().unwrap();
    named(&serde_json::from_str(body).unwrap(), &mut on_dashboard);
    for resource in resources.as_object().unwrap().values() {
        if resource["Type"] == "AWS::CloudWatch::Alarm" {
            named(&resource["Properties"], &mut in_alarms);
        }
    }
    assert_eq!(on_dashboard.difference(&emitted).collect::<Vec<_>>(), [] as [&Metric; 0], "on the dashboard");
    assert_eq!(in_alarms.difference(&emitted).collect::<Vec<_>>(), [] as [&Metric; 0], "in alarms");
    assert!(!in_alarms.is_empty());
    // The dashboard must also show every metric that is emitted.
    assert_eq!(emitted.difference(&on_dashboard).collect::<Vec<_>>(), [] as [&Metric; 0], "not on the dashboard");
}

#[test]
fn the_estimated_cost_has_the_prices_of_the_prompt_cache() {
    let resources = observability();
    let metrics = resources["TokenSpend"]["Properties"]["Metrics"].as_array().unwrap();
    let expression = metrics[0]["Expression"]["Fn::Sub"].as_str().unwrap();
    let terms = expression.strip_prefix("SUM([").unwrap().strip_suffix("]) / 1000000").unwrap();
    // The tokens of an answer, by the metric that counts them.
    let tokens = |id: &str| {
        let metric = metrics.iter().find(|metric| metric["Id"] == id).unwrap();
        match metric["MetricStat"]["Metric"]["MetricName"].as_str().unwrap() {
            "InputTokens" => 245.0,
            "OutputTokens" => 156.0,
            "CacheReadTokens" => 1_000.0,
            "CacheWriteTokens" => 200.0,
            other => panic!("{other}"),
        }
    };
    let mut cost = 0.0;
    for term in terms.split(", FILL(") {
        let (id, price) = term.trim_start_matches("FILL(").split_once(", 0) * ${").unwrap();
        cost += tokens(id) * default_of(price.trim_end_matches('}'));
    }
    let expected = 245.0 * 3.0 + 156.0 * 15.0 + 1_000.0 * 0.3 + 200.0 * 3.75;
    assert!((cost - expected).abs() < 1e-6, "{cost} instead of {expected}");
    let dashboard = resources["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"].as_str().unwrap();
    assert!(dashboard.contains(expression.trim()), "the dashboard and the alarm have one estimate");
}
