//! Three processes, and one thing after the other that they need is away. Visitors never notice; nothing acknowledged is
//! lost; everything goes on afterwards. Each test has stores and network namespaces of its own, and needs root.

#[path = "outages/edge.rs"]
mod edge;
#[path = "outages/kills.rs"]
mod kills;
#[path = "outages/late.rs"]
mod late;
#[path = "outages/ledger.rs"]
mod ledger;
#[path = "outages/pairs.rs"]
mod pairs;
#[path = "outages/partitions.rs"]
mod partitions;
#[path = "outages/stores.rs"]
mod stores;
#[path = "outages/told.rs"]
mod told;
#[path = "outages/weather.rs"]
mod weather;
