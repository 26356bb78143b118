//! The classic pod, line by line: pause, nginx in front, and a web application that listens on 127.0.0.1 alone.

use sandbar_tests::{Node, SOON, get, living, tests, until};

tests! {
    the_classic_pod_of_pause_nginx_and_an_application [Nginx, Blog, Setsid],
    the_classic_pod_in_any_image_that_has_a_server,
}

const NGINX_CONF: &str = "\
events {}
http {
    access_log /dev/stdout;
    server {
        listen 80;
        location / { proxy_pass http://127.0.0.1:2368; add_header X-Through nginx; }
    }
}
";
const JOIN: &str = "--net=container:pause --ipc=container:pause --pid=container:pause";

fn the_classic_pod_of_pause_nginx_and_an_application(node: &Node) {
    node.has_nginx();
    node.has_blog();
    node.file("nginx.conf", NGINX_CONF);

    let id = node.says("run -d --name pause -p 8080:80 pause").ok();
    assert_eq!(id.trim_end().len(), 64, "an id: {id}");
    node.says(&format!(
        "run -d --name nginx -v ./nginx.conf:/etc/nginx/nginx.conf:ro {JOIN} localhost/nginx"
    ))
    .directory(node.path(""))
    .ok();
    node.says(&format!("run -d --name blog {JOIN} localhost/blog")).ok();

    let answer = until("200 through nginx", SOON, || {
        get("127.0.0.1:8080", "/").filter(|answer| answer.status == 200)
    });
    assert!(answer.headers.contains("X-Through: nginx"), "not through nginx: {answer:?}");
    let itself = node.says("exec blog wget -q -O - http://127.0.0.1:2368/").ok();
    assert_eq!(answer.body, itself, "not from the application");
    assert_eq!(
        get(&format!("{}:2368", node.address("pause")), "/"),
        None,
        "it listens on 127.0.0.1"
    );

    let mut terminal = node.terminal(&node.says("exec -it blog ps -o pid,args"));
    terminal.shows("nginx: master process");
    assert_eq!(terminal.wait(), 0);
    let shown = terminal.shown();
    let first = shown.lines().nth(1).unwrap_or_default();
    assert_eq!(first.split_whitespace().collect::<Vec<_>>(), ["1", "/pause"], "{shown}");
    assert!(shown.contains("nginx: worker process") && shown.contains("/blog"), "{shown}");

    let listed = node.says("ps").ok();
    let heading: Vec<&str> = listed.lines().next().unwrap_or_default().split("  ").collect();
    let heading: Vec<&str> =
        heading.into_iter().map(str::trim).filter(|it| !it.is_empty()).collect();
    let usual = ["CONTAINER ID", "IMAGE", "COMMAND", "CREATED", "STATUS", "PORTS", "NAMES"];
    assert_eq!(heading, usual);
    for name in ["pause", "nginx", "blog"] {
        let line = listed.lines().find(|line| line.ends_with(name)).expect(name);
        assert!(line.contains("Up ") && line.contains("0.0.0.0:8080->80/tcp"), "{line}");
    }

    // What others have joined does not go before them.
    node.says("rm -f pause").refused(1, &["pause", "joined"]);
    let removed = node.says("rm -f blog nginx pause").ok();
    assert_eq!(removed, "blog\nnginx\npause\n");
    assert_eq!(get("127.0.0.1:8080", "/"), None);
}

fn the_classic_pod_in_any_image_that_has_a_server(node: &Node) {
    node.has_busybox();
    node.says("run -d --name pause -p 8080:8000 pause").ok();
    let serve =
        "mkdir /srv; echo it is busybox >/srv/index.html; exec httpd -f -p 127.0.0.1:2368 -h /srv";
    node.says(&format!("run -d --name server {JOIN} busybox sh -c")).with([serve]).ok();
    let proxy = "while nc -l -p 8000 -e nc 127.0.0.1 2368; do :; done";
    node.says(&format!("run -d --name front {JOIN} busybox sh -c")).with([proxy]).ok();
    until("an answer", SOON, || {
        get("127.0.0.1:8080", "/").filter(|answer| answer.body.contains("it is busybox"))
    });

    // One system of processes, one of messages, one network; a file system and a host name each.
    let (pause, server, front) =
        (node.process("pause"), node.process("server"), node.process("front"));
    for name in ["net", "ipc", "pid"] {
        assert_eq!(pause.namespace(name), server.namespace(name), "{name}");
        assert_eq!(pause.namespace(name), front.namespace(name), "{name}");
    }
    for name in ["mnt", "uts"] {
        assert_ne!(server.namespace(name), front.namespace(name), "{name}");
        assert_ne!(pause.namespace(name), front.namespace(name), "{name}");
    }

    // With pause all of its PID namespace ends.
    node.says("stop pause").ok();
    for name in ["pause", "server", "front"] {
        node.becomes(name, "exited");
    }
    until("the end of every process", SOON, || living().iter().all(|it| !it.lives()).then_some(()));
    node.says("rm front server pause").ok();
}
