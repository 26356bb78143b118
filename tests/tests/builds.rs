//! Images built from Dockerfiles.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use rustix::process::Signal;
use sandbar_tests::building::{build, context, shell};
use sandbar_tests::{Node, Rootfs, Running, SOON, get, tests, until};

tests! {
    files_commands_and_settings_become_an_image,
    a_step_is_not_done_twice,
    what_fails_is_told_with_its_line,
    commands_see_what_is_mounted_and_leave_nothing_of_it,
    a_secret_is_in_no_layer_and_no_record,
    the_context_may_come_by_standard_input,
    the_same_time_gives_the_same_image_anywhere,
    nothing_leads_out_of_a_context_or_an_image,
    an_image_for_another_machine,
    who_is_told_to_stop_stops,
    what_a_killed_build_left_the_next_one_clears,
    what_is_known_of_steps_goes_with_their_images,
    stages_without_a_name_are_told_by_number,
    an_image_that_a_build_needs_stays,
    prunings_take_nothing_from_a_build,
    documents_are_scripts_and_files,
    pause_is_built_by_its_own_dockerfile,
    the_blog_is_built_by_its_own_dockerfile [Blog],
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
    let anew = x(&build(&["--no-cache"], "1"));
    assert_ne!(anew, x(&first));
    // What was removed is forgotten, and done again.
    let records = || fs::read_dir("/var/lib/sandbar/build/steps").expect("records").count();
    let before = records();
    node.says("image prune -f").ok();
    assert!(!node.says("images -a").ok().contains("<none>"));
    assert_ne!(x(&build(&[], "3")), anew);
    assert!(records() < before, "{before} and {}", records());
}

fn what_fails_is_told_with_its_line(node: &Node) {
    node.has_busybox();
    let refuse = |dockerfile: &str, words: &[&str]| {
        let context = context(node, &[("Dockerfile", dockerfile)]).display().to_string();
        node.sandbar(["build", "-q", "-t", "none", &context]).refused(1, words);
    };
    refuse("FROM busybox\n\nCOYP a b", &["Dockerfile:3", "COYP"]);
    refuse("FROM busybox\nENV PATH=/bin\nRUN exit 7", &["Dockerfile:3: RUN exit 7", "code 7"]);
    refuse("FROM busybox\nCOPY missing /", &["Dockerfile:2", "'missing'"]);
    refuse("FROM busybox\nRUN [\"/no/such\"]", &["Dockerfile:2", "/no/such"]);
    refuse("FROM localhost/missing", &["Dockerfile:1", "localhost/missing"]);
    refuse("FROM busybox\nADD https://x.example/a.git /", &["Dockerfile:2", "x.example/a.git"]);
    refuse("FROM busybox\nADD git@x.example:a /", &["Dockerfile:2", "git@x.example:a"]);
    refuse("FROM busybox\nCOPY http://x.example/a /", &["Dockerfile:2", "http://x.example/a"]);
    let context =
        context(node, &[("Dockerfile", "FROM busybox\nENV PATH=/bin\nRUN echo so; false")]);
    let said = node.sandbar(["build", "-q", &context.display().to_string()]).code(1);
    assert!(said.stderr().starts_with("so\n"), "{}", said.stderr());
    node.says("build https://x.example/a.git").refused(1, &["https://x.example/a.git"]);
    node.says("build /no/such").refused(1, &["/no/such"]);
    assert!(!node.says("images").ok().contains("none"));
    assert!(node.says("ps -a").ok().lines().count() == 1);
}

fn commands_see_what_is_mounted_and_leave_nothing_of_it(node: &Node) {
    node.has_busybox();
    let dockerfile = "\
FROM busybox AS other
ENV PATH=/bin
RUN mkdir /o && echo o > /o/file
FROM busybox
ENV PATH=/bin
RUN --mount=target=/src,rw cat /src/a > /bound; cat /src/ignored; echo changed > /src/a
RUN --mount=type=bind,target=/src/deep/er cat /src/deep/er/a >> /bound
WORKDIR /work
RUN --mount=from=other,src=/o test \"$(ls)\" = file
WORKDIR /
RUN --mount=source=a,target=/file cat /file >> /bound; echo x > /file || echo refused >> /bound
RUN --mount=type=bind,from=other,source=/o,target=/mnt/o cat /mnt/o/file >> /bound
RUN --mount=type=cache,target=/kept,id=some echo a >> /kept/lines; wc -l < /kept/lines > /cached
RUN --mount=type=cache,target=/kept,id=some,sharing=locked,ro touch /kept/x || echo refused >> /cached
RUN --mount=type=tmpfs,target=/memory,size=1m df /memory | grep -c tmpfs > /tmpfs
RUN mkdir -m 700 /empty; chmod 711 /etc
";
    let files = [("a", "a\n"), ("ignored", "never"), (".dockerignore", "ignored")];
    build(node, dockerfile, &files, &[]);
    let said = shell(node, "cat /bound /cached /tmpfs; stat -c %a /empty /etc");
    assert_eq!(said, "a\na\na\nrefused\no\n1\nrefused\n1\n700\n711\n");
    let there = shell(node, "ls / /etc");
    for stub in ["src", "file", "mnt", "kept", "memory"] {
        assert!(!there.lines().any(|line| line == stub), "{stub} in {there}");
    }
    build(node, dockerfile, &files, &["--no-cache"]);
    assert_eq!(shell(node, "cat /cached"), "2\nrefused\n");
    let image = node.inspect("x");
    let layers = image["RootFS"]["Layers"].as_array().expect("layers");
    let top = layers.last().and_then(|it| it.as_str()).expect("a layer").replace("sha256:", "");
    let top = fs::read_dir(format!("/var/lib/sandbar/images/layers/{top}/diff"));
    let names = top.expect("a layer").map(|it| it.expect("an entry").file_name());
    assert_eq!(names.count(), 2, "what the last step changed, and no more");
}

/// The files below a directory that have `bytes` in them; programs are too large to have been made here.
fn holders(directory: &Path, bytes: &[u8]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        let stat = fs::symlink_metadata(&path).expect("its attributes");
        if stat.is_dir() {
            found.extend(holders(&path, bytes));
        } else if stat.is_file() && stat.len() < 1 << 20 {
            let content = fs::read(&path).expect("a file");
            found.extend(content.windows(bytes.len()).any(|part| part == bytes).then_some(path));
        }
    }
    found
}

fn a_secret_is_in_no_layer_and_no_record(node: &Node) {
    node.has_busybox();
    let dockerfile = "\
FROM busybox
ENV PATH=/bin
RUN --mount=type=secret,id=key,required=true md5sum < /run/secrets/key > /sum
RUN --mount=type=secret,id=key,target=/k,mode=0444,uid=1000 stat -c '%a %u' /k > /mode
RUN --mount=type=secret,id=key,env=KEY echo \"$KEY\" | grep -c . > /variable
RUN --mount=type=secret,id=absent test ! -e /run/secrets/absent
";
    let key = node.file("key", "that nobody may know");
    let from_file = format!("--secret=id=key,src={}", key.display());
    build(node, dockerfile, &[], &[&from_file]);
    assert_eq!(
        shell(node, "cat /mode /variable; ls -d /run /k 2>/dev/null; true"),
        "444 1000\n1\n"
    );
    fs::remove_file(&key).expect("the secret");
    for root in ["/var/lib/sandbar", "/run/sandbar"] {
        assert_eq!(holders(Path::new(root), b"that nobody may know"), Vec::<PathBuf>::new());
    }
    let context = context(node, &[("Dockerfile", dockerfile)]).display().to_string();
    node.sandbar(["build", "-q", "--no-cache", &context]).refused(1, &["Dockerfile:3", "'key'"]);
    let build = node.sandbar(["build", "-q", "--no-cache", "--secret", "id=key,env=KEY", &context]);
    build.env("KEY", "other").ok();
    assert_eq!(fs::read_dir("/run/sandbar/build").map_or(0, Iterator::count), 0);
}

fn the_context_may_come_by_standard_input(node: &Node) {
    node.has_busybox();
    node.says("build -q -t x -").input("FROM busybox\nENV PATH=/bin\nRUN echo 1 > /1\n").ok();
    assert_eq!(shell(node, "cat /1"), "1\n");
    let dockerfile = b"FROM busybox\nCOPY dir /\n";
    let files = || {
        let files = Rootfs::new().file("dir/in", 0o640, b"2\n");
        files.file("Dockerfile", 0o644, dockerfile)
    };
    node.says("build -q -t x -").input(files().into_archive()).ok();
    assert_eq!(shell(node, "cat /in; stat -c %a /in"), "2\n640\n");
    let other = files().file("other", 0o644, b"FROM busybox\nCOPY dir/in /3\n");
    node.says("build -q -t x -f other -").input(other.into_archive()).ok();
    assert_eq!(shell(node, "cat /3"), "2\n");
    let context = context(node, &[("a", "4\n")]).display().to_string();
    let said = node.says("build -q -t x -f -").with([&context]);
    said.input("FROM busybox\nCOPY a /4\n").ok();
    assert_eq!(shell(node, "cat /4"), "4\n");
    node.says("build -f - -").input("FROM busybox").refused(1, &["standard input"]);
    node.says("build -").input("\x01\x02").refused(1, &["Dockerfile:1"]);
}

fn the_same_time_gives_the_same_image_anywhere(node: &Node) {
    let dockerfile = "\
FROM localhost/base
ENV PATH=/bin
WORKDIR /srv
COPY . .
RUN date > /dev/null; echo a > a; mkdir -p /x/y; ln a /x/y/link
ARG SOURCE_DATE_EPOCH
RUN echo $SOURCE_DATE_EPOCH > /epoch
CMD [\"ls\"]
";
    fs::create_dir_all("/run/base").expect("a directory");
    fs::write("/run/base/base.tar", Rootfs::busybox().into_archive()).expect("an archive");
    fs::write("/run/base/Dockerfile", "FROM scratch\nADD base.tar /\n").expect("a Dockerfile");
    let build = |root: &str| {
        let files = [("Dockerfile", dockerfile), ("b", "b"), ("deep/er/c", "c")];
        let context = context(node, &files).display().to_string();
        let (run_root, root) = (format!("/run/{root}"), format!("/var/lib/{root}"));
        let sandbar = |words: &[&str]| {
            let own = ["--root", &root, "--run-root", &run_root];
            let command = node.sandbar([&own, words].concat());
            command.env("SOURCE_DATE_EPOCH", "1700000000").ok()
        };
        sandbar(&["build", "-q", "-t", "localhost/base", "/run/base"]);
        let id = sandbar(&["build", "-q", "--no-cache", &context]);
        let seen = sandbar(&["run", "--rm", "--net", "none", id.trim(), "cat", "/epoch"]);
        assert_eq!(seen, "1700000000\n");
        id
    };
    let first = build("one");
    assert_eq!(build("two"), first);
    assert_eq!(build("one"), first);
}

fn nothing_leads_out_of_a_context_or_an_image(node: &Node) {
    node.has_busybox();
    node.file("hidden", "of the host\n");
    let hidden = node.path("hidden").display().to_string();
    let refuse = |dockerfile: &str, words: &[&str]| {
        let context = context(node, &[("Dockerfile", dockerfile), ("a", "a\n")]);
        symlink(&hidden, context.join("out")).expect("a link");
        symlink("../..", context.join("up")).expect("a link");
        node.sandbar(["build", "-q", "-t", "x"]).with([context]).refused(1, words);
    };
    refuse("FROM busybox\nCOPY out /", &["Dockerfile:2", "'out'"]);
    refuse("FROM busybox\nCOPY up/run/test/hidden /", &["Dockerfile:2", "up/run/test/hidden"]);
    refuse("FROM busybox\nCOPY ../hidden /", &["'../hidden'"]);
    let mount = "FROM busybox\nRUN --mount=target=/x,source=up/run/test cat /x/hidden";
    refuse(mount, &["Dockerfile:2", "up/run/test"]);
    refuse("FROM busybox\nENV PATH=/bin\nRUN ln -s no /l\nCOPY a /l/b/", &["Dockerfile:4", "/l/b"]);

    let dockerfile = "\
FROM busybox AS hostile
ENV PATH=/bin
RUN ln -s /run/test /linked; ln -s ../.. /up; mkdir -p /run/test
FROM hostile
COPY a /linked/b
COPY a /up/c
WORKDIR /linked/made
COPY --from=hostile /up/etc/passwd /copied
";
    build(node, dockerfile, &[("a", "a\n")], &[]);
    let said = shell(node, "cat /run/test/b /c; ls /run/test; head -c 4 /copied");
    assert_eq!(said, "a\na\nb\nmade\nroot");
    assert!(!node.path("b").exists() && !node.path("made").exists());
}

fn an_image_for_another_machine(node: &Node) {
    build(node, "FROM --platform=arm64 scratch\nCOPY a /", &[("a", "")], &[]);
    assert_eq!(node.inspect("x")["Architecture"], "arm64");
    let dockerfile = "\
FROM scratch
ARG TARGETARCH
ARG TARGETVARIANT
LABEL of=$TARGETARCH/$TARGETVARIANT
COPY --chmod=755 a /
";
    let program = "\x7fELF of nothing";
    build(node, dockerfile, &[("a", program)], &["--platform=linux/arm/v7"]);
    let image = node.inspect("x");
    assert_eq!((&image["Architecture"], &image["Os"]), (&"arm".into(), &"linux".into()));
    assert_eq!(image["Config"]["Labels"]["of"], "arm/v7");
    let context = context(node, &[("Dockerfile", "FROM x\nRUN [\"/a\"]")]).display().to_string();
    let build = node.sandbar(["build", "-q", &context]);
    build.refused(1, &["Dockerfile:2", "linux/arm/v7", "binfmt_misc"]);
}

/// A build of which a `RUN` has begun.
fn begun(node: &Node) -> Running {
    let dockerfile = "FROM busybox\nENV PATH=/bin\nRUN echo begun; exec sleep 1000";
    let context = context(node, &[("Dockerfile", dockerfile)]);
    let running = node.says("build").with([context]).begin();
    until("the command", SOON, || node.says("ps").ok().contains("Up ").then_some(()));
    running
}

fn who_is_told_to_stop_stops(node: &Node) {
    node.has_busybox();
    let running = begun(node);
    running.signal(Signal::TERM);
    let output = running.wait();
    assert_eq!(output.exit_code(), 143, "{output}");
    assert!(output.stderr().contains("Dockerfile:3"), "{output}");
    assert_eq!(node.says("ps -a").ok().lines().count(), 1);
    assert_eq!(fs::read_dir("/var/lib/sandbar/build/tmp").expect("builds").count(), 0);
}

fn what_a_killed_build_left_the_next_one_clears(node: &Node) {
    node.has_busybox();
    begun(node).kill();
    assert_eq!(fs::read_dir("/var/lib/sandbar/build/tmp").expect("builds").count(), 1);
    assert!(node.says("ps").ok().contains("Up "));
    build(node, "FROM busybox", &[], &[]);
    assert_eq!(node.says("ps -a").ok().lines().count(), 1);
    assert_eq!(fs::read_dir("/var/lib/sandbar/build/tmp").expect("builds").count(), 0);
}

fn what_is_known_of_steps_goes_with_their_images(node: &Node) {
    node.has_busybox();
    build(node, "FROM busybox\nCOPY a /\nCOPY b /", &[("a", "1"), ("b", "2")], &[]);
    let records = || {
        let records = fs::read_dir("/var/lib/sandbar/build/steps").expect("records").flatten();
        records.map(|record| record.file_name()).collect::<Vec<_>>()
    };
    assert_eq!(records().len(), 2);
    fs::write("/var/lib/sandbar/build/steps/broken", "").expect("a file");
    let steps = || node.says("images -a -q --filter dangling=true").ok();
    let last = steps().lines().next().unwrap_or_default().to_owned();
    node.sandbar(["rmi", &last]).ok();
    build(node, "FROM busybox", &[], &[]);
    assert_eq!(records().len(), 1);
    node.says("image prune").ok();
    build(node, "FROM busybox", &[], &[]);
    assert_eq!(records().len(), 0);
}

fn stages_without_a_name_are_told_by_number(node: &Node) {
    let files =
        [("Dockerfile", "FROM scratch\nCOPY a /\nFROM scratch\nCOPY --from=0 a /"), ("a", "")];
    let said = node.says("build").with([context(node, &files)]).code(0);
    assert!(said.stderr().contains("[stage-0 2/2] COPY a /"), "{said}");
    assert!(said.stderr().contains("[stage-1 2/2] COPY --from=0 a /"), "{said}");
}

fn an_image_that_a_build_needs_stays(node: &Node) {
    node.import("other", Rootfs::busybox(), &["CMD a"]);
    node.has_busybox();
    let dockerfile = "\
FROM other AS first
CMD x
FROM busybox
ENV PATH=/bin
RUN exec sleep 1000
COPY --from=first / /
";
    let context = context(node, &[("Dockerfile", dockerfile)]);
    let running = node.says("build").with([context]).begin();
    until("the command", SOON, || node.says("ps").ok().contains("Up ").then_some(()));
    node.says("rmi other").refused(1, &["other", "in use", "a build"]);
    running.signal(Signal::INT);
    assert_eq!(running.wait().exit_code(), 130);
    node.says("rmi -f other").ok();
}

fn prunings_take_nothing_from_a_build(node: &Node) {
    node.has_busybox();
    let copies: String = (0..60).map(|number| format!("COPY a /{number}\n")).collect();
    let context = context(node, &[("Dockerfile", &format!("FROM busybox\n{copies}")), ("a", "")]);
    let build = || node.says("build -q").with([&context]);
    let prune = "while [ ! -e /run/over ]; do \"$0\" image prune || exit; done";
    let program = node.program().display().to_string();
    let prunings = [0; 3].map(|_| node.run("sh", ["-c", prune, &program]).begin());
    // What it makes, and what it finds made.
    let built = [0; 6].map(|_| build().run());
    fs::write("/run/over", "").expect("a file");
    built.iter().for_each(|built| assert_eq!(built.exit_code(), 0, "{built}"));
    prunings.into_iter().for_each(|pruning| assert_eq!(pruning.wait().exit_code(), 0));
}

fn documents_are_scripts_and_files(node: &Node) {
    node.has_busybox();
    let dockerfile = "\
FROM busybox
ENV PATH=/bin NAME=name
RUN <<EOF
set -e
echo $NAME > /1
EOF
RUN <<EOF
#!/bin/busybox cat
the script itself
EOF
RUN cat <<ONE > /2 && cat <<-'TWO' > /3
one $NAME
ONE
\ttwo $NAME
\tTWO
COPY <<EOF /4
four $NAME \\$NAME
EOF
COPY --chmod=755 --chown=1:2 <<\"EOF\" /5
five $NAME
EOF
";
    build(node, dockerfile, &[], &[]);
    let said = shell(node, "cat /1 /2 /3 /4 /5; stat -c '%a %u %g' /4 /5");
    let expected = "name\none name\ntwo $NAME\nfour name $NAME\nfive $NAME\n644 0 0\n755 1 2\n";
    assert_eq!(said, expected);
}

/// A file of the project.
fn of_project(path: &str) -> String {
    format!("{}/../{path}", env!("CARGO_MANIFEST_DIR"))
}

fn pause_is_built_by_its_own_dockerfile(node: &Node) {
    let built_in = node.inspect("localhost/pause");
    let layer = built_in["RootFS"]["Layers"][0].as_str().expect("a layer").replace("sha256:", "");
    let context = node.path("programs");
    fs::create_dir(&context).expect("a directory");
    let program = format!("/var/lib/sandbar/images/layers/{layer}/diff/pause");
    fs::copy(program, context.join("pause-of-here")).expect("the program");
    let build = node.says("build -t registry.example/pause:9 --build-arg ARCH=of-here -f");
    build.with([of_project("crates/pause/Dockerfile").into(), context]).ok();
    let image = node.inspect("registry.example/pause:9");
    assert_eq!(image["Config"]["Entrypoint"], serde_json::json!(["/pause"]));
    assert_eq!(image["Config"]["User"], "65535:65535");
    assert_eq!(image["RootFS"]["Layers"].as_array().map(Vec::len), Some(1));
    node.says("run --rm --net none registry.example/pause:9 -v").ok();
    node.says("run -d --name p --net none registry.example/pause:9").ok();
    node.says("stop p").ok();
    assert_eq!(node.inspect("p")["State"]["ExitCode"], 0);
    node.says("rm p").ok();
}

fn the_blog_is_built_by_its_own_dockerfile(node: &Node) {
    let programs = node.program().parent().expect("a directory").display().to_string();
    let build =
        node.says("build -q -t blog -f").with([of_project("examples/blog/Dockerfile"), programs]);
    build.ok();
    node.says("run -d --name blog --net host blog").ok();
    until("the blog", SOON, || get("127.0.0.1:2368", "/").filter(|it| it.status == 200));
    node.says("rm -f blog").ok();
}
