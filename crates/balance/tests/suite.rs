//! The balancer through its public face. Every test has its own clock and its own seed.

mod suite {
    mod canary;
    mod choice;
    mod drain;
    mod ejection;
    mod health;
    mod model;
    mod parking;
    mod scene;
    mod silence;
    mod threads;
    mod updates;
}
