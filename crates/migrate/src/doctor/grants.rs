//! The privileges of an account, from `SHOW GRANTS`.

use std::collections::BTreeSet;

/// The scope of a grant on the whole server.
const EVERYTHING: &str = "*.*";

/// The privileges that an account has.
#[derive(Debug, Default)]
pub(crate) struct Privileges {
    /// Their names, such as `SELECT`; `ALL PRIVILEGES` stands for all.
    pub(crate) names: BTreeSet<String>,
    /// Whether the account also has roles, whose privileges are not listed.
    pub(crate) has_roles: bool,
}

impl Privileges {
    /// Reads the privileges on `database` from the lines of `SHOW GRANTS`.
    pub(crate) fn on(database: &str, grants: &[String]) -> Self {
        Self::of_scopes(|scope| includes(scope, database), grants)
    }

    /// Reads the privileges on the whole server, such as SUPER.
    pub(crate) fn on_server(grants: &[String]) -> Self {
        Self::of_scopes(|scope| scope == EVERYTHING, grants)
    }

    /// Reads the privileges of the grants for whose scope `counts` holds.
    fn of_scopes(counts: impl Fn(&str) -> bool, grants: &[String]) -> Self {
        let mut privileges = Self::default();
        let mut revoked = Vec::new();
        for grant in grants {
            // MySQL takes privileges on all databases away from some with these lines (`partial_revokes`).
            if let Some((names, scope)) = grant.strip_prefix("REVOKE ").and_then(|revoke| revoke.split_once(" ON ")) {
                if scope.split_once(" FROM ").is_some_and(|(scope, _)| counts(scope)) {
                    revoked.extend(names.split(',').map(str::trim));
                }
                continue;
            }
            let Some((granted, scope)) = grant.strip_prefix("GRANT ").and_then(|grant| grant.split_once(" ON ")) else {
                privileges.has_roles = true;
                continue;
            };
            let (scope, rest) = scope.split_once(" TO ").unwrap_or((scope, ""));
            if !counts(scope) {
                continue;
            }
            privileges.names.extend(granted.split(',').map(|name| name.trim().to_owned()));
            if rest.contains("WITH GRANT OPTION") {
                privileges.names.insert("GRANT OPTION".to_owned());
            }
        }
        privileges.names.retain(|name| name != "USAGE" && !revoked.contains(&&**name));
        privileges
    }

    /// Returns those of `needed` that the account lacks.
    pub(crate) fn missing<'n>(&self, needed: &[&'n str]) -> Vec<&'n str> {
        let has = |name: &str| self.names.contains(name) || self.names.contains("ALL PRIVILEGES");
        needed.iter().filter(|name| !has(name)).copied().collect()
    }

    /// Returns those that the account has beyond `needed`.
    pub(crate) fn beyond(&self, needed: &[&str]) -> Vec<&str> {
        self.names.iter().map(String::as_str).filter(|name| !needed.contains(name)).collect()
    }
}

/// Returns the scopes of the grants on all databases and on others than `databases`, such as `*.*`. A pattern that includes one of
/// `databases` may be meant for it.
pub(crate) fn wider_scopes<'g>(databases: &[&str], grants: &'g [String]) -> Vec<&'g str> {
    let scope_of = |grant: &'g String| {
        let (granted, scope) = grant.strip_prefix("GRANT ")?.split_once(" ON ")?;
        (granted != "USAGE").then(|| scope.split_once(" TO ").map_or(scope, |(scope, _)| scope))
    };
    let scopes = grants.iter().filter_map(scope_of);
    scopes
        .filter(|scope| *scope == EVERYTHING || !databases.iter().any(|database| includes_database(scope, database)))
        .collect()
}

/// Returns whether the scope is `database`, or an object in it.
fn includes_database(scope: &str, database: &str) -> bool {
    let own = format!("`{}`.", database.replace('`', "``"));
    includes(scope, database) || scope.starts_with(&own)
}

/// Returns whether the scope of a grant, such as `*.*` or `` `ro\_tracker%`.* ``, is `database` or includes it.
fn includes(scope: &str, database: &str) -> bool {
    if scope == EVERYTHING {
        return true;
    }
    let pattern = scope.strip_suffix(".*").and_then(|name| name.strip_prefix('`')?.strip_suffix('`'));
    pattern.is_some_and(|pattern| {
        let pattern: Vec<char> = pattern.replace("``", "`").chars().collect();
        matches(&pattern, &database.chars().collect::<Vec<_>>())
    })
}

/// Returns whether `text` matches a pattern of GRANT, in which `_` is any character, `%` any text, and `\` takes their meaning away.
fn matches(pattern: &[char], text: &[char]) -> bool {
    match (pattern, text) {
        ([], text) => text.is_empty(),
        (['%', pattern @ ..], text) => (0..=text.len()).any(|skipped| matches(pattern, &text[skipped..])),
        (['_', pattern @ ..], [_, text @ ..]) => matches(pattern, text),
        (['\\', wanted, pattern @ ..] | [wanted, pattern @ ..], [found, text @ ..]) => {
            wanted == found && matches(pattern, text)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(grants: &[&str]) -> Vec<String> {
        let grants: Vec<String> = grants.iter().map(|grant| (*grant).to_owned()).collect();
        Privileges::on("ro_tracker_dev", &grants).names.into_iter().collect()
    }

    #[test]
    fn grants_on_the_database_or_on_all_of_them_count() {
        for scope in ["*.*", "`ro_tracker_dev`.*", r"`ro\_tracker\_dev`.*", "`ro\\_%`.*", "`%`.*"] {
            assert_eq!(
                names(&[&format!("GRANT SELECT, CREATE ROUTINE ON {scope} TO `a`@`%`")]),
                ["CREATE ROUTINE", "SELECT"]
            );
        }
        for scope in [r"`ro\_tracker`.*", "`ro_tracker_dev`.`active`", "`other`.*", r"`ro\\tracker\_dev`.*"] {
            assert_eq!(names(&[&format!("GRANT SELECT ON {scope} TO `a`@`%`")]), [""; 0], "{scope}");
        }
        assert_eq!(names(&["GRANT USAGE ON *.* TO `a`@`%` IDENTIFIED BY PASSWORD '*0'"]), [""; 0]);
    }

    #[test]
    fn grants_on_other_databases_are_wider() {
        let grants = [
            "GRANT USAGE ON *.* TO `a`@`%`",
            "GRANT SELECT ON *.* TO `a`@`%`",
            r"GRANT SELECT ON `ro\_tracker\_dev`.* TO `a`@`%`",
            "GRANT SELECT ON `ro_tracker_dev`.`active` TO `a`@`%`",
            "GRANT SELECT ON `other`.* TO `a`@`%`",
            "GRANT `writer`@`%` TO `a`@`%`",
        ];
        assert_eq!(wider_scopes(&["ro_tracker_dev"], &grants.map(str::to_owned)), ["*.*", "`other`.*"]);
    }

    #[test]
    fn privileges_that_were_revoked_on_the_database_do_not_count() {
        let grant = "GRANT SELECT, INSERT, UPDATE ON *.* TO `a`@`%`";
        for (scope, left) in [("ro_tracker_dev", &["UPDATE"][..]), ("mysql", &["INSERT", "SELECT", "UPDATE"])] {
            let revoke = format!("REVOKE SELECT, INSERT ON `{scope}`.* FROM `a`@`%`");
            assert_eq!(names(&[grant, &revoke]), left, "{scope}");
        }
        assert!(!Privileges::on("a", &["REVOKE SELECT ON `b`.* FROM `a`@`%`".to_owned()]).has_roles);
    }

    #[test]
    fn privileges_on_every_database_are_none_on_the_server() {
        let grants =
            ["GRANT ALL PRIVILEGES ON `%`.* TO `a`@`%`".to_owned(), "GRANT SUPER ON *.* TO `a`@`%`".to_owned()];
        assert!(Privileges::on_server(&grants[..1]).names.is_empty());
        assert!(Privileges::on_server(&grants).names.contains("SUPER"));
    }

    #[test]
    fn all_privileges_and_roles_are_known() {
        let grants = ["GRANT ALL PRIVILEGES ON *.* TO `a`@`%` WITH GRANT OPTION", "GRANT `writer`@`%` TO `a`@`%`"];
        let privileges = Privileges::on("a", &grants.map(str::to_owned));
        assert_eq!(privileges.missing(&["SELECT", "TRIGGER"]), [""; 0]);
        assert_eq!(privileges.beyond(&["SELECT"]), ["ALL PRIVILEGES", "GRANT OPTION"]);
        assert!(privileges.has_roles);
    }
}
