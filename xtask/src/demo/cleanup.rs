//! What the demonstration made, and how it is removed again.

use anyhow::{Result, bail};

use super::sandbar::Sandbar;

/// All that was made.
#[derive(Debug)]
pub(crate) struct Cleanup<'a> {
    sandbar: &'a Sandbar,
    containers: Vec<&'static str>,
    images: Vec<&'static str>,
}

impl<'a> Cleanup<'a> {
    pub(crate) fn new(sandbar: &'a Sandbar) -> Self {
        Self { sandbar, containers: Vec::new(), images: Vec::new() }
    }

    /// A container of this name is about to be made.
    pub(crate) fn container(&mut self, name: &'static str) {
        self.containers.push(name);
    }

    /// An image of this name is about to be made.
    pub(crate) fn image(&mut self, name: &'static str) {
        self.images.push(name);
    }

    /// The commands that remove it, the last made first.
    pub(crate) fn lines(&self) -> Vec<String> {
        let line = |command: &str, names: &[&str]| {
            let names: Vec<_> = names.iter().rev().copied().collect();
            (!names.is_empty()).then(|| format!("sandbar {command} {}", names.join(" ")))
        };
        line("rm -f", &self.containers).into_iter().chain(line("rmi", &self.images)).collect()
    }

    /// Removes what is there of it.
    pub(crate) fn run(mut self) -> Result<()> {
        // What failed before it was made is not there to be removed.
        let containers = self.sandbar.names_of_containers()?;
        self.containers.retain(|name| containers.iter().any(|there| there == name));
        let images = self.sandbar.names_of_images()?;
        self.images.retain(|name| images.iter().any(|there| there == &format!("{name}:latest")));
        let mut failed = Vec::new();
        for line in self.lines() {
            if let Err(error) = self.sandbar.show_and_run(&line) {
                failed.push(format!("{error:#}"));
            }
        }
        if !failed.is_empty() {
            bail!("the demonstration could not be removed: {}", failed.join("; "));
        }
        Ok(())
    }
}
