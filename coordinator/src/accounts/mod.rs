//! Accounts: who people are. An account's row is keyed by the lower-cased username and is written expecting its absence, so
//! that a name is given once, regardless of case, whatever happens at the same time.
//!
//! Logging in by name alone makes the account on the way; such an account has no password, and nobody can log in to it once
//! passwords are asked for.

mod problem;
pub mod routes;

pub mod field;
mod password;
mod queue;

use std::time::Duration;

use serde::{Deserialize, Serialize};
use skein_protocol::id::TxnId;
use skein_protocol::operation::{Action, Expect, Key, Operation};

use crate::field::FieldError;
use crate::store::clock::Timestamp;
use crate::store::cluster::{self, Cluster};
use crate::store::once::{Fingerprint, IdempotencyKey, Once, Past};
use crate::store::row::Unreadable;
use crate::store::tables::ACCOUNTS;
use crate::store::write::{self, Found, Plan, Race, Write, Writer, Written};
use password::Passwords;
use queue::Busy;

/// All that can be done with accounts.
pub struct Accounts {
    cluster: Cluster,
    writer: Writer,
    passwords: Passwords,
    repeats_kept_for: Duration,
}

/// What others may know of an account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// As written when it was made; unique without regard to case.
    pub username: String,
    /// The name as shown.
    pub name: String,
    /// Where its owner gets mail; empty if it was made on the way.
    pub email: String,
    /// When it was made.
    pub created_at: Timestamp,
}

/// What the row holds.
#[derive(Serialize, Deserialize)]
struct AccountRow {
    account: Account,
    password_hash: Option<String>,
}

/// What someone signs up with.
#[derive(Clone, Debug)]
pub struct SignUp {
    /// The username.
    pub username: String,
    /// The name.
    pub name: String,
    /// The email address.
    pub email: String,
    /// The password.
    pub password: String,
}

/// An account that is committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Created {
    /// The account.
    pub account: Account,
    /// Its transaction; a repeat's is the first one's.
    pub txn: TxnId,
}

/// A sign-up that was made before, under the same key and with the same fields but for the password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Earlier(Created);

/// What became of a sign-up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SignedUp {
    /// The account was made.
    Now(Created),
    /// It was made before: this is a repeat, of which the password has yet to be proved.
    Repeat(Earlier),
}

/// Why there is no account, or none that these words open.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Fields that are empty or malformed, each once.
    #[error("{}", .0.first().map_or("a field is malformed", |first| first.detail.as_str()))]
    Fields(Vec<FieldError>),
    /// The name is taken.
    #[error("this username is taken, without regard to case")]
    Exists {
        /// The transaction that found out.
        txn: Option<TxnId>,
    },
    /// There is no such user.
    #[error("there is no such user")]
    NoSuchUser,
    /// The password is another.
    #[error("the password is wrong")]
    WrongPassword,
    /// Too many passwords wait to be hashed; nothing was done.
    #[error("too many passwords are being checked")]
    Busy,
    /// A row is not one that this program can read.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    /// It was not written, or the `Idempotency-Key` was used for another request.
    #[error(transparent)]
    Write(#[from] write::Error),
    /// The store did not do it.
    #[error(transparent)]
    Cluster(#[from] cluster::Error),
}

/// What the write of an account expects.
#[derive(Clone, Copy, Debug)]
enum Expected {
    /// Its name is free.
    Name,
}

/// A new account.
struct Create<'a> {
    account: &'a Account,
    password_hash: Option<&'a str>,
}

impl Error {
    /// Whether what was asked for may have happened all the same.
    #[must_use]
    pub fn may_have_happened(&self) -> bool {
        matches!(self, Error::Write(write::Error::Cluster(error)) | Error::Cluster(error) if error.may_have_happened())
    }

    /// Whether it is about the store, and not about what was asked for.
    #[must_use]
    pub fn is_stores(&self) -> bool {
        matches!(self, Error::Busy | Error::Unreadable(_) | Error::Write(write::Error::Cluster(_)) | Error::Cluster(_))
    }
}

impl From<Busy> for Error {
    fn from(_: Busy) -> Self {
        Error::Busy
    }
}

impl Accounts {
    /// Accounts in this cluster; at most so many passwords are hashed at once.
    #[must_use]
    pub fn new(cluster: Cluster, writer: Writer, hashes_at_once_max: usize, repeats_kept_for: Duration) -> Self {
        Accounts { cluster, writer, passwords: Passwords::new(hashes_at_once_max), repeats_kept_for }
    }

    /// The sign-up that this one repeats, if it was made under this key before. Its sender has yet to
    /// [prove](Accounts::prove) the password.
    ///
    /// # Errors
    /// A key used otherwise, or the store's.
    pub async fn earlier(&self, form: &SignUp, once: &IdempotencyKey) -> Result<Option<Earlier>, Error> {
        self.look_up(&self.once(form, once)).await
    }

    /// Makes an account with a password, for a form that [has no errors](check_sign_up), from this address.
    ///
    /// # Errors
    /// A taken name, a key used otherwise, too many who wait, or the store's.
    pub async fn sign_up(&self, form: &SignUp, once: Option<&IdempotencyKey>, address: &str) -> Result<SignedUp, Error> {
        let once = once.map(|once| self.once(form, once));
        let password_hash = Some(self.passwords.hash(form.password.clone(), address).await?);
        let account = Account {
            username: form.username.clone(),
            name: form.name.clone(),
            email: form.email.clone(),
            created_at: Timestamp::now(),
        };
        let create = Create { account: &account, password_hash: password_hash.as_deref() };
        let written = self.writer.begin().once(once.as_ref()).run(create).await?;
        let (repeated, created) = (written.is_repeat(), Created::from(written));
        Ok(if repeated { SignedUp::Repeat(Earlier(created)) } else { SignedUp::Now(created) })
    }

    /// Checks that the sender of a repeated sign-up, from this address, knows its password.
    ///
    /// # Errors
    /// A key used otherwise when the password is another, too many who wait, or the store's.
    pub async fn prove(&self, earlier: Earlier, password: String, address: &str) -> Result<Created, Error> {
        let Earlier(created) = earlier;
        let known = self.find(&created.account.username).await?.and_then(|stored| stored.password_hash);
        if self.passwords.verify(password, known, address).await? { Ok(created) } else { Err(write::Error::KeyReused.into()) }
    }

    /// Checks a password that came from this address; gives the account.
    ///
    /// # Errors
    /// A malformed name, no such user, another password, too many who wait, or the store's.
    pub async fn check(&self, username: &str, password: String, address: &str) -> Result<Account, Error> {
        check_form(username, Some(&password))?;
        let stored = self.find(username).await?;
        let known = stored.as_ref().and_then(|stored| stored.password_hash.clone());
        let right = self.passwords.verify(password, known, address).await?;
        match stored {
            None => Err(Error::NoSuchUser),
            Some(_) if !right => Err(Error::WrongPassword),
            Some(stored) => Ok(stored.account),
        }
    }

    /// The account of this name, made now if there is none, without a password.
    ///
    /// # Errors
    /// A malformed name, or the store's.
    pub async fn enter(&self, username: &str) -> Result<Account, Error> {
        check_form(username, None)?;
        if let Some(stored) = self.find(username).await? {
            return Ok(stored.account);
        }
        let account = Account::named(username);
        match self.writer.begin().run(Create { account: &account, password_hash: None }).await {
            Ok(_) => Ok(account),
            // Somebody of this name was faster.
            Err(Error::Exists { .. }) => Ok(self.find(username).await?.ok_or(write::Error::Contention)?.account),
            Err(error) => Err(error),
        }
    }

    async fn find(&self, username: &str) -> Result<Option<AccountRow>, Error> {
        match self.cluster.read_one(key(username)).await? {
            None => Ok(None),
            Some(row) => Ok(Some(ACCOUNTS.decode(&row.value)?)),
        }
    }

    /// The password is left out of the fingerprint: a fast hash of it must not be stored. A repeat proves it.
    fn once(&self, form: &SignUp, once: &IdempotencyKey) -> Once {
        let parts = [b"sign-up".as_slice(), form.username.as_bytes(), form.name.as_bytes(), form.email.as_bytes()];
        Once::new(&form.username.to_ascii_lowercase(), once, Fingerprint::of(&parts), self.repeats_kept_for)
    }

    async fn look_up(&self, once: &Once) -> Result<Option<Earlier>, Error> {
        match once.judge::<Account>(self.cluster.read_one(once.key()).await?.as_ref())? {
            Past::Free(_) => Ok(None),
            Past::Reused => Err(write::Error::KeyReused.into()),
            Past::Repeat { answer: account, txn, .. } => Ok(Some(Earlier(Created { account, txn }))),
        }
    }
}

impl Write for Create<'_> {
    type Name = Expected;
    type Answer = Account;
    type Error = Error;

    async fn plan(&mut self, _: &Found) -> Result<Option<Plan<Self>>, Error> {
        let Operation { key, expect, action } = put(self.account, self.password_hash);
        Ok(Some(Plan::new(self.account.clone()).step(Expected::Name, key, expect, action)))
    }

    fn lost(&mut self, Expected::Name: Expected, race: Race) -> Result<(), Error> {
        Err(Error::Exists { txn: Some(race.txn) })
    }
}

impl From<Written<Account>> for Created {
    fn from(written: Written<Account>) -> Self {
        Created { account: written.answer, txn: written.txn }
    }
}

/// Checks the fields of a sign-up.
///
/// # Errors
/// All fields that are empty or malformed.
pub fn check_sign_up(form: &SignUp) -> Result<(), Error> {
    let checks =
        [field::username(&form.username), field::name(&form.name), field::email(&form.email), field::password(&form.password)];
    let errors: Vec<FieldError> = checks.into_iter().flatten().collect();
    if errors.is_empty() { Ok(()) } else { Err(Error::Fields(errors)) }
}

/// Checks whether these could be somebody's username and password at all.
///
/// # Errors
/// The fields that could not.
pub fn check_form(username: &str, password: Option<&str>) -> Result<(), Error> {
    // One that is too short for an account is merely wrong.
    let password = password.filter(|password| password.len() > field::PASSWORD_MAX).and_then(field::password);
    let errors: Vec<FieldError> = field::username(username).into_iter().chain(password).collect();
    if errors.is_empty() { Ok(()) } else { Err(Error::Fields(errors)) }
}

impl Account {
    /// An account that is known by its username alone.
    #[must_use]
    pub fn named(username: &str) -> Self {
        Account { username: username.to_owned(), name: username.to_owned(), email: String::new(), created_at: Timestamp::now() }
    }
}

/// The operation that makes an account, if the name is free.
pub(crate) fn put(account: &Account, password_hash: Option<&str>) -> Operation {
    let stored = AccountRow { account: account.clone(), password_hash: password_hash.map(str::to_owned) };
    let value = ACCOUNTS.encode(&stored).expect("an account is plain data with text keys");
    Operation { key: key(&account.username), expect: Expect::Absent, action: Action::Put(value.into()) }
}

fn key(username: &str) -> Key {
    Key::new(ACCOUNTS.id, username.to_ascii_lowercase().as_str())
}
