//! What this program exports can be imported again.

use std::path::PathBuf;

use rotracker_cli::export::{Export, Format, Table};
use rotracker_tests::{
    app::clock,
    database::execute,
    importer::{Importer, classes},
};

/// Exports all orders and parts of an installation.
async fn export(importer: &Importer, format: Format) -> Vec<PathBuf> {
    let export = Export {
        databases: importer.databases(),
        directory: importer.reports.path().join(format!("{format:?}")),
        format,
        // The index repeats the parts.
        tables: Table::all().filter(|table| table.name() != "inventoryindex").collect(),
        today: clock().today(),
    };
    export.run().await.unwrap().into_iter().map(|file| file.path).collect()
}

#[tokio::test]
async fn exported_files_come_in_without_corrections() {
    let exported = Importer::start().await;
    exported.run().await;
    let hostile = "UPDATE active SET NOTES = '=1+1; a; b', SERIAL = '''A', TERMS = '-5' LIMIT 1;
                   UPDATE active SET SHOP_NAME = '@home', PART = '00123' ORDER BY id DESC LIMIT 1";
    execute(&mut exported.ros.database.connect().await, hostile).await;
    for format in [Format::Csv, Format::Xlsx] {
        let mut importer = Importer::without_rows().await;
        importer.files = export(&exported, format).await;
        let report = importer.run().await;
        let rows: u64 = report.tables.iter().map(|table| table.rows).sum();
        assert_eq!(classes(&report), [("imported", rows)], "{format:?}: {:#?}", report.rows().unwrap());
        assert_eq!(classes(&importer.run().await), [("unchanged", rows)], "{format:?}");
        // The same installation again, apart from ids and what is counted from today on.
        for url in ["/api/ros/export?archiveStatus=ALL&sort=roNumber", "/api/ros/stats/dashboard"] {
            let text = async |importer: &Importer| String::from_utf8(importer.ros.get(url).await.bytes).unwrap();
            let without_ids = |text: String| -> Vec<String> {
                text.lines().map(|line| line.split_once(',').map_or(line, |(_, rest)| rest).to_owned()).collect()
            };
            assert_eq!(without_ids(text(&importer).await), without_ids(text(&exported).await), "{format:?}: {url}");
        }
        let parts = async |importer: &Importer| importer.inventory.get("/api/inventory/stats").await.expect(200);
        assert_eq!(parts(&importer).await["totalQuantity"], parts(&exported).await["totalQuantity"], "{format:?}");
    }
}
