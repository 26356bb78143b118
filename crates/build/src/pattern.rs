//! Patterns of file names: `*`, `?`, `[a-z]` within a name, and `**` across directories
//! ([.dockerignore](https://docs.docker.com/build/concepts/context/#dockerignore-files)).

/// Whether a pattern is more than a name.
pub(crate) fn is_pattern(text: &str) -> bool {
    text.contains(['*', '?', '[', '\\'])
}

/// Whether one name fits a pattern: `*` and `?` stand for no slash.
pub(crate) fn matches(pattern: &str, name: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let name: Vec<char> = name.chars().collect();
    fits(&pattern, &name, &|c| c != '/')
}

/// Whether a path fits a pattern, in which a component `**` stands for any number of directories.
pub(crate) fn matches_path(pattern: &str, path: &str) -> bool {
    let pattern: Vec<&str> = pattern.split('/').filter(|it| !it.is_empty()).collect();
    let path: Vec<&str> = path.split('/').filter(|it| !it.is_empty()).collect();
    // reach[n]: what was read of the pattern fits the path's first n components. No pattern takes longer than the
    // product of both lengths.
    let mut reach = vec![false; path.len() + 1];
    reach[0] = true;
    for component in pattern {
        let mut next = vec![false; path.len() + 1];
        for (at, _) in reach.iter().enumerate().filter(|(_, here)| **here) {
            if component == "**" {
                next[at..].fill(true);
                break;
            }
            if path.get(at).is_some_and(|name| matches(component, name)) {
                next[at + 1] = true;
            }
        }
        reach = next;
    }
    reach[path.len()]
}

/// A value without the beginning that fits.
pub(crate) fn without_prefix<'a>(value: &'a str, pattern: &str, longest: bool) -> &'a str {
    let ends = boundaries(value);
    let fitting = |end: &&usize| whole(pattern, &value[..**end]);
    let end = if longest { ends.iter().rev().find(fitting) } else { ends.iter().find(fitting) };
    end.map_or(value, |end| &value[*end..])
}

/// A value without the end that fits.
pub(crate) fn without_suffix<'a>(value: &'a str, pattern: &str, longest: bool) -> &'a str {
    let starts = boundaries(value);
    let fitting = |start: &&usize| whole(pattern, &value[**start..]);
    let start =
        if longest { starts.iter().find(fitting) } else { starts.iter().rev().find(fitting) };
    start.map_or(value, |start| &value[..*start])
}

/// A value with what fits replaced: the longest at each place, the first or all.
pub(crate) fn replaced(value: &str, pattern: &str, by: &str, all: bool) -> String {
    let (mut text, mut rest) = (String::new(), value);
    while !rest.is_empty() {
        let end =
            boundaries(rest).into_iter().rev().find(|&end| end > 0 && whole(pattern, &rest[..end]));
        if let Some(end) = end {
            text.push_str(by);
            rest = &rest[end..];
            if !all {
                break;
            }
        } else {
            let mut characters = rest.chars();
            text.extend(characters.next());
            rest = characters.as_str();
        }
    }
    text + rest
}

fn boundaries(value: &str) -> Vec<usize> {
    value.char_indices().map(|(at, _)| at).chain([value.len()]).collect()
}

/// Whether a value fits, slashes being like other characters.
fn whole(pattern: &str, value: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let value: Vec<char> = value.chars().collect();
    fits(&pattern, &value, &|_| true)
}

/// With one place to come back to: the last `*`. So it takes no longer than the product of both lengths.
fn fits(pattern: &[char], text: &[char], wild: &dyn Fn(char) -> bool) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        let step = match pattern.get(p) {
            Some('*') => {
                star = Some((p, t));
                p += 1;
                continue;
            }
            Some('?') if wild(text[t]) => Some(p + 1),
            Some('?') | None => None,
            Some('[') => class(&pattern[p..], text[t]).map(|length| p + length),
            Some('\\') if p + 1 < pattern.len() => (pattern[p + 1] == text[t]).then_some(p + 2),
            Some(c) => (*c == text[t]).then_some(p + 1),
        };
        match (step, star) {
            (Some(next), _) => {
                p = next;
                t += 1;
            }
            (None, Some((at, from))) if wild(text[from]) => {
                star = Some((at, from + 1));
                p = at + 1;
                t = from + 1;
            }
            _ => return false,
        }
    }
    pattern[p.min(pattern.len())..].iter().all(|c| *c == '*')
}

/// The length of a class `[…]` that the character is in.
fn class(pattern: &[char], character: char) -> Option<usize> {
    let mut at = 1;
    let negated = matches!(pattern.get(1), Some('^' | '!'));
    if negated {
        at += 1;
    }
    let (mut found, start) = (false, at);
    loop {
        let mut low = *pattern.get(at)?;
        if low == ']' && at > start {
            return (found != negated && character != '/').then_some(at + 1);
        }
        if low == '\\' {
            at += 1;
            low = *pattern.get(at)?;
        }
        at += 1;
        let mut high = low;
        if pattern.get(at) == Some(&'-') && pattern.get(at + 1).is_some_and(|c| *c != ']') {
            high = pattern[at + 1];
            at += 2;
        }
        found |= (low..=high).contains(&character);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_fits_or_not() {
        for (pattern, name) in [
            ("*", "a"),
            ("*.c", "x.c"),
            ("a?c", "abc"),
            ("[a-c]x", "bx"),
            ("[^a]", "b"),
            ("a\\*", "a*"),
            ("", ""),
        ] {
            assert!(matches(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [
            ("*", "a/b"),
            ("*.c", "x.h"),
            ("a?c", "ac"),
            ("[a-c]x", "dx"),
            ("[^a]", "a"),
            ("[", "["),
            ("a", "ab"),
        ] {
            assert!(!matches(pattern, name), "{pattern} {name}");
        }
    }

    #[test]
    fn two_stars_cross_directories() {
        for (pattern, path) in [
            ("**/x", "x"),
            ("**/x", "a/b/x"),
            ("a/**", "a/b/c"),
            ("**/*.o", "a/b.o"),
            ("a/**/z", "a/z"),
            ("/a/", "a"),
        ] {
            assert!(matches_path(pattern, path), "{pattern} {path}");
        }
        for (pattern, path) in [("*/x", "x"), ("a/*", "a/b/c"), ("**/x", "xy"), ("a/**/z", "b/z")] {
            assert!(!matches_path(pattern, path), "{pattern} {path}");
        }
    }

    #[test]
    fn no_pattern_takes_for_ever() {
        let (pattern, name) = ("*a".repeat(200), "a".repeat(2000) + "b");
        assert!(!matches(&pattern, &name));
        let (pattern, path) = ("**/a/".repeat(200), "a/".repeat(2000) + "b");
        assert!(!matches_path(&pattern, &path));
    }
}
