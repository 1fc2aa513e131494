//! The statements on the table of records.

/// The most rows of one page.
pub(super) const PAGE: usize = 10_000;

/// Makes the table.
pub(super) const MAKE: &str =
    "create table if not exists firedrill_writes (key text primary key, value bigint not null)";

/// Writes one row.
pub(super) fn insert(key: &str, value: u64) -> String {
    format!("insert into firedrill_writes (key, value) values ({}, {value})", quoted(key))
}

/// Reads one page of rows whose key begins with the prefix, behind the last key of the page before.
pub(super) fn page(prefix: &str, after: Option<&str>) -> String {
    let prefix = quoted(prefix);
    // By bytes: another order could leave out rows between pages.
    let behind = after.map(|key| format!(" and key collate \"C\" > {}", quoted(key))).unwrap_or_default();
    format!(
        "select key, value from firedrill_writes where starts_with(key, {prefix}){behind} order by key collate \"C\" limit {PAGE}"
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
        assert!(page("r:v:", Some("r:v:9")).contains("> E'r:v:9' order by"));
        assert!(!page("r:v:", None).contains('>'));
    }
}
