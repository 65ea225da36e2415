//! The table that is printed.

use std::fmt;

use rotracker_tests::database;

/// The figures of one request at one size.
pub(crate) struct Figures {
    pub(crate) bare: Option<f64>,
    pub(crate) before: Option<f64>,
    pub(crate) after: Option<f64>,
}

/// A line for each request. Its figures are in the order in which they were added: by size.
#[derive(Default)]
pub(crate) struct Table(Vec<(String, Vec<Figures>)>);

impl Table {
    pub(crate) fn add(&mut self, name: &str, figures: Figures) {
        match self.0.iter_mut().find(|(line, _)| line == name) {
            Some((_, line)) => line.push(figures),
            None => self.0.push((name.to_owned(), vec![figures])),
        }
    }
}

impl fmt::Display for Table {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "| request | bare | before | after | after / before | after / bare |")?;
        writeln!(formatter, "|---|---|---|---|---|---|")?;
        for (name, line) in &self.0 {
            let cells = [
                cell(line, |figures| figures.bare),
                cell(line, |figures| figures.before),
                cell(line, |figures| figures.after),
                cell(line, |figures| Some(figures.after? / figures.before?)),
                cell(line, |figures| Some(figures.after? / figures.bare?)),
            ];
            writeln!(formatter, "| {name} | {} |", cells.join(" | "))?;
        }
        Ok(())
    }
}

/// Writes one figure of each size.
fn cell(line: &[Figures], figure: impl Fn(&Figures) -> Option<f64>) -> String {
    let figures: Vec<String> = line.iter().filter_map(figure).map(three_digits).collect();
    if figures.is_empty() { "-".to_owned() } else { figures.join(" · ") }
}

fn three_digits(figure: f64) -> String {
    let decimals = match figure {
        ..10.0 => 2,
        ..100.0 => 1,
        _ => 0,
    };
    format!("{figure:.decimals$}")
}

/// Names the machine and the database server.
pub(crate) async fn machine() -> String {
    let processors = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = processors.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let model = model.map_or("an unknown processor", |(_, model)| model);
    let cores = std::thread::available_parallelism().unwrap();
    let version = sqlx::query_scalar("SELECT VERSION()");
    let version: String = version.fetch_one(&mut database::connect().await).await.unwrap();
    let product = if version.contains("MariaDB") { "" } else { "MySQL " };
    format!("Machine: {cores} cores of {model}. Database server: {product}{version}.")
}
