//! Passwords: hashed by argon2id (RFC 9106) on threads of their own, a bounded number at once, with a bounded number waiting.
//! Each takes tens of milliseconds and megabytes by design; without the bound a burst of log-ins would take the machine.
//! Whose turn it is says [`super::queue`]. A check against no account at all does the same work as one against an account.

use argon2::password_hash::phc::PasswordHash;
use argon2::{Argon2, PasswordHasher, PasswordVerifier};

use super::queue::{Busy, Purpose, Queue};

/// Checks that may wait for each one that runs.
const WAITING_PER_RUNNING: usize = 16;

/// Hashes and checks passwords.
pub struct Passwords {
    queue: Queue,
    /// A hash that no password has, to check against when there is no account.
    nobody: String,
}

impl Passwords {
    /// Hashes at most so many at once.
    #[must_use]
    pub fn new(at_once_max: usize) -> Self {
        Passwords { queue: Queue::new(at_once_max, at_once_max * WAITING_PER_RUNNING), nobody: hash(&random_text()) }
    }

    /// Hashes a new password with a new salt, for a sign-up from this address.
    ///
    /// # Errors
    /// When too many wait.
    pub async fn hash(&self, password: String, address: &str) -> Result<String, Busy> {
        self.run(Purpose::SignUp, address, move || hash(&password)).await
    }

    /// Checks a password that came from this address against the hash of an account. Without an account the answer is no, after
    /// the same time.
    ///
    /// # Errors
    /// When too many wait.
    pub async fn verify(&self, password: String, known: Option<String>, address: &str) -> Result<bool, Busy> {
        let exists = known.is_some();
        let known = known.unwrap_or_else(|| self.nobody.clone());
        let right = self.run(Purpose::LogIn, address, move || verify(&password, &known)).await?;
        Ok(right && exists)
    }

    async fn run<T: Send + 'static>(
        &self,
        purpose: Purpose,
        address: &str,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Busy> {
        let turn = self.queue.take(purpose, address).await?;
        tokio::task::spawn_blocking(move || {
            let done = work();
            // Held until the work is done, even when the request has ended.
            drop(turn);
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
    use std::sync::Arc;

    use super::*;

    const ADDRESS: &str = "192.0.2.1";

    #[tokio::test]
    async fn the_right_password_is_known_and_no_other() {
        let passwords = Passwords::new(1);
        let known = passwords.hash("correct horse".to_owned(), ADDRESS).await.unwrap();
        assert!(known.starts_with("$argon2id$"));
        assert!(passwords.verify("correct horse".to_owned(), Some(known.clone()), ADDRESS).await.unwrap());
        assert!(!passwords.verify("wrong horse".to_owned(), Some(known), ADDRESS).await.unwrap());
        assert!(!passwords.verify("correct horse".to_owned(), None, ADDRESS).await.unwrap());
    }

    #[tokio::test]
    async fn a_burst_beyond_the_bound_is_refused_at_once() {
        let passwords = Arc::new(Passwords::new(1));
        let many = (0..100).map(|_| {
            let passwords = Arc::clone(&passwords);
            tokio::spawn(async move { passwords.verify("x".to_owned(), None, ADDRESS).await })
        });
        let mut refused = 0;
        for one in many.collect::<Vec<_>>() {
            refused += usize::from(one.await.unwrap() == Err(Busy));
        }
        assert!(refused >= 100 - 2 * (1 + WAITING_PER_RUNNING), "only {refused} were refused");
    }
}
