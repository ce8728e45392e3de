//! An operator who changes the roster while the storm lasts: a worker that runs is removed from the cluster for good, and added again a
//! little later, under the name by which it was removed. A coordinator that is down or is just being replaced keeps the operator from
//! neither: what was refused or not answered is asked again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hyper::Method;
use hyper::header::AUTHORIZATION;
use serde_json::{Value, json};
use skein_coordinator::operators::key::{OperatorKey, Signed};
use skein_runtime::transport::Secret;
use tokio::task::JoinHandle;

use crate::harness::client::Client;
use crate::harness::cluster::SECRET;

const PATH: &str = "/api/cluster/workers";

/// The pause before a worker is added once more when that was not done.
const AGAIN: Duration = Duration::from_millis(200);

/// A removal, and the addition after it.
pub struct Change {
    removed: Arc<AtomicBool>,
    task: JoinHandle<()>,
}

impl Change {
    /// Removes the worker with this name, and adds it when so much time has passed.
    pub fn begin(url: String, name: String, lasts: Duration) -> Self {
        let removed = Arc::new(AtomicBool::new(false));
        let note = Arc::clone(&removed);
        let task = tokio::spawn(async move {
            let mut client = Client::new(&url);
            let was_removed = ask(&mut client, Method::DELETE, &format!("{PATH}/{name}"), None).await == Some(200);
            note.store(was_removed, Ordering::Relaxed);
            tokio::time::sleep(lasts).await;
            // Also where the removal was not answered: it may have come about.
            let form = json!({ "address": name });
            while ask(&mut client, Method::POST, PATH, Some(&form)).await != Some(200) {
                tokio::time::sleep(AGAIN).await;
            }
        });
        Change { removed, task }
    }

    /// Whether a coordinator has said that the worker was removed.
    pub fn removed(&self) -> bool {
        self.removed.load(Ordering::Relaxed)
    }

    /// Whether the worker was added again.
    pub fn is_over(&self) -> bool {
        self.task.is_finished()
    }
}

impl Drop for Change {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The status of the answer to an operator's request, if there is one.
async fn ask(client: &mut Client, method: Method, path: &str, body: Option<&Value>) -> Option<u16> {
    let secret = Secret::parse(SECRET).expect("it is long enough");
    let bytes = body.map(|body| body.to_string().into_bytes()).unwrap_or_default();
    let authority = client.address().to_string();
    let proof = OperatorKey::of(&secret).sign(Signed { method: method.as_str(), authority: &authority, path, body: &bytes });
    let answer = client.send(method, path, &[(AUTHORIZATION.as_str(), &proof)], body).await.ok()?;
    Some(answer.status)
}
