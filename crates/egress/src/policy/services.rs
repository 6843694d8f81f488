//! The ports of services that apps use of other hosts: docs/decisions/0026 says why these.

use skylift_model::net::{OutRule, Peer};

/// In ascending order. Never 25: mail is handed in at 465, 587 or 2525, and who may send to 25 sends spam.
pub const SERVICES: [u16; 26] = [
    465,    // SMTP over TLS
    587,    // SMTP, handing in
    993,    // IMAP over TLS
    1433,   // SQL Server
    2525,   // SMTP, handing in where 587 is shut
    3306,   // MySQL
    4222,   // NATS
    5432,   // PostgreSQL
    5671,   // AMQP over TLS
    5672,   // AMQP
    6379,   // Redis
    6380,   // Redis over TLS
    6432,   // PgBouncer
    6543,   // poolers of hosted PostgreSQL
    8080,   // HTTP, by the proxy: connections to it reach the instance itself where that is its PORT
    8443,   // HTTPS
    8883,   // MQTT over TLS
    9042,   // Cassandra
    9092,   // Kafka
    9093,   // Kafka over TLS
    9094,   // Kafka
    9200,   // Elasticsearch
    9440,   // ClickHouse over TLS
    25_060, // hosted PostgreSQL, MySQL, Redis
    26_257, // CockroachDB
    27_017, // MongoDB
];

/// Whether rules refuse a port by its number, whoever is at the other end, before any of them allows it: then there is no need to
/// listen for it, and a program may do so itself.
pub fn is_left_alone(rules: &[OutRule], port: u16) -> bool {
    rules.iter().find(|rule| rule.ports.contains(&port)).is_some_and(|rule| rule.deny && rule.to == Peer::Any)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mail_between_servers_is_not_among_them_and_they_are_in_order() {
        assert!(!SERVICES.contains(&25));
        assert!(SERVICES.is_sorted());
    }

    #[test]
    fn a_port_is_left_alone_where_it_is_refused_to_everybody_by_its_number() {
        let rule = |deny, to: &str, ports: &[u16]| OutRule { deny, to: to.parse().unwrap(), ports: ports.into() };
        for (rules, expected) in [
            (vec![], false),
            (vec![rule(true, "*", &[])], false),
            (vec![rule(true, "*", &[5432, 6379])], true),
            (vec![rule(true, "a.example", &[6379])], false),
            (vec![rule(false, "a.example", &[6379]), rule(true, "*", &[6379])], false),
            (vec![rule(false, "a.example", &[5432]), rule(true, "*", &[6379])], true),
        ] {
            assert_eq!(is_left_alone(&rules, 6379), expected, "{rules:?}");
        }
    }
}
