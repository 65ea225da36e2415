//! `GET /api/ros/stats/dashboard`

use rotracker_tests::App;
use serde_json::{Value, json};

#[tokio::test]
async fn an_empty_database_counts_nothing() {
    let app = App::start().await;
    let dashboard = app.get("/api/ros/stats/dashboard").await.expect(200);
    let fields = dashboard.as_object().unwrap();
    assert_eq!(fields.len(), 18);
    for (field, value) in fields {
        let expected = if field.ends_with("Value") { json!("0.00") } else { json!(0) };
        assert_eq!(*value, expected, "{field}");
    }
}

#[tokio::test]
async fn each_figure_follows_its_rule() {
    let app = App::start().await;
    // Today is 15 November 2024; 30 days before it is 16 October.
    let orders = [
        ("ACTIVE", "WAITING QUOTE", Some("2024-11-14"), Some("100.10"), Some("1")),
        ("ACTIVE", "WAITING QUOTE", Some("2024-11-15"), Some("200.20"), None),
        ("ACTIVE", "waiting quote", Some("2024-11-16"), None, None),
        ("ACTIVE", "APPROVED", Some("2024-10-16"), None, None),
        ("ACTIVE", "APPROVED BY SHOP", Some("2024-10-15"), None, None),
        ("ACTIVE", "BEING REPAIRED", None, Some("99999999.99"), None),
        ("ACTIVE", "CURRENTLY SHIPPING", None, None, None),
        ("ACTIVE", "SHIPPING", None, None, None),
        ("PAID", "PAID", Some("2024-01-01"), Some("7"), Some("1000.00")),
        ("PAID", "APPROVED", None, None, Some("99999999.99")),
        ("NET", "SHIPPING", None, None, Some("0.01")),
        ("RETURNED", "RAI", None, None, Some("10.00")),
        ("RETURNED", "rai - shop", None, None, None),
        ("RETURNED", "BER", None, None, None),
        ("RETURNED", "Cancelled", None, None, None),
        ("RETURNED", "CANCEL", None, None, None),
        ("RETURNED", "SCRAPPED", None, None, None),
        ("RETURNED", "Scrap", None, None, None),
        ("RETURNED", "NOT RAI", None, None, None),
    ];
    for (index, (archive, status, next, estimated, final_cost)) in orders.into_iter().enumerate() {
        app.create_with(json!({
            "roNumber": format!("RO{index}"),
            "archiveStatus": archive,
            "currentStatus": status,
            "nextDateToUpdate": next,
            "estimatedCost": estimated,
            "finalCost": final_cost,
        }))
        .await;
    }
    let expected: Value = json!({
        "totalActive": 8,
        "overdue": 3,
        "waitingQuote": 3,
        "approved": 2,
        "beingRepaired": 1,
        "shipping": 2,
        "dueToday": 1,
        "overdue30Plus": 1,
        "onTrack": 2,
        "totalValue": "200001310.29",
        "totalEstimatedValue": "100000300.29",
        "totalFinalValue": "100001010.00",
        "approvedPaid": 2,
        "approvedNet": 1,
        "rai": 2,
        "ber": 1,
        "cancel": 2,
        "scrapped": 2,
    });
    assert_eq!(app.get("/api/ros/stats/dashboard").await.expect(200), expected);
}

#[tokio::test]
async fn statuses_count_as_people_mean_them() {
    let app = App::start().await;
    let statuses = [
        ("ACTIVE", "APPROVED >>>>"),
        ("ACTIVE", "WAITING QUOTE "),
        ("ACTIVE", "Being Repaired"),
        ("ACTIVE", "CURRENTLY BEING SHIPPED"),
        ("ACTIVE", "WAITING FOR QUOTE"),
        ("ACTIVE", "PREPAID QUOTE"),
        // To the collation this is RAI.
        ("RETURNED", "RAÍ"),
        ("RETURNED", "Rai - no fault found"),
        ("RETURNED", "RAISED"),
        ("RETURNED", "-- ber --"),
    ];
    for (index, (archive, status)) in statuses.into_iter().enumerate() {
        let number = format!("RO{index}");
        app.create_with(json!({ "roNumber": number, "archiveStatus": archive, "currentStatus": status })).await;
    }
    let dashboard = app.get("/api/ros/stats/dashboard").await.expect(200);
    for (figure, count) in [
        ("totalActive", 6),
        ("approved", 1),
        ("waitingQuote", 2),
        ("beingRepaired", 1),
        ("shipping", 1),
        ("rai", 1),
        ("ber", 1),
        ("scrapped", 0),
        ("cancel", 0),
    ] {
        assert_eq!(dashboard[figure], count, "{figure}");
    }
}
