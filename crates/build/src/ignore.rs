//! `.dockerignore`: what of a context is not there for a build
//! ([reference](https://docs.docker.com/build/concepts/context/#dockerignore-files)).

use crate::pattern::matches_path;

/// The rules of a file; the last one that fits holds.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ignore {
    rules: Vec<Rule>,
}

#[derive(Debug, Clone)]
struct Rule {
    pattern: String,
    excludes: bool,
}

impl Ignore {
    /// Reads a file.
    pub(crate) fn parse(text: &str) -> Self {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        Self::of(text.lines().filter(|line| !line.starts_with('#')))
    }

    /// The same of patterns that are given one by one.
    pub(crate) fn of<'a>(patterns: impl IntoIterator<Item = &'a str>) -> Self {
        let rule = |line: &str| {
            let line = line.trim();
            let (pattern, excludes) = match line.strip_prefix('!') {
                Some(pattern) => (pattern.trim(), false),
                None => (line, true),
            };
            let pattern = clean(pattern);
            (!pattern.is_empty()).then_some(Rule { pattern, excludes })
        };
        Self { rules: patterns.into_iter().filter_map(rule).collect() }
    }

    /// Whether a path of the context is not there. What is below something that is excluded is excluded with it.
    pub(crate) fn excludes(&self, path: &str) -> bool {
        let mut excluded = false;
        for rule in &self.rules {
            if rule.excludes == excluded {
                continue;
            }
            let ends = path.match_indices('/').map(|(at, _)| at).chain([path.len()]);
            if ends.into_iter().any(|end| matches_path(&rule.pattern, &path[..end])) {
                excluded = rule.excludes;
            }
        }
        excluded
    }

    /// Whether something below an excluded directory may be there after all.
    pub(crate) fn has_exceptions(&self) -> bool {
        self.rules.iter().any(|rule| !rule.excludes)
    }
}

/// A pattern as paths are: without slashes at its ends, `.` and `..`.
fn clean(pattern: &str) -> String {
    let mut clean: Vec<&str> = Vec::new();
    for component in pattern.split('/') {
        match component {
            "" | "." => {}
            ".." => drop(clean.pop()),
            name => clean.push(name),
        }
    }
    clean.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_rule_that_fits_holds() {
        let ignore = Ignore::parse("# no\n*.log\n**/tmp\n/docs/\n!docs/keep.md\n!x.log\nx.log\n");
        for path in ["a.log", "x.log", "a/b/tmp", "tmp/x", "docs/a.md", "docs"] {
            assert!(ignore.excludes(path), "{path}");
        }
        for path in ["a/a.log", "docs/keep.md", "# no", "b"] {
            assert!(!ignore.excludes(path), "{path}");
        }
        assert!(ignore.has_exceptions() && !Ignore::parse("a").has_exceptions());
    }

    #[test]
    fn all_but_some() {
        let ignore = Ignore::parse("**\n!src\n!Cargo.*\nsrc/**/*.bak");
        assert!(ignore.excludes("x") && ignore.excludes("src/a/b.bak"));
        assert!(!ignore.excludes("src/a/b.rs") && !ignore.excludes("Cargo.toml"));
    }
}
