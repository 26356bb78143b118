//! The same Dockerfiles, built by Debian's Podman: the files and the configuration are the same.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;

use sandbar_tests::{Command, Node, Rootfs, tests};
use serde_json::Value;

tests! {
    settings [Podman],
    copies [Podman],
    copies_into_what_is_there [Podman],
    copies_between_stages [Podman],
    owners_and_modes [Podman],
    ignored_files [Podman],
    archives [Podman],
    arguments [Podman],
    commands [Podman],
    removals [Podman],
    triggers [Podman],
    nothing_but_files [Podman],
}

/// Podman needs a while for what Sandbar does at once.
const LONG: Duration = Duration::from_secs(60);

/// Files of the context, with a mode.
type Files<'a> = &'a [(&'a str, &'a str, u32)];

/// What all contexts have beside their own.
const USUAL: Files<'_> = &[
    ("a.txt", "a\n", 0o644),
    ("b.txt", "b\n", 0o600),
    ("run.sh", "#!/bin/sh\necho run\n", 0o755),
    ("dir/one", "1\n", 0o640),
    ("dir/sub/two", "2\n", 0o644),
    ("dir/sub/three.md", "3\n", 0o644),
];

/// Something in an image: kind, mode, owners, and what is in it.
type Tree = BTreeMap<PathBuf, (char, u32, u32, u32, Vec<u8>)>;

fn podman(node: &Node, line: &str) -> Command {
    // Podman raises these by default, which needs CAP_SYS_RESOURCE.
    let limits = "[containers]\ndefault_ulimits = [\"nofile=1024:1024\", \"nproc=4096:4096\"]\n";
    let configuration = node.file("containers.conf", limits);
    let own = [
        "--cgroup-manager=cgroupfs",
        "--events-backend=none",
        "--network-backend=netavark",
        "--runtime=crun",
        "--root=/var/lib/containers/storage",
        "--runroot=/run/containers/storage",
        "--tmpdir=/run/libpod",
    ];
    let podman = node.run("/usr/bin/podman", own).env("CONTAINERS_CONF", &configuration);
    podman.with(line.split_whitespace()).within(LONG)
}

/// Builds with both, and compares what came of it.
fn compare(node: &Node, dockerfile: &str, files: Files<'_>, options: &str) {
    let context = node.path("context");
    for (name, content, mode) in USUAL.iter().chain(files) {
        let path = context.join(name);
        fs::create_dir_all(path.parent().expect("a directory")).expect("a directory");
        fs::write(&path, content).expect("a file");
        fs::set_permissions(&path, fs::Permissions::from_mode(*mode)).expect("its mode");
    }
    symlink("one", context.join("dir/link")).expect("a link");
    fs::write(context.join("Dockerfile"), dockerfile).expect("the Dockerfile");
    compare_in(node, &context, options);
}

fn compare_in(node: &Node, context: &Path, options: &str) {
    // Podman leaves in layers what it mounts on: so that is there already.
    let mut base = Rootfs::busybox()
        .file("etc/hosts", 0o644, b"")
        .file("etc/resolv.conf", 0o644, b"")
        .file("etc/hostname", 0o755, b"");
    for directory in ["dev", "proc", "sys", "run/secrets"] {
        base = base.directory(directory, 0o755);
    }
    let archive = node.file("busybox.tar", base.into_archive());
    let change = r#"ENV PATH=/bin"#;
    node.sandbar(["import", "-c", change]).with([&archive]).with(["localhost/busybox"]).ok();
    podman(node, "import --quiet -c")
        .with([change])
        .with([&archive])
        .with(["localhost/busybox"])
        .ok();

    let context = context.display().to_string();
    node.says(&format!("build -q -t localhost/x:ours {options} {context}")).ok();
    let build = "build -q --isolation=chroot --network=host --format=docker";
    podman(node, &format!("{build} -t localhost/x:theirs {options} {context}")).ok();
    let saved = node.path("theirs.tar");
    podman(node, "save --quiet --format=docker-archive -o")
        .with([&saved])
        .with(["localhost/x:theirs"])
        .ok();
    node.sandbar(["load", "-i"]).with([&saved]).ok();

    let (ours, theirs) = (node.inspect("localhost/x:ours"), node.inspect("localhost/x:theirs"));
    let (our_tree, their_tree) = (tree(&ours), tree(&theirs));
    for path in our_tree.keys().chain(their_tree.keys()) {
        let (ours, theirs) = (our_tree.get(path), their_tree.get(path));
        let text = |it: &(char, u32, u32, u32, Vec<u8>)| {
            format!(
                "{} {:o} {}:{} {:?}",
                it.0,
                it.1,
                it.2,
                it.3,
                String::from_utf8_lossy(&it.4[..it.4.len().min(200)])
            )
        };
        assert_eq!(ours.map(text), theirs.map(text), "{}", path.display());
    }
    assert_eq!(settings_of(&ours), settings_of(&theirs));
}

/// What an image's configuration says of its containers, as it is on disk.
fn settings_of(image: &Value) -> BTreeMap<String, Value> {
    let id = image["Id"].as_str().expect("an id").trim_start_matches("sha256:").to_owned();
    let config = fs::read(format!("/var/lib/sandbar/images/blobs/sha256/{id}")).expect("a blob");
    let config: Value = serde_json::from_slice(&config).expect("a configuration");
    let Value::Object(settings) = &config["config"] else { panic!("{config}") };
    let mut settings: BTreeMap<_, _> = settings.clone().into_iter().collect();
    if let Some(labels) = settings.get_mut("Labels").and_then(Value::as_object_mut) {
        labels.remove("io.buildah.version");
    }
    // What Docker's format has beside; and what is empty is as if it were not there.
    for name in [
        "Hostname",
        "Domainname",
        "Image",
        "AttachStdin",
        "AttachStdout",
        "AttachStderr",
        "Tty",
        "OpenStdin",
        "StdinOnce",
    ] {
        settings.remove(name);
    }
    let is_empty = |value: &Value| match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(object) => object.is_empty(),
        _ => false,
    };
    settings.retain(|_, value| !is_empty(value));
    if let Some(variables) = settings.get_mut("Env").and_then(Value::as_array_mut) {
        variables.sort_by_key(Value::to_string);
    }
    settings
}

/// All files of an image, its layers over each other.
fn tree(image: &Value) -> Tree {
    let mut tree = Tree::new();
    for layer in image["RootFS"]["Layers"].as_array().expect("layers") {
        let hex = layer.as_str().expect("a digest").trim_start_matches("sha256:");
        let root = PathBuf::from(format!("/var/lib/sandbar/images/layers/{hex}/diff"));
        add(&mut tree, &root, Path::new(""));
    }
    // Programs are the same, and many.
    tree.retain(|path, _| !path.starts_with("bin/"));
    tree
}

fn add(tree: &mut Tree, root: &Path, directory: &Path) {
    let opaque =
        rustix::fs::lgetxattr(root.join(directory), "trusted.overlay.opaque", &mut [0_u8; 1]);
    if opaque.is_ok() {
        tree.retain(|path, _| !path.starts_with(directory) || path == directory);
    }
    let entries = fs::read_dir(root.join(directory)).expect("a directory of a layer");
    for entry in entries {
        let path = directory.join(entry.expect("an entry").file_name());
        let stat = fs::symlink_metadata(root.join(&path)).expect("its attributes");
        let kind = stat.file_type();
        let (kind, content) = if kind.is_dir() {
            ('d', Vec::new())
        } else if kind.is_symlink() {
            let target = fs::read_link(root.join(&path)).expect("a link");
            ('l', target.into_os_string().into_encoded_bytes())
        } else if kind.is_char_device() && stat.rdev() == 0 {
            tree.retain(|other, _| !other.starts_with(&path));
            continue;
        } else {
            ('f', fs::read(root.join(&path)).expect("a file"))
        };
        if kind != 'd' || tree.get(&path).is_some_and(|before| before.0 != 'd') {
            tree.retain(|other, _| !other.starts_with(&path));
        }
        let mode = stat.mode() & 0o7777;
        tree.insert(path.clone(), (kind, mode, stat.uid(), stat.gid(), content));
        if kind == 'd' {
            add(tree, root, &path);
        }
    }
}

fn settings(node: &Node) {
    let dockerfile = r#"
FROM localhost/busybox
MAINTAINER someone@example.org
ENV A=1 B="two words" C=a\ b
ENV OLD is a value
ENV D=${A}x E='$A' F="$B" PATH=$PATH:/opt
LABEL one=1 "two words"="a \
b" multi.label1="value1"
EXPOSE 80 53/udp
VOLUME /data
VOLUME ["/more", "/and more"]
WORKDIR /srv
WORKDIR relative/$A
COPY a.txt .
USER alice:staff
STOPSIGNAL SIGQUIT
HEALTHCHECK --interval=5s --timeout=1m30s --retries=3 CMD wget -q localhost || exit 1
SHELL ["/bin/sh", "-ec"]
ENTRYPOINT ["/entry", "with words"]
CMD ["echo", "$A"]
ONBUILD RUN echo hello
"#;
    compare(node, dockerfile, &[], "--label extra=label");
}

fn copies(node: &Node) {
    let dockerfile = r#"
FROM localhost/busybox
COPY a.txt /file
COPY a.txt b.txt /files/
COPY a.txt /deep/er/still
COPY dir /dir
COPY dir/ /dir2/
COPY ./dir/sub/ /
COPY *.txt /star/
COPY d?r/s*/*.md /pattern/
COPY ["a.txt", "/with space/x"]
COPY run.sh /usr/local/bin/
WORKDIR /work
COPY a.txt .
COPY b.txt ./b
COPY dir .
COPY dir/link /resolved
"#;
    compare(node, dockerfile, &[], "");
}

fn copies_into_what_is_there(node: &Node) {
    let dockerfile = r#"
FROM localhost/busybox
RUN mkdir -m 700 /private /private/sub && echo old > /private/one && ln -s private /linked && echo x > /dir
COPY dir /private
COPY a.txt /linked/
COPY b.txt /private/sub
COPY a.txt /dir
COPY a.txt /linked/new/x
"#;
    compare(node, dockerfile, &[], "");
}

fn copies_between_stages(node: &Node) {
    let dockerfile = r#"
FROM localhost/busybox AS first
RUN mkdir /made && echo 1 > /made/one && chown -R alice:staff /made && chmod 2750 /made && ln -s one /made/two

FROM localhost/busybox AS unneeded
RUN false

FROM first AS second
RUN echo 2 > /made/second

FROM scratch AS files
COPY --from=first /made /from-first

FROM localhost/busybox
COPY --from=second /made/ /x/
COPY --from=0 /made/one /y
COPY --from=files / /z/
COPY --from=localhost/busybox /etc/passwd /passwd
COPY --from=first --chown=root:root /made /roots
"#;
    compare(node, dockerfile, &[], "");
}

fn owners_and_modes(node: &Node) {
    let dockerfile = r#"
FROM localhost/busybox
COPY --chown=alice a.txt /1
COPY --chown=alice:staff dir /2/
COPY --chown=1:2 a.txt /3/
COPY --chown=33 a.txt /4
COPY --chmod=711 a.txt /5
COPY --chmod=0640 run.sh /6
ADD --chown=nobody:wheel b.txt /7/
USER alice
COPY a.txt /8
RUN id -u > /tmp/who
"#;
    compare(node, dockerfile, &[], "");
}

fn ignored_files(node: &Node) {
    let files: Files<'_> = &[
        (
            ".dockerignore",
            "# no\n*.log\n**/*.tmp\nnode_modules\n!keep.log\nonly/*\n!only/this\n",
            0o644,
        ),
        ("x.log", "", 0o644),
        ("keep.log", "", 0o644),
        ("deep/er/x.tmp", "", 0o644),
        ("deep/er/x.log", "", 0o644),
        ("node_modules/a/b", "", 0o644),
        ("only/this", "", 0o644),
        ("only/that", "", 0o644),
    ];
    compare(node, "FROM localhost/busybox\nCOPY . /all/\nCOPY *.log deep /some/\n", files, "");
}

fn archives(node: &Node) {
    let context = node.path("context");
    fs::create_dir_all(&context).expect("the context");
    let archive = Rootfs::new()
        .directory("in", 0o750)
        .file("in/file", 0o640, b"of the archive\n")
        .link("in/link", "file")
        .into_archive();
    fs::write(context.join("plain.tar"), archive).expect("an archive");
    node.run("/bin/busybox", ["gzip", "-k"]).with([context.join("plain.tar")]).ok();
    fs::write(context.join("note.txt"), "no archive\n").expect("a file");
    node.run("/bin/busybox", ["gzip", "-k"]).with([context.join("note.txt")]).ok();
    let dockerfile = r#"
FROM localhost/busybox
ADD plain.tar /one
ADD plain.tar.gz /two/
COPY plain.tar /three/
ADD note.txt note.txt.gz /four/
"#;
    fs::write(context.join("Dockerfile"), dockerfile).expect("the Dockerfile");
    compare_in(node, &context, "");
}

fn arguments(node: &Node) {
    let dockerfile = r#"
ARG BASE=localhost/busybox
ARG DEFAULT=global
FROM ${BASE} AS one
ARG DEFAULT
ARG OWN=own
ARG GIVEN
ENV ALL="$DEFAULT-$OWN-${GIVEN:-not given}-${UNSET:-unset}${OWN:+ and more}"
RUN echo "$DEFAULT $OWN $GIVEN" > /seen
ENV OWN=env
RUN echo "$OWN" > /own
COPY ${OWN:+a}.txt /$DEFAULT
FROM one
ARG TARGETARCH
ARG BUILDPLATFORM
RUN echo "$TARGETARCH $BUILDPLATFORM" > /platform
LABEL arch=$TARGETARCH
"#;
    compare(node, dockerfile, &[], "--build-arg GIVEN=yes --build-arg DEFAULT=changed");
}

fn commands(node: &Node) {
    let dockerfile = r##"# escape=`
FROM localhost/busybox
RUN echo one `
  # a comment between

  && echo two > /lines
RUN ["/bin/sh", "-c", "echo $0 > /exec", "zero"]
SHELL ["/bin/sh", "-xc"]
RUN echo $0 > /shell
RUN mkdir -p /a/b && touch /a/b/c && chmod 4755 /a/b/c && chown 1:1 /a/b/c && mkfifo /a/fifo; rm /a/fifo
RUN pwd > /pwd; umask > /umask; env | grep -v -e HOME -e HOSTNAME -e SHLVL | sort > /env
WORKDIR /tmp
USER alice
RUN pwd > pwd; id > id; echo $HOME > home
"##;
    compare(node, dockerfile, &[], "");
}

fn removals(node: &Node) {
    let dockerfile = r#"
FROM localhost/busybox
COPY dir /dir
RUN rm /dir/one && rm -r /dir/sub && mkdir /dir/sub && echo new > /dir/sub/new
RUN rm -r /home && mkdir /home && chmod 711 /home
RUN rm /etc/group && ln -s passwd /etc/group
COPY a.txt /dir/one
RUN chmod 700 /etc /tmp
"#;
    compare(node, dockerfile, &[], "");
}

fn triggers(node: &Node) {
    let base = "FROM localhost/busybox AS base\nONBUILD COPY a.txt /triggered\nONBUILD ENV T=1\nONBUILD RUN echo $T > /t\n";
    compare(node, &format!("{base}FROM base\nRUN cat /t /triggered > /all\n"), &[], "");
}

fn nothing_but_files(node: &Node) {
    compare(
        node,
        "FROM scratch\nCOPY dir /\nWORKDIR /x/y\nCOPY a.txt .\nCMD [\"/one\"]\n",
        &[],
        "",
    );
}
