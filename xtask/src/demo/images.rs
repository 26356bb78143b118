//! The two images of the demonstration, made offline: nginx as Debian has it, and the blog of this project.

use std::path::Path;

use anyhow::{Result, bail};
use tempfile::TempDir;

use super::cleanup::Cleanup;
use super::sandbar::Sandbar;
use crate::rootfs::Rootfs;
use crate::shell;

const NGINX: &str = "localhost/nginx";
const BLOG: &str = "localhost/blog";

/// Builds and imports both.
pub(crate) fn build(sandbar: &Sandbar, blog: &Path, cleanup: &mut Cleanup<'_>) -> Result<()> {
    let there = sandbar.names_of_images()?;
    for name in [NGINX, BLOG] {
        if there.contains(&format!("{name}:latest")) {
            bail!("there is an image {name} already; 'sandbar rmi {name}' removes it");
        }
    }
    let folder = tempfile::Builder::new().prefix("sandbar-demo-").tempdir()?;

    let rootfs = Rootfs::new()?;
    rootfs.busybox()?;
    rootfs.nginx()?;
    cleanup.image(NGINX);
    import(sandbar, &rootfs, &folder, NGINX, r#"["/usr/sbin/nginx"]"#)?;

    let rootfs = Rootfs::new()?;
    rootfs.busybox()?;
    rootfs.program(blog, "usr/bin/blog")?;
    cleanup.image(BLOG);
    import(sandbar, &rootfs, &folder, BLOG, r#"["/usr/bin/blog"]"#)
}

fn import(
    sandbar: &Sandbar,
    rootfs: &Rootfs,
    folder: &TempDir,
    name: &str,
    command: &str,
) -> Result<()> {
    let archive = folder.path().join(format!("{}.tar", name.trim_start_matches("localhost/")));
    rootfs.archive(&archive)?;
    let archive = shell::quote(archive.as_os_str());
    sandbar.show_and_run(&format!("sandbar import --change 'CMD {command}' {archive} {name}"))
}
