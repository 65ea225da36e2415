//! `rotracker check`: compares what must agree in the databases, and names what does not. `rotracker doctor` examines the schema and
//! the accounts; this examines the rows.

use std::process::ExitCode;

use anyhow::{Context, Result};
use app_core::{
    config::Env,
    db::{Comparison, Connection, Pool},
    http::ApiError,
    idempotency,
};

use crate::{
    import,
    migrate::Databases,
    output::print,
    snapshot::{snapshot, use_database},
};

/// The options of `rotracker check`.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct Options {
    /// The most differences of a kind to print
    #[arg(long, value_name = "COUNT", default_value_t = 20)]
    pub limit: usize,
}

/// Compares the databases that the environment names, and prints the differences. The exit status is 1 if there are any
/// besides warnings.
///
/// # Errors
/// When a database cannot be read.
pub async fn run(options: Options) -> Result<ExitCode> {
    let databases = Databases::read(Env::of_process())?;
    let comparisons = check(&databases, options.limit).await?;
    comparisons.iter().flat_map(lines).for_each(|line| print(&line));
    let all_agree = !comparisons.iter().any(Comparison::has_failed);
    Ok(if all_agree { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Compares what must agree, and keeps the first `kept` differences of each kind. All tables are read in one snapshot, and nothing is
/// written, so that people can go on working.
///
/// # Errors
/// As [`run`].
pub async fn check(databases: &Databases, kept: usize) -> Result<Vec<Comparison>> {
    let Databases { server, main, inventory } = databases;
    let pool = Pool::new(server, main);
    let read = async {
        let mut connection = snapshot(&pool).await?;
        let mut comparisons = ros::store::check(&mut connection, kept).await?;
        comparisons.extend(ai_logs::store::check(&mut connection, kept).await?);
        comparisons.extend(check_tables_of_both(&mut connection, kept).await?);
        use_database(&mut connection, inventory).await?;
        comparisons.extend(inventory::store::check(&mut connection, kept).await?);
        if inventory != main {
            comparisons.extend(check_tables_of_both(&mut connection, kept).await?);
        }
        // The connection is dropped and so closed, since it has the other database by now.
        anyhow::Ok(comparisons)
    };
    let read = read.await;
    pool.close();
    read.with_context(|| {
        format!("the databases {main} and {inventory} cannot be compared; `rotracker doctor` says why")
    })
}

/// Compares the tables that both databases have.
async fn check_tables_of_both(connection: &mut Connection, kept: usize) -> Result<[Comparison; 2], ApiError> {
    Ok([idempotency::check(connection, kept).await?, import::check(connection, kept).await?])
}

/// Returns the lines of a comparison: one for each difference that was kept, and one with the number of the others.
fn lines(comparison: &Comparison) -> Vec<String> {
    let Comparison { name, count, first, is_tolerated, .. } = comparison;
    if *count == 0 {
        return vec![format!("ok      {name}")];
    }
    let status = if *is_tolerated { "warning" } else { "error" };
    let line = |text: &str| format!("{status:8}{name}: {}", text.lines().collect::<Vec<_>>().join(" "));
    let mut lines: Vec<String> = first.iter().map(|difference| line(&difference.to_string())).collect();
    let others = count - first.len() as u64;
    if others > 0 {
        lines.push(line(&format!("and {others} more")));
    }
    lines
}

#[cfg(test)]
mod tests {
    use app_core::db::Difference;

    use super::*;

    #[test]
    fn each_difference_is_one_line() {
        let mut comparison = Comparison::new("orders", 1);
        assert_eq!(lines(&comparison), ["ok      orders"]);
        for row_id in ["7", "8"] {
            let difference = "is\nodd".to_owned();
            comparison.add(Difference { table_name: "active".to_owned(), row_id: row_id.to_owned(), difference });
        }
        assert_eq!(lines(&comparison), ["error   orders: active 7 is odd", "error   orders: and 1 more"]);
        comparison.is_tolerated = true;
        assert_eq!(lines(&comparison)[0], "warning orders: active 7 is odd");
    }
}
