//! An app's environment: opened, changed and sealed again. Values never leave.

use axum::http::StatusCode;
use axum::response::Response;
use skylift_bus::Message;
use skylift_model::environment::{Environment, Variable};
use skylift_model::wire::{EnvChange, EnvList, EnvVar};
use skylift_model::{AppName, EnvName, Timestamp};
use skylift_store::{Conflict, SealedEnv, StoreError};

use crate::error::ApiError;
use crate::guard::Authorized;
use crate::idempotency::answered;
use crate::services::Services;

/// How often a change is tried again when another one came between.
const ATTEMPTS_MAX: u32 = 8;
/// How many bytes one value may have.
const VALUE_BYTES_MAX: usize = 64 << 10;
/// How many variables an app may have.
const VARIABLES_MAX: usize = 500;
/// How many bytes all of an app's variables may have. What a program is started with is bounded by the kernel, at 2 MiB where stacks are
/// of the usual size; beyond that none would start.
const ENVIRONMENT_BYTES_MAX: usize = 1 << 20;

fn open(services: &Services, app: &AppName, env: &SealedEnv) -> Result<Environment, ApiError> {
    let Some(sealed) = &env.sealed else { return Ok(Environment::default()) };
    let bytes = services.key.open(&format!("env/{app}"), sealed).map_err(|error| ApiError::internal(&error))?;
    serde_json::from_slice(&bytes).map_err(|error| ApiError::internal(&error))
}

/// The names of an app's variables.
pub(crate) async fn list(auth: &Authorized, app: AppName) -> Result<EnvList, ApiError> {
    let env = auth.store.env(app.clone()).await?;
    Ok(names(env.version, open(auth, &app, &env)?))
}

fn names(version: u64, environment: Environment) -> EnvList {
    let named = |(name, variable): (EnvName, Variable)| EnvVar { name, updated_at: variable.updated_at };
    EnvList { version, variables: environment.0.into_iter().map(named).collect() }
}

/// Sets and removes variables in one step.
pub(crate) async fn change(auth: &Authorized, app: AppName, change: EnvChange) -> Result<Response, ApiError> {
    let services: &Services = auth;
    if let Some((name, _)) = change.set.iter().find(|(_, value)| value.len() > VALUE_BYTES_MAX || value.contains('\0'))
    {
        let message = format!("the value of {name} is longer than {VALUE_BYTES_MAX} bytes or has a NUL byte");
        return Err(ApiError::invalid(message, "shorten it, or store it elsewhere and pass its address"));
    }
    if let Some(name) = change.set.keys().find(|name| name.is_platforms()) {
        let message = format!("{name} is set by the platform itself; a build would not work with another");
        return Err(ApiError::invalid(message, "choose another name, and read that one in your build command"));
    }
    if let Some(name) = change.set.keys().find(|name| name.is_of_the_contract()) {
        let message = format!("{name} is given to every instance by the platform; what is set here would not count");
        return Err(ApiError::invalid(
            message,
            "have the app listen on $PORT of 0.0.0.0; nothing is to be set for that",
        ));
    }
    for _ in 0..ATTEMPTS_MAX {
        let env = auth.store.env(app.clone()).await?;
        let mut environment = open(services, &app, &env)?;
        apply(&mut environment, &change, services.clock.now())?;
        let bytes = serde_json::to_vec(&environment).map_err(|error| ApiError::internal(&error))?;
        let sealed = services.key.seal(&format!("env/{app}"), &bytes).map_err(|error| ApiError::internal(&error))?;
        let once = auth.once(StatusCode::OK, |_, version: &u64| names(*version, environment))?;
        match auth.store.set_env(app.clone(), env.version, sealed, once, services.clock.now()).await {
            Ok(done) => {
                services.bus.publish(Message::InstancesChanged(app));
                return Ok(answered(done));
            }
            Err(StoreError::Conflict(Conflict::EnvChanged(_))) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(StoreError::from(Conflict::EnvChanged(app)).into())
}

fn apply(environment: &mut Environment, change: &EnvChange, now: Timestamp) -> Result<(), ApiError> {
    for name in &change.unset {
        if environment.0.remove(name).is_none() {
            return Err(ApiError::not_found(
                &format!("variable `{name}`"),
                "`skylift env ls APP` lists those that are set",
            ));
        }
    }
    for (name, value) in &change.set {
        environment.0.insert(name.clone(), Variable { value: value.clone(), updated_at: now });
    }
    // What only removes some brings it nearer to what it may be.
    if change.set.is_empty() {
        return Ok(());
    }
    if environment.0.len() > VARIABLES_MAX {
        return Err(ApiError::invalid(format!("an app may have {VARIABLES_MAX} variables"), "remove some"));
    }
    let bytes = bytes_of(environment);
    if bytes > ENVIRONMENT_BYTES_MAX {
        let message = format!(
            "the app's variables would be {bytes} bytes together, and may be {ENVIRONMENT_BYTES_MAX}: nothing could be started with them"
        );
        return Err(ApiError::invalid(message, "remove some, or store long values elsewhere and pass their address"));
    }
    Ok(())
}

/// What a program is given them as: `NAME=VALUE` and a NUL byte each.
fn bytes_of(environment: &Environment) -> usize {
    environment.0.iter().map(|(name, variable)| name.as_str().len() + variable.value.len() + 2).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sets variables to values of so many bytes.
    fn change(set: &[(&str, usize)], unset: &[&str]) -> EnvChange {
        let set = set.iter().map(|(name, bytes)| (name.parse().unwrap(), "v".repeat(*bytes))).collect();
        EnvChange { set, unset: unset.iter().map(|name| name.parse().unwrap()).collect() }
    }

    /// So many variables, each a sixteenth of what there may be together.
    fn filled(count: usize) -> Environment {
        let value = || Variable { value: "v".repeat(VALUE_BYTES_MAX - 5), updated_at: Timestamp::from_millis(1) };
        Environment((0..count).map(|n| (format!("V{n:02}").parse().unwrap(), value())).collect())
    }

    fn applied(mut environment: Environment, change: &EnvChange) -> Result<usize, String> {
        let done = apply(&mut environment, change, Timestamp::from_millis(2));
        done.map(|()| bytes_of(&environment)).map_err(|error| format!("{error:?}"))
    }

    #[test]
    fn all_variables_together_fit_what_a_program_can_be_started_with() {
        let full = applied(filled(15), &change(&[("V15", VALUE_BYTES_MAX - 5)], &[]));
        assert_eq!(full, Ok(ENVIRONMENT_BYTES_MAX), "the control: all that there may be");
        for (name, bytes) in [("A", 0), ("V00", VALUE_BYTES_MAX - 4)] {
            let refused = applied(filled(16), &change(&[(name, bytes)], &[])).unwrap_err();
            assert!(refused.contains("may be 1048576"), "{refused}");
        }
        applied(filled(16), &change(&[("A", 0)], &["V00"])).expect("one makes room for another");
    }

    #[test]
    fn what_holds_too_much_since_before_can_be_made_smaller() {
        assert_eq!(applied(filled(20), &change(&[], &["V00"])), Ok(19 * ENVIRONMENT_BYTES_MAX / 16));
    }
}
