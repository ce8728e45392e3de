//! Passwords: hashed by argon2id (RFC 9106) on threads of their own, a bounded number at once, with a bounded number waiting.
//! Each takes tens of milliseconds and megabytes by design; without the bound a burst of log-ins would take the machine.
//! A check against no account at all does the same work as one against an account.

use std::sync::Arc;

use argon2::password_hash::phc::PasswordHash;
use argon2::{Argon2, PasswordHasher, PasswordVerifier};
use tokio::sync::Semaphore;

/// Checks that may wait for each one that runs.
const WAITING_PER_RUNNING: usize = 16;

/// Hashes and checks passwords.
pub struct Passwords {
    running: Arc<Semaphore>,
    admitted: Arc<Semaphore>,
    /// A hash that no password has, to check against when there is no account.
    nobody: String,
}

/// Too many wait already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Busy;

impl Passwords {
    /// Hashes at most so many at once.
    #[must_use]
    pub fn new(at_once_max: usize) -> Self {
        Passwords {
            running: Arc::new(Semaphore::new(at_once_max)),
            admitted: Arc::new(Semaphore::new(at_once_max * (1 + WAITING_PER_RUNNING))),
            nobody: hash(&random_text()),
        }
    }

    /// Hashes a new password with a new salt.
    ///
    /// # Errors
    /// When too many wait.
    pub async fn hash(&self, password: String) -> Result<String, Busy> {
        self.run(move || hash(&password)).await
    }

    /// Checks a password against the hash of an account, or against nobody's: then the answer is no, in the same time.
    ///
    /// # Errors
    /// When too many wait.
    pub async fn verify(&self, password: String, known: Option<String>) -> Result<bool, Busy> {
        let exists = known.is_some();
        let known = known.unwrap_or_else(|| self.nobody.clone());
        let right = self.run(move || verify(&password, &known)).await?;
        Ok(right && exists)
    }

    async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Busy> {
        let _admitted = Arc::clone(&self.admitted).try_acquire_owned().map_err(|_| Busy)?;
        let running = Arc::clone(&self.running).acquire_owned().await.map_err(|_| Busy)?;
        tokio::task::spawn_blocking(move || {
            let done = work();
            // Held until the work is done, even when whoever asked has gone.
            drop(running);
            done
        })
        .await
        .map_err(|_| Busy)
    }
}

fn hash(password: &str) -> String {
    let hashed = Argon2::default().hash_password(password.as_bytes()).expect("argon2's defaults are valid");
    hashed.to_string()
}

fn verify(password: &str, known: &str) -> bool {
    PasswordHash::new(known).is_ok_and(|known| Argon2::default().verify_password(password.as_bytes(), &known).is_ok())
}

fn random_text() -> String {
    let bytes: [u8; 16] = rand::random();
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_right_password_is_known_and_no_other() {
        let passwords = Passwords::new(1);
        let known = passwords.hash("correct horse".to_owned()).await.unwrap();
        assert!(known.starts_with("$argon2id$"));
        assert!(passwords.verify("correct horse".to_owned(), Some(known.clone())).await.unwrap());
        assert!(!passwords.verify("wrong horse".to_owned(), Some(known)).await.unwrap());
        assert!(!passwords.verify("correct horse".to_owned(), None).await.unwrap());
    }

    #[tokio::test]
    async fn a_burst_beyond_the_bound_is_refused_at_once() {
        let passwords = Arc::new(Passwords::new(1));
        let many = (0..100).map(|_| {
            let passwords = Arc::clone(&passwords);
            tokio::spawn(async move { passwords.verify("x".to_owned(), None).await })
        });
        let mut refused = 0;
        for one in many.collect::<Vec<_>>() {
            refused += usize::from(one.await.unwrap() == Err(Busy));
        }
        assert!(refused >= 100 - 2 * (1 + WAITING_PER_RUNNING), "only {refused} were refused");
    }
}
