//! Images built from Dockerfiles that a test writes.

use std::fs;
use std::path::PathBuf;

use crate::Node;

/// A directory with these files, to build in.
pub fn context(node: &Node, files: &[(&str, &str)]) -> PathBuf {
    let directory = node.path("context");
    let _of_the_build_before = fs::remove_dir_all(&directory);
    for (name, content) in files {
        let path = directory.join(name);
        fs::create_dir_all(path.parent().expect("a directory")).expect("a directory");
        fs::write(path, content).expect("a file of the context");
    }
    directory
}

/// Builds `dockerfile` and names it `x`.
pub fn build(node: &Node, dockerfile: &str, files: &[(&str, &str)], options: &[&str]) -> String {
    let files = [&[("Dockerfile", dockerfile)], files].concat();
    let context = context(node, &files).display().to_string();
    node.sandbar([&["build", "-q", "-t", "x"], options, &[&context]].concat()).ok()
}

/// What a shell says in `x`.
pub fn shell(node: &Node, script: &str) -> String {
    node.sandbar(["run", "--rm", "--net", "none", "-e", "PATH=/bin", "x", "sh", "-c", script]).ok()
}
