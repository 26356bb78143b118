//! Images built from Dockerfiles.

use std::fs;
use std::path::PathBuf;

use sandbar_tests::{Node, tests};

tests! {
    files_commands_and_settings_become_an_image,
    a_step_is_not_done_twice,
    what_fails_is_told_with_its_line,
}

/// A directory with these files, to build in.
fn context(node: &Node, files: &[(&str, &str)]) -> PathBuf {
    let directory = node.path("context");
    let _of_the_build_before = fs::remove_dir_all(&directory);
    for (name, content) in files {
        let path = directory.join(name);
        fs::create_dir_all(path.parent().expect("a directory")).expect("a directory");
        fs::write(path, content).expect("a file of the context");
    }
    directory
}

fn files_commands_and_settings_become_an_image(node: &Node) {
    node.has_busybox();
    let dockerfile = "\
ARG VERSION=1
FROM busybox AS base
ARG VERSION
ENV PATH=/bin NAME=\"of the image\"
WORKDIR /srv/app
COPY a.txt .
COPY --chown=alice dir /dirs/
RUN echo \"$NAME $VERSION\" > out
COPY <<ONE <<'TWO' /docs/
$NAME
ONE
$NAME
TWO

FROM base AS unneeded
RUN false

FROM busybox
COPY --from=base /srv/app /dirs /docs /
ENV PATH=/bin
LABEL some=label
EXPOSE 80
USER alice
CMD [\"cat\", \"/out\"]
";
    let files = [("Dockerfile", dockerfile), ("a.txt", "a"), ("dir/sub/b.txt", "b")];
    let context = context(node, &files).display().to_string();
    let id = node.sandbar(["build", "-t", "some:1", "--tag=other", &context]).ok();
    assert!(id.starts_with("sha256:"), "{id}");
    assert_eq!(node.says("run --rm --net none some:1").ok(), "of the image 1\n");
    let script = "cat /a.txt /sub/b.txt /ONE /TWO; stat -c %u /sub/b.txt; id -un; ls /etc";
    let said = node.sandbar(["run", "--rm", "--net", "none", "other", "sh", "-c", script]).ok();
    assert!(said.starts_with("abof the image\n$NAME\n1000\nalice\n"), "{said}");
    let image = node.inspect("some:1");
    assert_eq!(image["Config"]["Labels"]["some"], "label");
    assert_eq!(image["Config"]["ExposedPorts"], serde_json::json!({ "80/tcp": {} }));
    let listed = node.says("images").ok();
    assert!(!listed.contains("<none>"), "{listed}");
    assert!(node.says("images -a").ok().contains("<none>"));
    assert!(node.says("ps -a").ok().lines().count() == 1);
    assert_eq!(fs::read_dir("/var/lib/sandbar/build/tmp").expect("builds").count(), 0);
}

fn a_step_is_not_done_twice(node: &Node) {
    node.has_busybox();
    let dockerfile =
        "FROM busybox\nENV PATH=/bin\nRUN head -c 8 /dev/urandom > /x\nCOPY a /\nCMD ls";
    let context_with = |a: &str| context(node, &[("Dockerfile", dockerfile), ("a", a)]);
    let build = |options: &[&str], a: &str| {
        let context = context_with(a).display().to_string();
        node.sandbar([&["build", "-q"], options, &[&context]].concat()).ok()
    };
    let first = build(&[], "1");
    assert_eq!(build(&[], "1"), first);
    let other = build(&[], "2");
    assert_ne!(other, first);
    let x = |image: &str| {
        node.sandbar(["run", "--rm", "--net", "none", image.trim(), "sh", "-c", "md5sum /x"]).ok()
    };
    assert_eq!(x(&other), x(&first));
    let anew = build(&["--no-cache"], "1");
    assert_ne!(x(&anew), x(&first));
}

fn what_fails_is_told_with_its_line(node: &Node) {
    node.has_busybox();
    let refuse = |dockerfile: &str, words: &[&str]| {
        let context = context(node, &[("Dockerfile", dockerfile)]).display().to_string();
        node.sandbar(["build", "-q", "-t", "none", &context]).refused(1, words);
    };
    refuse("FROM busybox\n\nCOYP a b", &["Dockerfile:3", "COYP"]);
    refuse("FROM busybox\nENV PATH=/bin\nRUN exit 7", &["Dockerfile:3", "code 7"]);
    refuse("FROM busybox\nCOPY missing /", &["Dockerfile:2", "'missing'"]);
    refuse("FROM busybox\nRUN [\"/no/such\"]", &["Dockerfile:2", "/no/such"]);
    refuse("FROM localhost/missing", &["Dockerfile:1", "localhost/missing"]);
    refuse("FROM busybox\nADD https://x.example/a /", &["Dockerfile:2", "https://x.example/a"]);
    let context =
        context(node, &[("Dockerfile", "FROM busybox\nENV PATH=/bin\nRUN echo so; false")]);
    let said = node.sandbar(["build", "-q", &context.display().to_string()]).code(1);
    assert!(said.stderr().starts_with("so\n"), "{}", said.stderr());
    node.says("build https://x.example/a.git").refused(1, &["https://x.example/a.git"]);
    node.says("build /no/such").refused(1, &["/no/such"]);
    assert!(!node.says("images").ok().contains("none"));
    assert!(node.says("ps -a").ok().lines().count() == 1);
}
