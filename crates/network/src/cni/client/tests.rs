//! Fake plugins, in every way that one can go wrong.

use std::{fs, thread, time::Instant};

use rustix::io::{FdFlags, fcntl_setfd};

use super::*;
use crate::{
    MacAddress,
    cni::{
        Bandwidth, Dns, PortMapping, RuntimeConfig, Transport,
        fake::{Machine, web},
    },
};

const ONE: &str = r#"{"type":"one","mine":{"x":[1]}}"#;
const TWO: &str = r#"{"type":"two","capabilities":{"portMappings":true,"mac":false}}"#;
const THREE: &str = r#"{"type":"three"}"#;

/// A network of three plugins, which all do as they should but for what is told.
fn three(version: &str, does: [&str; 3]) -> (Machine, Configuration) {
    let [one, two, three] = does;
    let machine = Machine::new(&[("one", one), ("two", two), ("three", three)]);
    let network = machine.network(version, &[ONE, TWO, THREE], "");
    (machine, network)
}

/// What a plugin does that answers `ADD` and nothing else.
const GOOD: &str = "[ $CNI_COMMAND != ADD ] || result";
/// A plugin that answers nothing but `DEL`.
const NO_ADD: &str = r#"[ $CNI_COMMAND = DEL ] && exit
echo '{"cniVersion":"1.0.0","code":7,"msg":"bad field","details":"mine"}'; exit 1"#;
const NO_DEL: &str = "[ $CNI_COMMAND = DEL ] && { echo no >&2; exit 3; }; result";

#[test]
fn each_plugin_is_given_the_result_of_the_one_before() {
    let (machine, network) = three("1.0.0", [GOOD; 3]);
    let added = machine.client().add(&network, &web()).unwrap();
    let address = added.addresses_of("eth0").next().unwrap();
    assert_eq!(address.address, ("10.1.0.5".parse().unwrap(), 16));
    assert_eq!(address.gateway, Some("10.1.0.1".parse().unwrap()));
    let calls = machine.calls();
    let plugins: Vec<_> = calls.iter().map(|call| call.plugin.as_str()).collect();
    assert_eq!(plugins, ["one", "two", "three"]);
    assert_eq!(
        calls[0].input,
        json!({"type": "one", "mine": {"x": [1]}, "cniVersion": "1.0.0", "name": "net"})
    );
    assert_eq!(calls[2].input["prevResult"]["ips"][0]["address"], "10.1.0.5/16");
    for (name, value) in [
        ("CNI_COMMAND", "ADD"),
        ("CNI_CONTAINERID", "web"),
        ("CNI_IFNAME", "eth0"),
        ("CNI_NETNS", "/proc/self/ns/net"),
        ("CNI_ARGS", ""),
    ] {
        assert_eq!(calls[0].variable(name), Some(value));
    }
    let path = format!("{}:{}", machine.path("missing").display(), machine.path("bin").display());
    assert_eq!(calls[0].variable("CNI_PATH"), Some(path.as_str()));
}

#[test]
fn a_plugin_has_nothing_of_ours_but_the_path() {
    let marker = tempfile::NamedTempFile::with_prefix("not-for-plugins").unwrap();
    fcntl_setfd(&marker, FdFlags::empty()).unwrap();
    let has = r#"ls -l /proc/$$/fd | grep -q not-for-plugins && exit 1
[ "$(ps -o pgid= -p $$ | tr -d ' ')" = $$ ] || exit 2
[ "$(pwd)" = / ] || exit 3
result"#;
    let (machine, network) = three("1.0.0", [has, GOOD, GOOD]);
    machine.client().add(&network, &web()).unwrap();
    let environment = &machine.calls()[0].environment;
    for line in environment.lines() {
        let (name, _) = line.split_once('=').unwrap();
        let ours = ["PATH", "PWD", "_", "SHLVL", "OLDPWD"].contains(&name);
        assert!(ours || name.starts_with("CNI_"), "{name}");
    }
}

#[test]
fn a_failed_addition_is_undone_in_reverse_and_told_with_the_plugins_words() {
    let (machine, network) = three("1.0.0", [GOOD, NO_ADD, GOOD]);
    let client = machine.client();
    let error = client.add(&network, &web()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Plugin);
    let said = error.plugin().unwrap();
    assert_eq!((said.plugin.as_str(), said.command, said.code), ("two", "ADD", Some(7)));
    assert_eq!(error.to_string(), "plugin 'two' failed to ADD: bad field: mine (code 7)");
    assert_eq!(machine.order(), ["ADD one", "ADD two", "DEL three", "DEL two", "DEL one"]);
    assert_eq!(client.attachments().unwrap(), []);
    assert_eq!(fs::read_dir(machine.path("records")).unwrap().count(), 0);
}

#[test]
fn what_could_not_be_undone_stays_recorded_and_is_undone_later() {
    let (machine, network) = three("1.0.0", [NO_DEL, NO_ADD, NO_DEL]);
    let client = machine.client();
    let error = client.add(&network, &web()).unwrap_err();
    assert_eq!(error.plugin().unwrap().plugin, "two");
    let also = error.also()[0].to_string();
    assert!(also.contains("plugin 'three' failed to DEL") && also.contains("no"), "{also}");
    assert_eq!(error.also()[0].also()[0].plugin().unwrap().plugin, "one");
    let id = web().id(&network);
    assert_eq!(client.attachments().unwrap(), std::slice::from_ref(&id));
    assert_eq!(client.result(&id).unwrap(), None);
    assert_eq!(client.check(&id, None).unwrap_err().kind(), ErrorKind::NotAdded);
    assert_eq!(client.add(&network, &web()).unwrap_err().kind(), ErrorKind::AlreadyAdded);
    machine.calls();
    // With all plugins asked, whatever others say.
    client.delete(&id, None).unwrap_err();
    assert_eq!(machine.order(), ["DEL three", "DEL two", "DEL one"]);
    machine.plugin("one", GOOD);
    machine.plugin("three", GOOD);
    client.delete(&id, None).unwrap();
    assert_eq!(client.attachments().unwrap(), []);
    client.delete(&id, None).unwrap();
}

#[test]
fn a_deletion_is_of_what_was_added_whatever_the_file_says_now() {
    let (machine, network) = three("0.4.0", [GOOD; 3]);
    let client = machine.client();
    let mut asked = web();
    asked.arguments = vec![("K8S_POD_NAME".to_owned(), "web-1".to_owned())];
    asked.runtime.port_mappings = vec![port()];
    client.add(&network, &asked).unwrap();
    let other = machine.network("1.1.0", &[ONE], "");
    machine.calls();
    // Another process, after the first was killed, which is not told where the plugins are.
    let elsewhere = Client::new(vec!["/none".into()], machine.path("records")).unwrap();
    elsewhere.delete(&asked.id(&other), None).unwrap();
    let calls = machine.calls();
    let order: Vec<_> = calls.iter().map(|call| call.plugin.as_str()).collect();
    assert_eq!(order, ["three", "two", "one"]);
    assert_eq!(calls[1].input["runtimeConfig"]["portMappings"][0]["hostPort"], 8080);
    assert_eq!(calls[1].input["prevResult"]["cniVersion"], "0.4.0");
    assert_eq!(calls[1].input["prevResult"]["ips"][0]["version"], "4");
    assert_eq!(calls[1].variable("CNI_ARGS"), Some("K8S_POD_NAME=web-1"));
    assert_eq!(calls[1].variable("CNI_NETNS"), Some("/proc/self/ns/net"));
}

/// Its number may be another process's by now, and a plugin would remove what is there.
#[test]
fn a_namespace_that_is_not_the_one_of_the_addition_is_given_to_no_plugin() {
    let (machine, network) = three("1.0.0", [GOOD; 3]);
    let client = machine.client();
    let link = machine.path("netns");
    std::os::unix::fs::symlink("/proc/self/ns/net", &link).unwrap();
    let attachment = Attachment::new("web", "eth0", &link).unwrap();
    let id = attachment.id(&network);
    client.add(&network, &attachment).unwrap();
    fs::remove_file(&link).unwrap();
    std::os::unix::fs::symlink("/proc/self/ns/uts", &link).unwrap();
    assert_eq!(client.check(&id, None).unwrap_err().kind(), ErrorKind::InvalidInput);
    machine.calls();
    assert_eq!(client.check(&id, Some(Path::new("/proc/1/ns/net"))).unwrap(), Asked::Answered);
    assert_eq!(machine.calls()[0].variable("CNI_NETNS"), Some("/proc/1/ns/net"));
    client.delete(&id, None).unwrap();
    assert_eq!(machine.calls()[0].variable("CNI_NETNS"), Some(""));
}

#[test]
fn a_record_is_there_before_the_first_plugin_runs() {
    let machine = Machine::new(&[]);
    let records = machine.path("records");
    let looks = format!("[ -s {}/web/net:eth0 ] || exit 1\nresult", records.display());
    machine.plugin("one", &looks);
    let network = machine.network("1.0.0", &[ONE], "");
    let client = machine.client();
    let added = client.add(&network, &web()).unwrap();
    let id = web().id(&network);
    assert_eq!(client.result(&id).unwrap(), Some(added));
    // Of one that is killed meanwhile, this is what the next process finds.
    let file = records.join("web/net:eth0");
    let mut record: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    record["result"] = Value::Null;
    fs::write(&file, record.to_string()).unwrap();
    fs::write(records.join("web/.new"), "{half").unwrap();
    assert_eq!(client.attachments().unwrap(), std::slice::from_ref(&id));
    client.delete(&id, None).unwrap();
    assert_eq!(machine.order(), ["ADD one", "DEL one"]);
    assert_eq!(fs::read_dir(records).unwrap().count(), 0);
}

#[test]
fn a_broken_record_is_told_by_its_file() {
    let (machine, network) = three("1.0.0", [GOOD; 3]);
    let client = machine.client();
    client.add(&network, &web()).unwrap();
    fs::write(machine.path("records/web/net:eth0"), "{}").unwrap();
    let error = client.delete(&web().id(&network), None).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BadRecord);
    assert!(error.to_string().contains("records/web/net:eth0"), "{error}");
}

#[test]
fn a_plugin_that_hangs_is_killed_with_its_children() {
    let machine = Machine::new(&[]);
    let pids = machine.path("pids");
    let hangs = format!("sleep 1000 & echo $$ $! >{}; wait", pids.display());
    machine.plugin("one", &format!("[ $CNI_COMMAND = DEL ] && exit\n{hangs}"));
    let network = machine.network("1.0.0", &[ONE], "");
    let client = machine.client().with_timeout(Duration::from_secs(1));
    let error = client.add(&network, &web()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert_eq!(error.to_string(), "plugin 'one' did not ADD within 1s and was killed");
    for pid in fs::read_to_string(pids).unwrap().split_whitespace() {
        let start = Instant::now();
        let lives = || match fs::read_to_string(format!("/proc/{pid}/stat")) {
            Ok(stat) => !stat.contains(") Z "),
            Err(_) => false,
        };
        while lives() {
            assert!(start.elapsed().as_secs() < 10, "{pid} lives");
            thread::sleep(Duration::from_millis(10));
        }
    }
}

#[test]
fn a_plugin_that_writes_without_end_is_cut() {
    let endless = "[ $CNI_COMMAND = DEL ] && exit\nyes";
    let (machine, network) = three("1.0.0", [endless, GOOD, GOOD]);
    let error = machine.client().add(&network, &web()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BadAnswer);
    assert!(error.to_string().contains("more than 1048576 bytes"), "{error}");
}

#[test]
fn long_errors_are_read_to_their_end_and_long_inputs_need_not_be_read() {
    let chatty =
        "[ $CNI_COMMAND = DEL ] && exit\nhead -c 3000000 /dev/zero | tr '\\0' x >&2; exit 9";
    let machine = Machine::new(&[("one", chatty)]);
    let long = format!(r#"{{"type":"one","long":"{}"}}"#, "y".repeat(300_000));
    let network = machine.network("1.0.0", &[&long], "");
    let script = format!("#!/bin/sh\n{chatty}\n");
    fs::write(machine.path("bin/one"), script).unwrap();
    let error = machine.client().add(&network, &web()).unwrap_err();
    let message = error.to_string();
    assert!(message.contains("exit status: 9, without an error") && message.contains("xxx"));
    assert!(message.len() < 1200, "{}", message.len());
}

#[test]
fn a_plugin_that_leaves_a_child_behind_is_not_waited_for() {
    let (machine, network) = three("1.0.0", [GOOD, "sleep 20 & result", GOOD]);
    let start = Instant::now();
    machine.client().add(&network, &web()).unwrap();
    assert!(start.elapsed().as_secs() < 15);
}

#[test]
fn answers_that_are_not_of_the_protocol_are_told() {
    for (does, words) in [
        ("true", "answered ADD with: not JSON"),
        ("echo '[]'", "not a JSON object"),
        (r#"echo '{"cniVersion":"0.1.0"}'"#, "cniVersion: '0.1.0'"),
        (r#"echo '{"ips":[{"address":"x"}]}'"#, "'x' is not an address with its prefix"),
    ] {
        let (machine, network) = three("1.0.0", [does, GOOD, GOOD]);
        let error = machine.client().add(&network, &web()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BadAnswer, "{does}");
        assert!(error.to_string().contains(words), "{error}");
        assert_eq!(machine.order()[1..], ["DEL three", "DEL two", "DEL one"]);
    }
}

#[test]
fn failures_without_the_protocols_error_are_told_by_what_was_written() {
    for (does, words) in [
        ("echo oh >&2; exit 4", "exit status: 4, without an error as the specification has it: oh"),
        ("echo on stdout; exit 4", "has it: on stdout"),
        ("exit 4", "exit status: 4, without an error"),
        ("kill -9 $$", "signal: 9"),
        (r#"echo '{"code":11}'; exit 1"#, "failed to ADD: no message (code 11)"),
        (r#"echo '{"msg":"m"}'; exit 1"#, "failed to ADD: m"),
    ] {
        let (machine, network) = three("1.0.0", [does, GOOD, GOOD]);
        let error = machine.client().add(&network, &web()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Plugin, "{does}");
        assert!(error.to_string().contains(words), "{error}");
    }
}

#[test]
fn a_missing_plugin_is_found_out_before_any_runs() {
    let machine = Machine::new(&[("one", GOOD)]);
    // Neither a directory nor a file that can't be executed is a plugin.
    fs::create_dir(machine.path("bin/two")).unwrap();
    fs::write(machine.path("bin/three"), "").unwrap();
    for other in [TWO, THREE] {
        let network = machine.network("1.0.0", &[ONE, other], "");
        let error = machine.client().add(&network, &web()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NoPlugin);
        assert!(error.to_string().contains("/missing, "), "{error}");
        assert!(!machine.path("records").exists());
        assert!(machine.order().is_empty());
    }
}

#[test]
fn what_no_plugin_can_do_is_refused() {
    let (machine, network) = three("1.0.0", [GOOD; 3]);
    let client = machine.client();
    let mac: MacAddress = MacAddress::of([10, 1, 0, 5].into());
    for (runtime, capability) in [
        (RuntimeConfig { mac: Some(mac), ..RuntimeConfig::default() }, "mac"),
        (RuntimeConfig { dns: Some(Dns::default()), ..RuntimeConfig::default() }, "dns"),
    ] {
        let mut asked = web();
        asked.runtime = runtime;
        let error = client.add(&network, &asked).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        let words = format!("no plugin of network 'net' has the capability '{capability}'");
        assert_eq!(error.to_string(), words);
    }
    assert!(machine.order().is_empty());
}

fn port() -> PortMapping {
    let host_ip = Some([127, 0, 0, 1].into());
    PortMapping { host_ip, host_port: 8080, container_port: 80, transport: Transport::Tcp }
}

#[test]
fn each_plugin_is_told_what_it_declares() {
    let all = r#"{"type":"one","capabilities":{"portMappings":true,"bandwidth":true,"ips":true,
                  "mac":true,"dns":true,"aliases":true,"other":true}}"#;
    let machine = Machine::new(&[("one", GOOD), ("two", GOOD), ("three", GOOD)]);
    let network = machine.network("1.0.0", &[all, TWO, THREE], "");
    assert!(network.has_capability("aliases") && !network.has_capability("none"));
    let mut asked = web();
    asked.runtime = RuntimeConfig {
        port_mappings: vec![port(), PortMapping { host_ip: None, ..port() }],
        bandwidth: Some(Bandwidth { ingress_rate: 8000, ..Bandwidth::default() }),
        ips: vec![([10, 1, 0, 7].into(), 16)],
        mac: Some(MacAddress::of([10, 1, 0, 5].into())),
        dns: Some(Dns { nameservers: vec!["10.1.0.1".to_owned()], ..Dns::default() }),
        aliases: vec!["db".to_owned()],
    };
    machine.client().add(&network, &asked).unwrap();
    let calls = machine.calls();
    let ports = json!([
        {"hostIP": "127.0.0.1", "hostPort": 8080, "containerPort": 80, "protocol": "tcp"},
        {"hostPort": 8080, "containerPort": 80, "protocol": "tcp"},
    ]);
    let told = json!({
        "portMappings": ports,
        "bandwidth": {"ingressRate": 8000, "ingressBurst": 0, "egressRate": 0, "egressBurst": 0},
        "ips": ["10.1.0.7/16"],
        "mac": MacAddress::of([10, 1, 0, 5].into()).to_string(),
        "dns": {"servers": ["10.1.0.1"], "searches": [], "options": []},
        "aliases": ["db"],
    });
    assert_eq!(calls[0].input["runtimeConfig"], told);
    assert_eq!(calls[1].input["runtimeConfig"], json!({"portMappings": ports}));
    assert_eq!(calls[2].input.get("runtimeConfig"), None);
}

#[test]
fn bad_names_and_paths_are_refused() {
    assert!(Attachment::new("../x", "eth0", "/x").is_err());
    assert!(Attachment::new("web", "a/b", "/x").is_err());
    assert!(Attachment::new("web", "eth0", "x").is_err());
    assert!(AttachmentId::new("..", "web", "eth0").is_err());
    for (dirs, records) in
        [(vec![], "/r"), (vec!["bin"], "/r"), (vec!["/a:b"], "/r"), (vec!["/bin"], "r")]
    {
        let dirs = dirs.into_iter().map(PathBuf::from).collect();
        let error = Client::new(dirs, records.into()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
    }
    let (machine, network) = three("1.0.0", [GOOD; 3]);
    let mut asked = web();
    asked.arguments = vec![("A;B".to_owned(), "1".to_owned())];
    let error = machine.client().add(&network, &asked).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    let gone = Attachment::new("web", "eth0", "/proc/self/ns/none").unwrap();
    let error = machine.client().add(&network, &gone).unwrap_err();
    assert!(error.to_string().contains("/proc/self/ns/none"), "{error}");
}

#[test]
fn a_check_is_given_the_result_and_stops_at_the_first_that_says_no() {
    let no_check = "[ $CNI_COMMAND = CHECK ] && { echo '{\"code\":1,\"msg\":\"gone\"}'; exit 1; }\n\
                    result";
    let (machine, network) = three("0.4.0", [GOOD, no_check, GOOD]);
    let client = machine.client();
    let id = web().id(&network);
    assert_eq!(client.check(&id, None).unwrap_err().kind(), ErrorKind::NotAdded);
    client.add(&network, &web()).unwrap();
    machine.calls();
    let error = client.check(&id, None).unwrap_err();
    assert_eq!(error.to_string(), "plugin 'two' failed to CHECK: gone (code 1)");
    let calls = machine.calls();
    assert_eq!(calls.len(), 2);
    assert_eq!(calls[0].input["prevResult"]["ips"][0]["address"], "10.1.0.5/16");
}

#[test]
fn commands_are_left_out_where_the_version_lacks_them_or_the_network_says_so() {
    let disabled = r#""disableCheck":true,"disableGC":"true","#;
    for (version, keys, check, status, gc) in [
        ("0.3.1", "", Asked::Unsupported, Asked::Unsupported, Asked::Unsupported),
        ("0.4.0", "", Asked::Answered, Asked::Unsupported, Asked::Unsupported),
        ("1.0.0", disabled, Asked::Disabled, Asked::Unsupported, Asked::Disabled),
        ("1.1.0", "", Asked::Answered, Asked::Answered, Asked::Answered),
        ("1.1.0", disabled, Asked::Disabled, Asked::Answered, Asked::Disabled),
    ] {
        let machine = Machine::new(&[("one", GOOD)]);
        let network = machine.network(version, &[ONE], keys);
        let client = machine.client();
        let id = web().id(&network);
        client.add(&network, &web()).unwrap();
        machine.calls();
        assert_eq!(client.check(&id, None).unwrap(), check, "{version}");
        assert_eq!(client.status(&network).unwrap(), status, "{version}");
        let valid = [id.clone()];
        assert_eq!(client.collect_garbage(&network, &valid).unwrap(), gc, "{version}");
        let answered = [check, status, gc].iter().filter(|it| **it == Asked::Answered).count();
        assert_eq!(machine.calls().len(), answered, "{version}");
        client.delete(&id, None).unwrap();
        let prev_result = machine.calls()[0].input.get("prevResult").is_some();
        assert_eq!(prev_result, version != "0.3.1");
    }
}

#[test]
fn a_network_that_is_not_ready_says_so() {
    let not_now = "[ $CNI_COMMAND = STATUS ] && { echo '{\"code\":50,\"msg\":\"no\"}'; exit 1; }";
    let (machine, network) = three("1.1.0", [GOOD, not_now, GOOD]);
    let error = machine.client().status(&network).unwrap_err();
    assert_eq!(error.plugin().unwrap().code, Some(50));
    let calls = machine.calls();
    assert_eq!(calls.len(), 2);
    assert_eq!(calls[0].variable("CNI_CONTAINERID"), None);
}

#[test]
fn garbage_is_what_is_recorded_and_not_valid_and_what_plugins_find() {
    let (machine, network) =
        three("1.1.0", [GOOD, GOOD, "[ $CNI_COMMAND != GC ] || exit 1\nresult"]);
    let client = machine.client();
    let [web, db] = ["web", "db"].map(|id| {
        let attachment = Attachment::new(id, "eth0", "/proc/self/ns/net").unwrap();
        client.add(&network, &attachment).unwrap();
        attachment.id(&network)
    });
    machine.calls();
    let elsewhere = AttachmentId::new("other", "web", "eth0").unwrap();
    let error = client.collect_garbage(&network, &[elsewhere, web.clone()]).unwrap_err();
    assert_eq!(error.plugin().unwrap().plugin, "three");
    let calls = machine.calls();
    let order: Vec<_> = calls.iter().map(|it| format!("{} {}", it.command, it.plugin)).collect();
    let all = ["DEL three", "DEL two", "DEL one", "GC one", "GC two", "GC three"];
    assert_eq!(order, all);
    assert_eq!(calls[0].variable("CNI_CONTAINERID"), Some("db"));
    let valid = json!([{"containerID": "web", "ifname": "eth0"}]);
    assert_eq!(calls[3].input["cni.dev/valid-attachments"], valid);
    assert_eq!(calls[3].variable("CNI_NETNS"), None);
    assert_eq!(client.attachments().unwrap(), [web]);
    assert_eq!(client.result(&db).unwrap(), None);
}

#[test]
fn one_containers_attachments_change_one_after_another() {
    let slow = "[ $CNI_COMMAND = ADD ] || exit 0\nsleep 0.2; result";
    let machine = Machine::new(&[("one", slow)]);
    let network = machine.network("1.0.0", &[ONE], "");
    let client = machine.client();
    let mut added = 0;
    thread::scope(|scope| {
        let threads: Vec<_> =
            (0..4).map(|_| scope.spawn(|| client.add(&network, &web()).is_ok())).collect();
        added =
            threads.into_iter().filter_map(|thread| thread.join().ok()).filter(|it| *it).count();
    });
    assert_eq!(added, 1);
    assert_eq!(machine.order(), ["ADD one"]);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| client.delete(&web().id(&network), None).unwrap());
        }
    });
    assert_eq!(machine.order(), ["DEL one"]);
}
