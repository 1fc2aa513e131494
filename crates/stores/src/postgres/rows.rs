//! The statements on the table of records.

/// The most rows of one page.
pub(super) const PAGE: usize = 10_000;

/// Asks whether the table is there: `t` or `f`.
pub(super) const IS_THERE: &str = "select to_regclass('firedrill_writes') is not null";

/// Makes the table. Its keys are ordered by bytes, as pages are, so that the index serves them.
pub(super) const MAKE: &str =
    "create table if not exists firedrill_writes (key text collate \"C\" primary key, value bigint not null)";

/// Writes one row.
pub(super) fn insert(key: &str, value: u64) -> String {
    format!("insert into firedrill_writes (key, value) values ({}, {value})", quoted(key))
}

/// Reads one page of rows whose key begins with the prefix, which ends with a `:`, behind the last key of the page before.
pub(super) fn page(prefix: &str, after: Option<&str>) -> String {
    // By bytes: another order could leave out rows between pages. The byte after `:` is `;`.
    let end = quoted(&format!("{};", prefix.strip_suffix(':').unwrap_or(prefix)));
    let from = match after {
        Some(key) => format!("> {}", quoted(key)),
        None => format!(">= {}", quoted(prefix)),
    };
    format!(
        "select key, value from firedrill_writes where key collate \"C\" {from} and key collate \"C\" < {end} order by key collate \"C\" limit {PAGE}"
    )
}

/// A text of SQL that means the same however the server is set.
fn quoted(text: &str) -> String {
    let text = text.replace('\\', "\\\\").replace('\'', "''");
    format!("E'{text}'")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_ends_no_statement() {
        let sql = insert("a'; drop table x; -- \\'", 7);
        assert_eq!(
            sql,
            r"insert into firedrill_writes (key, value) values (E'a''; drop table x; -- \\''', 7)"
        );
        assert!(
            page("r:v:", Some("r:v:9")).contains(r#""C" > E'r:v:9' and key collate "C" < E'r:v;' order by"#)
        );
        assert!(page("r:v:", None).contains(r#""C" >= E'r:v:' and"#));
    }
}
