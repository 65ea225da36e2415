//! `DELETE /api/ros/{id}` and `DELETE /api/ros/by-number/{ro_number}`

use rotracker_tests::{
    App,
    app::{path_by_number, path_of},
};
use serde_json::json;

#[tokio::test]
async fn an_order_is_deleted_from_the_table_that_has_it() {
    let app = App::start().await;
    for (archive, table) in [("ACTIVE", "active"), ("PAID", "paid"), ("NET", "net"), ("RETURNED", "returns")] {
        let by_id = app.create_with(json!({ "roNumber": "RO1", "archiveStatus": archive })).await;
        app.create_with(json!({ "roNumber": "RO2", "archiveStatus": archive })).await;
        for path in [path_of(&by_id), path_by_number("RO2")] {
            let expected = json!({ "success": true, "message": "Repair order deleted", "deletedFrom": table });
            assert_eq!(app.delete(&path).await.expect(200), expected);
            app.get(&path).await.expect_error(404);
            app.delete(&path).await.expect_error(404);
        }
    }
    assert!(app.rows().await.is_empty());
}
