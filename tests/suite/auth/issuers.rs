//! Access tokens as issuers make them, with the configuration that `infra/SECURITY.md` has for each.

use rotracker_tests::{App, app::clock, issuer::Issuer};
use serde_json::{Map, Value, json};

/// An access token of an issuer.
struct Shape {
    /// The first cell of the row in `infra/SECURITY.md`.
    row: &'static str,
    /// The header, beside the algorithm and the id of the key.
    header: Value,
    /// The claims of a user who is no administrator, beside `iat`, `nbf` and `exp`.
    claims: Value,
    /// The claims that make the user an administrator.
    administrator: Value,
    /// The claims of a token for another API.
    elsewhere: Value,
}

const TENANT: &str = "6f8b3f4a-9c6e-4d4e-8f0e-2f6b8a1c7d55";
const API: &str = "2d4d11a2-f814-46a7-890a-274a72a7309e";

/// The values for the placeholders in the table.
const PLACEHOLDERS: [(&str, &str); 8] = [
    ("<tenant id>", TENANT),
    ("<client id of the API>", API),
    ("<region>", "us-east-1"),
    ("<pool id>", "us-east-1_Example"),
    ("<client id of the app>", "57cbishk4j24pabc1234567890"),
    ("<tenant>", "genthrust.us"),
    ("<organization>", "genthrust"),
    ("<host>", "login.genthrust.example"),
];

fn shapes() -> Vec<Shape> {
    vec![
        Shape {
            row: "Microsoft Entra ID, version 2",
            header: json!({ "typ": "JWT" }),
            claims: json!({
                "iss": format!("https://login.microsoftonline.com/{TENANT}/v2.0"), "aud": API, "ver": "2.0", "tid": TENANT,
                "azp": "6e74172b-be56-4843-9ff4-e66a39bb12e3", "azpacr": "0", "name": "Ann Lee", "aio": "AXQAi/8IAAAA",
                "oid": "690222be-ff1a-4d56-abd1-7e4f7d38e474", "preferred_username": "ann@genthrust.example",
                "rh": "I", "scp": "access_as_user", "sub": "HKZpfaHyWadeOouYlitjrI-KffTm222X5rrV3xDqfKQ", "uti": "fqiB",
            }),
            administrator: json!({ "roles": ["Administrator"] }),
            elsewhere: json!({ "aud": "00000003-0000-0000-c000-000000000000" }),
        },
        Shape {
            row: "Microsoft Entra ID, version 1",
            header: json!({ "typ": "JWT", "x5t": "rsa" }),
            claims: json!({
                "iss": format!("https://sts.windows.net/{TENANT}/"), "aud": "api://ro-tracker", "ver": "1.0", "tid": TENANT,
                "acr": "1", "aio": "AXQAi/8IAAAA", "amr": ["pwd"], "appid": "6e74172b-be56-4843-9ff4-e66a39bb12e3",
                "appidacr": "0", "ipaddr": "203.0.113.5", "name": "Ann Lee", "oid": "690222be-ff1a-4d56-abd1-7e4f7d38e474",
                "scp": "access_as_user", "sub": "HKZpfaHyWadeOouYlitjrI-KffTm222X5rrV3xDqfKQ",
                "unique_name": "ann@genthrust.example", "upn": "ann@genthrust.example", "uti": "fqiB", "rh": "I",
            }),
            administrator: json!({ "roles": ["Reader", "Administrator"] }),
            elsewhere: json!({ "aud": "https://graph.microsoft.com" }),
        },
        Shape {
            row: "Amazon Cognito",
            header: json!({}),
            claims: json!({
                "iss": "https://cognito-idp.us-east-1.amazonaws.com/us-east-1_Example", "token_use": "access",
                "client_id": "57cbishk4j24pabc1234567890", "version": 2, "scope": "openid profile",
                "sub": "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee", "username": "ann", "auth_time": 1_676_312_777,
                "origin_jti": "bbbb", "event_id": "cccc", "jti": "dddd", "nbf": null,
            }),
            administrator: json!({ "cognito:groups": ["Administrators", "us-east-1_Example_Google"] }),
            elsewhere: json!({ "client_id": "1example23456789" }),
        },
        Shape {
            row: "Auth0",
            header: json!({ "typ": "JWT" }),
            claims: json!({
                "iss": "https://genthrust.us.auth0.com/",
                "aud": ["https://ro-tracker.example/api", "https://genthrust.us.auth0.com/userinfo"],
                "sub": "auth0|6553da60a54af58e29493993", "azp": "K1AUPhZq8mRi0Q0pjhkfu1D7y6KjDQja", "scope": "openid profile",
                "permissions": [], "nbf": null,
            }),
            administrator: json!({ "https://ro-tracker.example/roles": ["Administrator"] }),
            elsewhere: json!({ "aud": "https://genthrust.us.auth0.com/userinfo" }),
        },
        // The same in the profile of RFC 9068.
        Shape {
            row: "Auth0",
            header: json!({ "typ": "at+jwt" }),
            claims: json!({
                "iss": "https://genthrust.us.auth0.com/", "aud": "https://ro-tracker.example/api",
                "sub": "auth0|6553da60a54af58e29493993", "client_id": "K1AUPhZq8mRi0Q0pjhkfu1D7y6KjDQja",
                "scope": "openid", "jti": "uPFTGr8ZYVfZk9VPJl", "nbf": null,
            }),
            administrator: json!({ "https://ro-tracker.example/roles": ["Administrator"] }),
            elsewhere: json!({ "aud": "https://other.example/api" }),
        },
        Shape {
            row: "Okta",
            header: json!({}),
            claims: json!({
                "iss": "https://genthrust.okta.com/oauth2/default", "aud": "api://default", "ver": 1,
                "jti": "AT.MNAoEQ_jbKqoinrQo1D0XKjMX28U5d7ZszBceot7-Ts", "cid": "0oa1client", "uid": "00u1user",
                "scp": ["openid", "profile"], "auth_time": 1_688_145_909, "sub": "ann@genthrust.example",
                "groups": ["Everyone"], "nbf": null,
            }),
            administrator: json!({ "groups": ["Everyone", "RO Tracker Administrators"] }),
            elsewhere: json!({ "aud": "https://genthrust.okta.com" }),
        },
        Shape {
            row: "Keycloak",
            header: json!({ "typ": "JWT" }),
            claims: json!({
                "iss": "https://login.genthrust.example/realms/genthrust", "aud": ["ro-tracker", "account"], "typ": "Bearer",
                "azp": "dashboard", "sub": "f1c4f64e-2c0c-4cda-8c9f-9f3f8f3a2b0e", "sid": "4c0a3a8a", "acr": "1",
                "jti": "onrtac:4c0a", "allowed-origins": ["https://repairs.example"], "scope": "openid email profile",
                // Roles here do not count.
                "realm_access": { "roles": ["default-roles-genthrust", "Administrator"] },
                "resource_access": { "account": { "roles": ["manage-account", "Administrator"] } },
                "roles": ["default-roles-genthrust"], "email_verified": true, "preferred_username": "ann", "nbf": null,
            }),
            administrator: json!({ "roles": ["default-roles-genthrust", "Administrator"] }),
            elsewhere: json!({ "aud": "account" }),
        },
    ]
}

/// The variables in the row of `infra/SECURITY.md` that begins with `name`.
fn documented(name: &str) -> Vec<(&'static str, String)> {
    let page = include_str!("../../../infra/SECURITY.md");
    let row = page.lines().find(|line| line.starts_with(&format!("| {name} |"))).unwrap_or_else(|| panic!("{name}"));
    let variables = ["AUTH_ISSUER", "AUTH_AUDIENCE", "AUTH_ROLES_CLAIM", "AUTH_ADMIN_ROLE"];
    let values = row.split('|').skip(2).map(|cell| {
        let value = cell.trim().trim_matches('`').to_owned();
        PLACEHOLDERS.iter().fold(value, |value, (placeholder, example)| value.replace(placeholder, example))
    });
    variables.into_iter().zip(values).collect()
}

#[tokio::test]
async fn access_tokens_of_each_issuer_are_accepted_as_documented() {
    let issuer = Issuer::start().await;
    for Shape { row, header, claims, administrator, elsewhere } in shapes() {
        let app = App::ai_logs_with(&issuer.config_of(&documented(row), clock())).await;
        let send = async |fields: &Value| {
            let header = merged([&json!({ "alg": "RS256", "kid": "rsa" }), &header]);
            let times = issuer.claims("", json!({ "iss": null, "aud": null, "sub": null, "roles": null }));
            let claims = merged([&times, &claims, fields]);
            let token = issuer.key("rsa").sign_with(&header, &claims).unwrap();
            app.send_as(&token, "DELETE", "/api/ai-logs/user/bob", &Value::Null).await
        };
        assert_eq!(send(&json!({})).await.status, 403, "{row}");
        assert_eq!(send(&administrator).await.status, 200, "{row}");
        let elsewhere = merged([&administrator, &elsewhere]);
        assert_eq!(send(&elsewhere).await.expect_error(401), "The token is for another audience.", "{row}");
        let foreign = merged([&administrator, &json!({ "iss": "https://login.microsoftonline.com/other/v2.0" })]);
        assert_eq!(send(&foreign).await.expect_error(401), "The token is of another issuer.", "{row}");
    }
}

#[tokio::test]
async fn identity_tokens_of_cognito_are_rejected() {
    let issuer = Issuer::start().await;
    let app = App::ai_logs_with(&issuer.config_of(&documented("Amazon Cognito"), clock())).await;
    let claims = json!({
        "iss": "https://cognito-idp.us-east-1.amazonaws.com/us-east-1_Example", "token_use": "id",
        "aud": "57cbishk4j24pabc1234567890", "cognito:username": "ann", "cognito:groups": ["Administrators"],
        "email": "ann@genthrust.example",
    });
    let token = issuer.token_with("aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee", claims);
    let response = app.get_as(&token, "/api/ai-logs").await;
    assert_eq!(response.expect_error(401), "The token is for another audience.");
}

/// The members of all objects, later ones first; a null removes a member.
fn merged<const N: usize>(objects: [&Value; N]) -> Value {
    let members = objects.into_iter().flat_map(|object| object.as_object().expect("an object").clone());
    let mut all: Map<String, Value> = members.collect();
    all.retain(|_, member| !member.is_null());
    Value::Object(all)
}
