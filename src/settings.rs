//! What is common to the command lines: the cluster's secret, which comes from the environment alone so that no process list
//! and no help shows it, and how bad settings are answered: every error at once, exit code 2, nothing bound. No other file
//! reads the environment, but for the variables of the flags, which the command line's parser reads, and those that the
//! exporter of traces reads itself.

#![allow(clippy::disallowed_methods)]

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use rand::TryRng;
use rand::rngs::SysRng;
use skein_runtime::disk::access;
use skein_runtime::transport::Secret;

/// Names the variable with the secret itself.
const SECRET: &str = "SKEIN_CLUSTER_SECRET";

/// Names the variable with the path of a file that holds the secret.
const SECRET_FILE: &str = "SKEIN_CLUSTER_SECRET_FILE";

/// What a secret's file may hold at the most.
const SECRET_FILE_BYTES_MAX: u64 = 4096;

/// The exit code of bad settings.
const BAD_SETTINGS: u8 = 2;

/// Reads the cluster's secret, if one is set.
///
/// # Errors
///
/// When both variables are set, the file can't be read, or the secret is too short. The secret itself is never said.
pub fn secret_from_environment() -> Result<Option<Secret>, String> {
    match (std::env::var_os(SECRET), std::env::var_os(SECRET_FILE)) {
        (None, None) => Ok(None),
        (Some(_), Some(_)) => Err(format!("only one of {SECRET} and {SECRET_FILE} may be set")),
        (Some(text), None) => {
            let text = text.into_string().map_err(|_| format!("{SECRET} must be text"))?;
            Secret::parse(&text).map(Some).map_err(|error| format!("{SECRET}: {error}"))
        }
        (None, Some(path)) => secret_from_file(&PathBuf::from(path)).map(Some).map_err(|error| format!("{SECRET_FILE}: {error}")),
    }
}

/// Reads the secret that a file holds.
///
/// # Errors
///
/// When the file can't be read, others may write to it, or it is too long or too short. What it holds is never said.
pub fn secret_from_file(path: &Path) -> Result<Secret, String> {
    let named = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let length = std::fs::metadata(path).map_err(|error| named(&error))?.len();
    if length > SECRET_FILE_BYTES_MAX {
        return Err(named(&format!("longer than {SECRET_FILE_BYTES_MAX} bytes")));
    }
    access::check_secret(path)?;
    let text = std::fs::read_to_string(path).map_err(|error| named(&error))?;
    Secret::parse(&text).map_err(|error| named(&error))
}

/// A warning if the secret's file can be read by others. It is no error, since secrets that are mounted often can be.
pub fn readable_secret() -> Option<String> {
    let path = PathBuf::from(std::env::var_os(SECRET_FILE)?);
    let said = || format!("others on this machine can read the secret in {0}: chmod go-r {0} keeps them out", path.display());
    access::is_readable_by_others(&path).then(said)
}

/// Where traces go, by the standard variables; nowhere if none is set.
pub fn traces_endpoint() -> Option<String> {
    ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"]
        .iter()
        .find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
}

/// Arms the fail point that `SKEIN_FAIL_POINT` names, in debug builds; a release has none.
///
/// # Errors
///
/// When there is no such point.
pub fn arm_fail_point() -> Result<(), String> {
    #[cfg(debug_assertions)]
    if let Ok(name) = std::env::var("SKEIN_FAIL_POINT") {
        skein_runtime::fail_point::arm(&name).map_err(|error| format!("SKEIN_FAIL_POINT: {error}"))?;
    }
    Ok(())
}

/// A secret for a cluster that lives and dies with this process.
///
/// # Errors
///
/// When the system gives no randomness.
pub fn random_secret() -> anyhow::Result<Secret> {
    Ok(Secret::parse(&random_text()?)?)
}

/// The text of a secret that nobody can guess: 256 random bits in hexadecimal.
///
/// # Errors
///
/// When the system gives no randomness.
pub fn random_text() -> anyhow::Result<String> {
    let mut bytes = [0; 32];
    SysRng.try_fill_bytes(&mut bytes)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Adds to the settings' errors those of the secret.
pub fn with_secret<T>(check: impl FnOnce(Option<Secret>) -> Result<T, Vec<String>>) -> Result<T, Vec<String>> {
    match secret_from_environment() {
        Ok(secret) => check(secret),
        Err(error) => {
            // The rest is checked as if there were a secret, so that its errors are said too and none twice.
            let placeholder = random_secret().ok();
            let mut errors = check(placeholder).err().unwrap_or_default();
            errors.push(error);
            Err(errors)
        }
    }
}

/// Says all that is wrong, on standard error, and gives the exit code for it.
pub fn refuse(errors: &[String]) -> ExitCode {
    for error in errors {
        eprintln!("error: {error}");
    }
    eprintln!("\nFor the settings, their defaults and bounds, try '--help'.");
    ExitCode::from(BAD_SETTINGS)
}
