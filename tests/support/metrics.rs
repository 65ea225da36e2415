//! Reads and validates log lines in CloudWatch's embedded metric format.

use std::collections::BTreeSet;

use app_core::metrics::{METRICS, NAMESPACE};
use serde_json::Value;

/// Returns the metric lines of a log, after validating each.
pub fn lines_of(log: &[String]) -> Vec<Value> {
    let lines = log.iter().filter(|line| line.contains("\"_aws\""));
    let lines: Vec<Value> = lines.map(|line| serde_json::from_str(line).expect("a line is JSON")).collect();
    for line in &lines {
        check(line);
    }
    lines
}

/// The names of our metrics in `line`.
pub fn names_in(line: &Value) -> BTreeSet<&'static str> {
    METRICS.iter().map(|metric| metric.name()).filter(|name| !line[name].is_null()).collect()
}

/// Checks the rules of the format ("Specification: Embedded metric format"), and that each metric is declared with
/// exactly its unit and sets of dimensions.
fn check(line: &Value) {
    let meta = &line["_aws"];
    // The timestamp must be in milliseconds; seconds or microseconds fall outside this range.
    let timestamp = meta["Timestamp"].as_u64().expect("a time");
    assert!((1_600_000_000_000..4_000_000_000_000).contains(&timestamp), "{line}");
    let mut written = BTreeSet::new();
    for directive in meta["CloudWatchMetrics"].as_array().expect("directives") {
        assert_eq!(directive["Namespace"], NAMESPACE);
        let metrics = directive["Metrics"].as_array().expect("metrics");
        assert!((1..=100).contains(&metrics.len()), "{line}");
        for set in directive["Dimensions"].as_array().expect("sets of dimensions") {
            let set: Vec<&str> =
                set.as_array().expect("a set").iter().map(|name| name.as_str().unwrap_or("?")).collect();
            assert!(set.len() <= 30, "{line}");
            for dimension in &set {
                let value = line[dimension].as_str().unwrap_or_else(|| panic!("no {dimension}: {line}"));
                assert!((1..=1024).contains(&value.len()), "{dimension}: {line}");
            }
            for metric in metrics {
                let name = metric["Name"].as_str().expect("a name");
                assert!(line[name].as_f64().is_some_and(f64::is_finite), "{name} is no number: {line}");
                written.insert((name.to_owned(), metric["Unit"].as_str().unwrap_or("none").to_owned(), set.join(",")));
            }
        }
    }
    let expected: BTreeSet<_> = METRICS
        .iter()
        .filter(|metric| !line[metric.name()].is_null())
        .flat_map(|metric| {
            let (name, unit) = (metric.name().to_owned(), metric.unit().name().to_owned());
            metric.dimension_sets().iter().map(move |set| (name.clone(), unit.clone(), set.join(",")))
        })
        .collect();
    assert_eq!(written, expected, "{line}");
}
