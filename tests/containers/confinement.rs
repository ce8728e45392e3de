//! How far a container's process could reach, as the engine sees it and not as the file says; and that it ends in order when it
//! is asked to.

use crate::stack::{Stack, docker};

const NODES: [&str; 4] = ["coordinator", "worker-1", "worker-2", "worker-3"];

/// Bytes of the image: the executable with the app, and a base without a shell.
const IMAGE_BYTES_MAX: u64 = 80_000_000;

#[test]
fn a_node_can_do_no_more_than_it_must_and_ends_in_order() {
    let stack = Stack::start(&[], &[]);
    for node in NODES {
        let of = |template: &str| stack.inspect(node, template);
        assert_eq!(of("{{.HostConfig.ReadonlyRootfs}}"), "true", "{node}");
        assert_eq!(of("{{.HostConfig.CapDrop}}"), "[ALL]", "{node}");
        assert_eq!(of("{{.HostConfig.CapAdd}}"), "[]", "{node}");
        assert_eq!(of("{{.HostConfig.SecurityOpt}}"), "[no-new-privileges:true]", "{node}");
        assert_eq!(of("{{.HostConfig.Privileged}}"), "false", "{node}");
        assert_eq!(of("{{.Config.User}}"), "65532:65532", "{node}");
        assert_eq!(of("{{.HostConfig.RestartPolicy.Name}}"), "unless-stopped", "{node}");
        assert_eq!(of("{{index .HostConfig.LogConfig.Config \"max-size\"}}"), "10m", "{node}");
        assert_ne!(of("{{.HostConfig.Memory}}"), "0", "{node} has no memory limit");
        let mounts = of("{{range .Mounts}}{{.Type}} {{.Destination}} {{.RW}},{{end}}");
        let mut mounts: Vec<&str> = mounts.split(',').filter(|mount| !mount.is_empty()).collect();
        mounts.sort_unstable();
        assert_eq!(mounts, ["volume /data true", "volume /secret false"], "{node}");
    }

    // One door, and only from this machine.
    let ports = "{{range $port, $bound := .HostConfig.PortBindings}}{{$port}} {{range $bound}}{{.HostIp}}{{end}}{{end}}";
    assert_eq!(stack.inspect("coordinator", ports), "8080/tcp 127.0.0.1");
    for worker in &NODES[1..] {
        assert_eq!(stack.inspect(worker, ports), "", "{worker} is published");
        let networks = stack.inspect(worker, "{{range $name, $_ := .NetworkSettings.Networks}}{{$name}}{{end}}");
        assert!(networks.ends_with("_cluster"), "{worker} is in {networks}");
        assert_eq!(docker(&["network", "inspect", "--format", "{{.Internal}}", &networks]), "true");
    }

    // The secret was made by the first start, is no variable, and stays over the next one.
    let environment = stack.inspect("worker-1", "{{.Config.Env}}");
    assert!(environment.contains("SKEIN_CLUSTER_SECRET_FILE=/secret/cluster"), "{environment}");
    assert!(!environment.contains("SKEIN_CLUSTER_SECRET="), "{environment}");
    assert!(stack.run(&["logs", "--no-log-prefix", "secret"]).contains("made /secret/cluster"));
    assert_eq!(stack.run(&["run", "--rm", "secret"]).trim(), "kept /secret/cluster");

    // The image holds the executable and nothing to break out with.
    let image = stack.inspect("worker-1", "{{.Image}}");
    let bytes: u64 = docker(&["image", "inspect", "--format", "{{.Size}}", &image]).parse().unwrap();
    assert!(bytes < IMAGE_BYTES_MAX, "the image has {bytes} bytes");
    for shell in ["/bin/sh", "/busybox/sh"] {
        assert!(!stack.compose(&["exec", "-T", "worker-1", shell, "-c", "exit 0"]).status.success(), "there is a {shell}");
    }

    // Health is asked for without one.
    assert_eq!(stack.run(&["exec", "-T", "worker-1", "skein", "status", "--live"]).trim(), "live http://127.0.0.1:8080");
    assert!(stack.run(&["exec", "-T", "coordinator", "skein", "status"]).starts_with("ready"));

    // A worker that is asked to end closes its log; the coordinator goes on, and then ends in order too.
    for node in ["worker-3", "coordinator"] {
        stack.run(&["stop", node]);
        let ended = stack.inspect(node, "{{.State.ExitCode}} {{.State.OOMKilled}}");
        assert_eq!(ended, "0 false", "{node} was killed instead of drained");
    }
    let logs = stack.run(&["logs", "--no-log-prefix", "worker-3", "coordinator"]);
    assert!(logs.contains("the worker has ended in order") && logs.contains("the coordinator has ended in order"), "{logs}");
}

#[test]
fn every_image_is_pinned_and_every_container_bounded() {
    let stack = docker(&["compose", "--profile", "*", "config", "--format", "json"]);
    let project: serde_json::Value = serde_json::from_str(&stack).unwrap();
    let services = project["services"].as_object().unwrap();
    assert!(services.len() >= 10, "all profiles were read");
    for (name, service) in services {
        let image = service["image"].as_str().unwrap_or_else(|| panic!("{name} has no image"));
        let tag = image.rsplit_once(':').map(|(_, tag)| tag);
        assert!(tag.is_some_and(|tag| tag != "latest"), "{name} is not pinned: {image}");
        assert!(service["mem_limit"].is_string(), "{name} has no memory limit");
        assert!(service["logging"]["options"]["max-file"].is_string(), "{name} writes logs without end");
        assert_eq!(service["read_only"], true, "{name} can write to its image");
        assert_eq!(service["cap_drop"], serde_json::json!(["ALL"]), "{name} has capabilities");
        for port in service["ports"].as_array().into_iter().flatten() {
            assert_eq!(port["host_ip"], "127.0.0.1", "{name} is open to the network");
        }
    }
}
