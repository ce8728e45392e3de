//! One run of `compose.yaml` under a project name of its own. It is taken down with its volumes when it is dropped, however the
//! test ended; what the services said last is shown if the test failed.

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::harness::cluster::free_port;

/// A stack of containers.
pub struct Stack {
    project: String,
    port: u16,
    settings: Vec<(String, String)>,
    profiles: Vec<String>,
}

impl Stack {
    /// Builds the image and starts everything with these variables of `compose.yaml`, until all of it is healthy.
    pub fn start(profiles: &[&str], settings: &[(&str, &str)]) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let port = free_port();
        let mut settings: Vec<(String, String)> = settings.iter().map(|(name, value)| pair(name, value)).collect();
        settings.push(pair("SKEIN_PORT", &port.to_string()));
        settings.push(pair("GRAFANA_PORT", &free_port().to_string()));
        let stack = Stack {
            project: format!("skein-test-{}-{number}", std::process::id()),
            port,
            settings,
            profiles: profiles.iter().map(|profile| (*profile).to_owned()).collect(),
        };
        stack.run(&["up", "--build", "--detach", "--wait", "--wait-timeout", "180"]);
        stack
    }

    /// Starts what is down, with the volumes that are there.
    pub fn start_again(&self) {
        self.run(&["up", "--detach", "--wait", "--wait-timeout", "180"]);
    }

    /// Where the published port leads.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// `docker compose` with these arguments, which must succeed; gives its standard output.
    pub fn run(&self, arguments: &[&str]) -> String {
        let output = self.compose(arguments);
        let (said, complained) = (text(&output.stdout), text(&output.stderr));
        assert!(output.status.success(), "docker compose {arguments:?}: {}\n{said}\n{complained}", output.status);
        said
    }

    /// `docker compose` with these arguments.
    pub fn compose(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new("docker");
        command.current_dir(Path::new(env!("CARGO_MANIFEST_DIR"))).args(["compose", "--project-name", &self.project]);
        for profile in &self.profiles {
            command.args(["--profile", profile]);
        }
        command.args(arguments).envs(self.settings.iter().map(|(name, value)| (name, value))).stdin(Stdio::null());
        command.output().expect("docker is there")
    }

    /// What Docker knows of a service's container, as a Go template shows it.
    pub fn inspect(&self, service: &str, template: &str) -> String {
        let container = self.run(&["ps", "--all", "--quiet", service]);
        docker(&["inspect", "--format", template, container.trim()])
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let status = self.compose(&["ps", "--all"]);
            let logs = self.compose(&["logs", "--no-color", "--tail", "30"]);
            eprintln!("{}\n{}", text(&status.stdout), text(&logs.stdout));
        }
        let down = self.compose(&["down", "--volumes", "--remove-orphans", "--timeout", "20"]);
        if !down.status.success() {
            eprintln!("{} is left behind: {}", self.project, text(&down.stderr));
        }
    }
}

/// `docker` with these arguments, which must succeed; gives its standard output.
pub fn docker(arguments: &[&str]) -> String {
    let output = Command::new("docker").args(arguments).stdin(Stdio::null()).output().expect("docker is there");
    assert!(output.status.success(), "docker {arguments:?}: {}", text(&output.stderr));
    text(&output.stdout).trim().to_owned()
}

fn pair(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
