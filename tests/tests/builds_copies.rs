//! What `COPY` and `ADD` put into an image.

use std::fs;

use sandbar_tests::building::{build, context, shell};
use sandbar_tests::{Node, Rootfs, SOON, get, tests, until};

tests! {
    a_pattern_may_fit_nothing,
    names_of_one_file_stay_so,
    what_is_unpacked_may_have_another_owner,
    what_is_at_an_address_is_added,
    directories_that_lead_to_files_are_copied_if_asked_for,
}

fn a_pattern_may_fit_nothing(node: &Node) {
    node.has_busybox();
    // What many projects say of files of which some have one and some another.
    let dockerfile =
        "FROM busybox\nCOPY package.json yarn.lock* pnpm-lock.yaml* /app/\nWORKDIR /app";
    build(node, dockerfile, &[("package.json", ""), ("yarn.lock", "")], &[]);
    assert_eq!(shell(node, "ls /app"), "package.json\nyarn.lock\n");
    let files = [("Dockerfile", "FROM busybox\nCOPY *.sql /sql/"), ("package.json", "")];
    let said = node.says("build -t x").with([context(node, &files)]).code(0);
    assert!(said.stderr().contains("line 2: nothing in the context fits"), "{said}");
    assert_eq!(shell(node, "ls -d /sql 2>/dev/null || echo none"), "none\n");
    let context = context(node, &[("Dockerfile", "FROM busybox\nCOPY a.sql b* /sql/")]);
    node.says("build -q").with([context]).refused(1, &["Dockerfile:2", "a.sql"]);
}

fn names_of_one_file_stay_so(node: &Node) {
    node.has_busybox();
    let dockerfile = "\
FROM busybox AS first
ENV PATH=/bin
RUN mkdir /d && echo 1 > /d/a && ln /d/a /d/b && ln -s a /d/c
FROM busybox
COPY --from=first /d /d
";
    build(node, dockerfile, &[], &[]);
    assert_eq!(shell(node, "stat -c %h /d/a /d/b; readlink /d/c"), "2\n2\na\n");
}

fn what_is_unpacked_may_have_another_owner(node: &Node) {
    node.has_busybox();
    let archive = Rootfs::new().file("in", 0o600, b"in\n").into_archive();
    let archive = node.file("a.tar", archive);
    let context = context(node, &[("Dockerfile", "FROM busybox\nADD --chown=alice a.tar /d")]);
    fs::copy(archive, context.join("a.tar")).expect("the archive");
    node.says("build -q -t x").with([context]).ok();
    assert_eq!(shell(node, "stat -c '%U %a' /d /d/in"), "alice 755\nalice 600\n");
}

fn what_is_at_an_address_is_added(node: &Node) {
    node.has_busybox();
    let served = node.path("served");
    fs::create_dir(&served).expect("a directory");
    fs::write(served.join("file.txt"), "from there\n").expect("a file");
    fs::write(served.join("a.tar"), Rootfs::new().file("in", 0o644, b"").into_archive())
        .expect("one");
    let server = node.run("/bin/busybox", ["httpd", "-f", "-p", "127.0.0.1:8000", "-h"]);
    let server = server.with([&served]).begin();
    until("the server", SOON, || get("127.0.0.1:8000", "/file.txt").filter(|it| it.status == 200));
    let checksum = "sha256:19bb43bd8aab64bbb2c2c6b7a5e10b8d1b5e8c3e3f0b2b8b2b5b6d1b4a1d5a0e";
    let dockerfile = "\
FROM busybox
ARG FROM=http://127.0.0.1:8000
ADD $FROM/file.txt?query=1 /d/
ADD --chmod=644 --chown=alice $FROM/file.txt /named
ADD $FROM/a.tar /d/
";
    build(node, dockerfile, &[], &[]);
    let said = shell(node, "cat /d/file.txt; stat -c '%n %a %U' /d/* /named");
    let expected = "/d/a.tar 600 root\n/d/file.txt 600 root\n/named 644 alice\n";
    assert_eq!(said, format!("from there\n{expected}"));
    let with = |checksum: &str| {
        let dockerfile =
            format!("FROM busybox\nADD --checksum={checksum} http://127.0.0.1:8000/file.txt /x\n");
        context(node, &[("Dockerfile", &dockerfile)]).display().to_string()
    };
    let wrong =
        node.sandbar(["build", "-q", &with(checksum)]).refused(1, &["Dockerfile:2", checksum]);
    let said = wrong.stderr();
    let right = said.split("it is ").nth(1).and_then(|it| it.get(..71)).expect("the digest");
    let first = node.sandbar(["build", "-q", &with(right)]).ok();
    server.kill();
    // Whose digest is known is not fetched again.
    assert_eq!(node.sandbar(["build", "-q", &with(right)]).ok(), first);
    let gone = context(node, &[("Dockerfile", dockerfile)]).display().to_string();
    node.sandbar(["build", "-q", &gone]).refused(1, &["Dockerfile:3", "127.0.0.1:8000", "refused"]);
}

fn directories_that_lead_to_files_are_copied_if_asked_for(node: &Node) {
    node.has_busybox();
    let dockerfile = "\
FROM busybox
COPY --parents a/b/one a/two /1/
COPY --parents ./a/./b/one /2/
COPY --parents **/three /3/
COPY --parents a /4
COPY --chmod=u=rwX,go=rX a /5/
COPY --chmod=+x a/two /6
COPY **/one /7/
";
    let files = [("a/b/one", "1"), ("a/two", "2"), ("a/c/three", "3"), ("d/three", "3")];
    build(node, dockerfile, &files, &[]);
    let said = shell(node, "cd /; find 1 2 3 4 5 6 7 -type f | sort; stat -c %a 5/b 5/two 6");
    let expected = "\
1/a/b/one
1/a/two
2/b/one
3/a/c/three
3/d/three
4/a/b/one
4/a/c/three
4/a/two
5/b/one
5/c/three
5/two
6
7/one
755
644
755
";
    assert_eq!(said, expected);
}
