//! Where a command works: the two roots, and the engine on them.

use std::ffi::OsString;
use std::path::PathBuf;

use sandbar_engine::{CniDirectories, Engine, Roots};
use sandbar_image::Store;

use crate::cli::Global;
use crate::failure::{Doing, Result};

/// Where a command works.
#[derive(Debug)]
pub(crate) struct Context {
    roots: Roots,
    cni: Option<CniDirectories>,
}

impl Context {
    /// The roots as the arguments say, else the environment, else the usual ones.
    pub(crate) fn new(global: Global, variable: impl Fn(&str) -> Option<OsString>) -> Self {
        let usual = Roots::default();
        let set = |name| variable(name).filter(|value| !value.is_empty()).map(Into::into);
        let absolute = |path: PathBuf| std::path::absolute(&path).unwrap_or(path);
        let plugins = global.cni_plugin_dir.into_iter().map(absolute).collect();
        let cni = global
            .cni_conf_dir
            .map(|dir| CniDirectories { configurations: absolute(dir), plugins });
        Self {
            cni,
            roots: Roots {
                root: global.root.or_else(|| set("SANDBAR_ROOT")).unwrap_or(usual.root),
                run_root: global
                    .run_root
                    .or_else(|| set("SANDBAR_RUN_ROOT"))
                    .unwrap_or(usual.run_root),
            },
        }
    }

    /// The two roots.
    pub(crate) fn roots(&self) -> &Roots {
        &self.roots
    }

    /// The engine.
    pub(crate) fn engine(&self) -> Result<Engine> {
        let engine = Engine::open(self.roots.clone()).doing("open Sandbar's directories")?;
        Ok(engine.with_cni(self.cni.clone()))
    }

    /// The images.
    pub(crate) fn images(&self) -> Result<Store> {
        self.engine()?.images().doing("open the images")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn arguments_come_before_the_environment_and_that_before_the_usual() {
        let global = |root: Option<&str>| Global {
            root: root.map(Into::into),
            run_root: None,
            cni_conf_dir: Some("conf".into()),
            cni_plugin_dir: vec!["/bin".into()],
        };
        let variable = |name: &str| match name {
            "SANDBAR_ROOT" => Some("/from/environment".into()),
            _ => Some("".into()),
        };
        let context = Context::new(global(Some("/given")), variable);
        assert_eq!(context.roots().root, Path::new("/given"));
        assert_eq!(context.roots().run_root, Roots::default().run_root);
        let cni = context.cni.unwrap();
        assert!(cni.configurations.is_absolute() && cni.configurations.ends_with("conf"));
        assert_eq!(cni.plugins, [Path::new("/bin")]);
        let context = Context::new(global(None), variable);
        assert_eq!(context.roots().root, Path::new("/from/environment"));
    }
}
