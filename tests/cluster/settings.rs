//! The command line as a person meets it: every bad setting is said at once with exit code 2 and before anything is bound,
//! the help shows defaults, bounds and variables, and the cluster's secret shows nowhere.

use std::fs::{self, Permissions};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;

use crate::harness::cluster::{SECRET, free_port};
use crate::harness::process::{Process, run};

#[test]
fn every_bad_setting_of_a_worker_is_said_at_once_and_nothing_is_bound() {
    let port = free_port();
    let cluster = format!("0.0.0.0:{port}");
    let ended = run(
        &[
            "worker",
            &cluster,
            "--http",
            "nowhere",
            "--sync",
            "sometimes",
            "--memory-max",
            "1",
            "--data",
            "/dev/null",
            "--log",
            "==",
        ],
        &[],
    );
    assert_eq!(ended.code, Some(2), "{ended:?}");
    for name in ["needs a secret", "--http", "--sync", "--memory-max", "--data", "log filter"] {
        assert!(ended.log.contains(name), "{name} is not said in {}", ended.log);
    }
    assert_eq!(ended.output, "");
    TcpListener::bind(("0.0.0.0", port)).expect("nothing was bound");
}

#[test]
fn every_bad_setting_of_a_coordinator_and_of_a_whole_cluster_is_said_at_once() {
    for (arguments, names) in [
        (
            ["coordinator", "nowhere", "worker.example:7001", "--data", "/dev/null", "--tweet-max", "0", "--log", "=="],
            ["the HTTP address", "needs a secret", "--data", "--tweet-max", "log filter"],
        ),
        (
            ["up", "--http", "nowhere", "--workers", "33", "--sync=never", "--tweet-max", "0", "--log=="],
            ["--http", "--workers", "--sync", "--tweet-max", "log filter"],
        ),
    ] {
        let ended = run(&arguments, &[]);
        assert_eq!((ended.code, ended.output.as_str()), (Some(2), ""), "{ended:?}");
        for name in names {
            assert!(ended.log.contains(name), "{name} is not said in {}", ended.log);
        }
    }
}

#[test]
fn what_is_of_another_kind_hides_nothing_else_that_is_wrong() {
    let flags = ["--http", "--workers", "--sync", "--memory-max", "--auth", "--tweet-max", "--log"];
    let values = ["99999", "0", "sometimes", "1", "maybe", "0", "loud"];
    let numbers = ["zzz", "abc", "0", "zz", "0", "abc", "info,x=noisy"];
    for values in [values, numbers] {
        let line: Vec<&str> = flags.iter().zip(values).flat_map(|(flag, value)| [*flag, value]).collect();
        let ended = run(&[&["up"], &line[..]].concat(), &[("SKEIN_DEMO", "maybe"), ("SKEIN_TRUST_PROXY", "2")]);
        assert_eq!((ended.code, ended.output.as_str()), (Some(2), ""), "{ended:?}");
        for name in flags[..6].iter().chain(&["--demo", "--trust-proxy", "log filter"]) {
            assert!(ended.log.contains(name), "{name} is not said in {}", ended.log);
        }
    }
    let ended = run(&["up", "--tweet-max", "0"], &[("SKEIN_WORKERS_COUNT", "zz")]);
    assert!(ended.code == Some(2) && ended.log.contains("--workers") && ended.log.contains("--tweet-max"), "{ended:?}");
    let ended = run(&["status", "nowhere", "--live=perhaps"], &[]);
    assert!(ended.code == Some(2) && ended.log.contains("the URL") && ended.log.contains("--live"), "{ended:?}");
}

#[test]
fn a_number_below_zero_is_said_with_its_bounds_and_with_all_the_rest() {
    let ended = run(&["up", "--sign-ups", "-1", "--memory-max", "-5", "--window", "-256", "--workers", "0"], &[]);
    assert_eq!((ended.code, ended.output.as_str()), (Some(2), ""), "{ended:?}");
    for said in
        ["--sign-ups must be a number from 0 to 1000000", "--memory-max must", "--window must be a number from 256", "--workers"]
    {
        assert!(ended.log.contains(said), "{said} is missing in {}", ended.log);
    }
    let ended = run(&["up", "--no-such-flag"], &[]);
    assert!(ended.code == Some(2) && ended.log.contains("--no-such-flag"), "{ended:?}");
}

#[test]
fn bounds_on_connections_that_contradict_each_other_are_refused() {
    let ended = run(&["up", "--connections-per-address", "9000", "--connections-max", "10"], &[]);
    assert_eq!((ended.code, ended.output.as_str()), (Some(2), ""), "{ended:?}");
    for said in ["--connections-per-address", "--connections-max", "9000", "10"] {
        assert!(ended.log.contains(said), "{said} is missing in {}", ended.log);
    }
}

#[test]
fn what_others_may_replace_below_or_above_the_data_is_refused_with_what_to_do() {
    let folder = tempfile::tempdir().expect("a folder");
    let (open, link, data) = (folder.path().join("open"), folder.path().join("link"), folder.path().join("data"));
    let (target, part) = (open.join("data"), data.join("worker-2"));
    for made in [&target, &part] {
        fs::create_dir_all(made).expect("a folder");
    }
    std::os::unix::fs::symlink(&target, &link).expect("a link");
    for (path, mode) in [(folder.path(), 0o755), (&data, 0o755), (&part, 0o777), (&open, 0o777), (&target, 0o700)] {
        fs::set_permissions(path, Permissions::from_mode(mode)).expect("ours");
    }
    for (path, said) in [(&link, format!("chmod o-w {}", open.display())), (&data, format!("chmod go-w {}", part.display()))] {
        let ended = run(&["up", "--http", "0", "--data", path.to_str().expect("text")], &[]);
        assert_eq!(ended.code, Some(2), "{ended:?}");
        assert!(ended.log.contains(&said), "{said} is missing in {}", ended.log);
    }
}

#[test]
fn a_switch_is_on_by_its_variable_as_by_its_name() {
    for (line, variables) in [
        (["up", "--http", "0", "--workers", "1", "--trust-proxy"], [("SKEIN_LOG", "info")]),
        (["up", "--http", "0", "--workers", "1", "--tweet-max=1"], [("SKEIN_TRUST_PROXY", "1")]),
    ] {
        let mut process = Process::start("up", &line, &variables);
        process.signal("TERM");
        assert_eq!(process.wait().code(), Some(0));
        assert!(process.log_text().contains("\"proxy.trusted\":true"), "{}", process.log_text());
    }
}

#[test]
fn the_log_of_a_cluster_is_fields_named_by_entity_and_no_dumps() {
    let mut process = Process::start("up", &["up", "--http", "0", "--workers", "2"], &[]);
    process.signal("TERM");
    assert_eq!(process.wait().code(), Some(0));
    let text = process.log_text();
    let lines: Vec<serde_json::Map<String, serde_json::Value>> =
        text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect();
    let plain = ["timestamp", "level", "target", "message", "error"];
    for (name, value) in lines.iter().flatten() {
        assert!(plain.contains(&name.as_str()) || name.contains('.'), "{name} is not named by its entity in {text}");
        assert!(!value.to_string().contains(" { "), "{name} is a dump: {value}");
    }
    let active = lines.iter().find(|line| line["message"] == "membership: view 1 is active with 2 members and 0 learners");
    let active = active.unwrap_or_else(|| panic!("no view became active in {text}"));
    assert_eq!((&active["view.number"], &active["member.count"]), (&1.into(), &2.into()));
}

#[test]
fn a_bad_secret_is_said_beside_the_rest_and_never_shown() {
    for (name, value, said) in [
        ("SKEIN_CLUSTER_SECRET", "short-secret", "SKEIN_CLUSTER_SECRET"),
        ("SKEIN_CLUSTER_SECRET_FILE", "/nowhere/at/all", "SKEIN_CLUSTER_SECRET_FILE"),
    ] {
        let ended = run(&["worker", "0", "--sync", "never"], &[(name, value)]);
        assert_eq!(ended.code, Some(2), "{ended:?}");
        assert!(ended.log.contains(said) && ended.log.contains("--sync"), "{}", ended.log);
        assert!(!ended.log.contains("short-secret"), "the secret is shown: {}", ended.log);
    }
    let ended = run(&["worker", "0"], &[("SKEIN_CLUSTER_SECRET", SECRET), ("SKEIN_CLUSTER_SECRET_FILE", "/dev/null")]);
    assert_eq!(ended.code, Some(2), "{ended:?}");
}

#[test]
fn what_others_may_write_to_is_refused_with_what_to_do_and_a_secret_that_they_may_read_is_warned_of() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).expect("ours");
    let (secret, data) = (folder.path().join("secret"), folder.path().join("data"));
    fs::write(&secret, SECRET).expect("a file");
    fs::create_dir(&data).expect("a folder");
    let (secret_path, data_path) = (secret.to_str().expect("text"), data.to_str().expect("text"));
    let known = [("SKEIN_CLUSTER_SECRET_FILE", secret_path)];
    for path in [&secret, &data] {
        fs::set_permissions(path, Permissions::from_mode(0o777)).expect("ours");
    }
    for line in [
        &["worker", "0", "--data", data_path][..],
        &["coordinator", "0", "7001", "--data", data_path],
        &["up", "--http", "0", "--data", data_path],
    ] {
        let ended = run(line, &known);
        assert_eq!(ended.code, Some(2), "{ended:?}");
        for path in [secret_path, data_path] {
            assert!(ended.log.contains(&format!("chmod go-w {path}")), "{path} is not named in {}", ended.log);
        }
    }
    fs::set_permissions(&data, Permissions::from_mode(0o755)).expect("ours");
    for (mode, warned) in [(0o644, true), (0o400, false)] {
        fs::set_permissions(&secret, Permissions::from_mode(mode)).expect("ours");
        let mut worker = Process::start("worker", &["worker", "0", "--http", "0", "--data", data_path], &known);
        worker.signal("TERM");
        assert_eq!(worker.wait().code(), Some(0));
        assert_eq!(worker.log_text().contains(&format!("chmod go-r {secret_path}")), warned, "{}", worker.log_text());
    }
}

#[test]
fn the_secret_shows_in_no_help_log_or_process_list() {
    let help = run(&["worker", "--help"], &[("SKEIN_CLUSTER_SECRET", SECRET)]);
    assert_eq!(help.code, Some(0));
    assert!(!help.output.contains(SECRET) && help.output.contains("SKEIN_CLUSTER_SECRET"), "{}", help.output);
    let mut worker = Process::start("worker", &["worker", "0", "--log", "trace"], &[("SKEIN_CLUSTER_SECRET", SECRET)]);
    let command_line = fs::read(format!("/proc/{}/cmdline", worker.id())).expect("the process runs");
    assert!(!String::from_utf8_lossy(&command_line).contains(SECRET));
    worker.signal("TERM");
    assert_eq!(worker.wait().code(), Some(0));
    assert!(!worker.log_text().contains(SECRET), "{}", worker.log_text());
}

#[test]
fn the_help_shows_the_default_the_bound_and_the_variable_of_each_flag() {
    for (command, flags) in [
        (
            "worker",
            vec![
                ("--http", "127.0.0.1:0", "SKEIN_HTTP"),
                ("--data", "in memory", "SKEIN_DATA"),
                ("--sync", "1 to 60000 ms", "SKEIN_SYNC"),
                ("--memory-max", "1MiB to 1TiB", "SKEIN_MEMORY_MAX"),
                ("--scrub", "1 to 86400", "SKEIN_SCRUB"),
            ],
        ),
        (
            "coordinator",
            vec![
                ("--data", "in memory", "SKEIN_DATA"),
                ("--auth", "password", "SKEIN_AUTH"),
                ("--demo", "two tweets", "SKEIN_DEMO"),
                ("--tweet-max", "1 to 10000", "SKEIN_TWEET_MAX"),
                ("--requests-max", "1 to 16384", "SKEIN_REQUESTS_MAX"),
                ("--outcome-hours", "1 to 720", "SKEIN_OUTCOME_HOURS"),
                ("--heartbeat", "50 to 5000", "SKEIN_HEARTBEAT"),
                ("--heartbeats-missed", "2 to 100", "SKEIN_HEARTBEATS_MISSED"),
                ("--compare", "1 to 86400", "SKEIN_COMPARE"),
                ("--window", "256 to 32768", "SKEIN_WINDOW"),
                ("--connections-per-address", "512", "SKEIN_CONNECTIONS_PER_ADDRESS"),
                ("--answers-max", "16 to 65536", "SKEIN_ANSWERS_MAX"),
            ],
        ),
        (
            "up",
            vec![
                ("--http", "127.0.0.1:8080", "SKEIN_HTTP"),
                ("--workers", "1 to 32", "SKEIN_WORKERS_COUNT"),
                ("--data", "in memory", "SKEIN_DATA"),
                ("--sync", "1 to 60000 ms", "SKEIN_SYNC"),
                ("--auth", "password", "SKEIN_AUTH"),
                ("--scrub", "1 to 86400", "SKEIN_SCRUB"),
                ("--compare", "1 to 86400", "SKEIN_COMPARE"),
            ],
        ),
        ("status", vec![("--json", "JSON", "SKEIN_JSON")]),
    ] {
        let help = run(&[command, "--help"], &[("COLUMNS", "110")]);
        let text: String = help.output.split_whitespace().collect::<Vec<_>>().join(" ");
        for (flag, bound, variable) in flags {
            let after = text.split(&format!(" {flag}")).nth(1).unwrap_or_else(|| panic!("{command}: no {flag} in {text}"));
            assert!(after.contains(bound) && after.contains(variable), "{command} {flag}: {after}");
        }
    }
}

#[test]
fn status_answers_with_its_exit_code() {
    let worker = Process::start("worker", &["worker", "0"], &[]);
    TcpStream::connect(worker.cluster_address()).expect("the ready line says where the cluster's protocol is spoken");
    let ready = run(&["status", worker.url()], &[]);
    assert_eq!(ready.code, Some(0), "{ready:?}");
    assert!(ready.output.starts_with("ready http://"), "{}", ready.output);
    let json = run(&["status", worker.url(), "--json"], &[]);
    assert_eq!(serde_json::from_str::<serde_json::Value>(&json.output).expect("JSON")["ready"], true);
    let nobody = format!("http://127.0.0.1:{}", free_port());
    assert_eq!(run(&["status", &nobody], &[]).code, Some(1));
    assert_eq!(run(&["status", "ftp://127.0.0.1:1"], &[]).code, Some(2));
}

#[test]
fn an_address_in_use_ends_with_a_reason() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("bound").to_string();
    let ended = run(&["worker", &address], &[]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.log.contains(&address), "{}", ended.log);
}
