//! Parameters as PostgreSQL numbers them: `?1` becomes `$1`.

/// The statement with every `?N` as `$N`. Our statements hold no `?` in texts or names.
pub(crate) fn with_dollars(sql: &str) -> String {
    sql.replace('?', "$")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_keep_their_numbers() {
        let sql = "SELECT 1 FROM jobs WHERE a = ?1 AND b = ?12 AND c = ?1";
        assert_eq!(with_dollars(sql), "SELECT 1 FROM jobs WHERE a = $1 AND b = $12 AND c = $1");
    }
}
