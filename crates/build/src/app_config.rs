//! The app's own settings, `skylift.toml`.
