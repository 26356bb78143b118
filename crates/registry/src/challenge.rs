//! What a registry asks for when it says 401: the header `WWW-Authenticate`
//! ([RFC 9110, 11.6.1](https://www.rfc-editor.org/rfc/rfc9110#section-11.6.1)).

/// How a registry wants to know who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Challenge {
    /// A user's name and password, each time.
    Basic,
    /// A token from somewhere else
    /// ([distribution, token](https://distribution.github.io/distribution/spec/auth/token/)).
    Bearer { realm: String, service: Option<String>, scope: Option<String> },
}

impl Challenge {
    /// The best of all that the headers ask for: a token before a password.
    pub(crate) fn read<'a>(headers: impl Iterator<Item = &'a str>) -> Option<Self> {
        let mut best = None;
        for found in headers.flat_map(schemes) {
            match found.into_challenge() {
                bearer @ Some(Self::Bearer { .. }) => return bearer,
                Some(Self::Basic) => best = Some(Self::Basic),
                None => {}
            }
        }
        best
    }
}

/// A scheme and its parameters.
struct Scheme {
    name: String,
    parameters: Vec<(String, String)>,
}

impl Scheme {
    fn into_challenge(self) -> Option<Challenge> {
        let parameter = |name: &str| {
            let found = self.parameters.iter().find(|(n, _)| n.eq_ignore_ascii_case(name));
            found.map(|(_, value)| value.clone())
        };
        if self.name.eq_ignore_ascii_case("basic") {
            Some(Challenge::Basic)
        } else if self.name.eq_ignore_ascii_case("bearer") {
            let (service, scope) = (parameter("service"), parameter("scope"));
            Some(Challenge::Bearer { realm: parameter("realm")?, service, scope })
        } else {
            None
        }
    }
}

/// Reads a header: `scheme name=value, name="value", scheme …`. What fits no rule ends it.
fn schemes(mut rest: &str) -> Vec<Scheme> {
    let mut found: Vec<Scheme> = Vec::new();
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        let end = rest.find([' ', '\t', ',', '=']).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        if word.is_empty() {
            return found;
        }
        if let Some(value) = after.trim_start().strip_prefix('=') {
            let Some((value, after)) = value_of(value.trim_start()) else { return found };
            let Some(scheme) = found.last_mut() else { return found };
            scheme.parameters.push((word.to_owned(), value));
            rest = after;
        } else {
            found.push(Scheme { name: word.to_owned(), parameters: Vec::new() });
            rest = after;
        }
    }
}

/// A token, or a string in quotation marks, and what follows.
fn value_of(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([' ', '\t', ',']).unwrap_or(text.len());
        return Some((text[..end].to_owned(), &text[end..]));
    };
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((at, c)) = characters.next() {
        match c {
            '"' => return Some((value, &quoted[at + 1..])),
            '\\' => value.push(characters.next()?.1),
            _ => value.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn challenges_are_read_as_registries_write_them() {
        let bearer = |realm: &str, service: Option<&str>, scope: Option<&str>| {
            Some(Challenge::Bearer {
                realm: realm.to_owned(),
                service: service.map(str::to_owned),
                scope: scope.map(str::to_owned),
            })
        };
        for (header, expected) in [
            (
                r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull,push""#,
                bearer(
                    "https://auth.docker.io/token",
                    Some("registry.docker.io"),
                    Some("repository:a/b:pull,push"),
                ),
            ),
            (r#"Basic realm="x""#, Some(Challenge::Basic)),
            ("basic", Some(Challenge::Basic)),
            (
                r#"Basic realm="a, Bearer b", bearer  Realm = t ,service=s"#,
                bearer("t", Some("s"), None),
            ),
            (r#"Bearer realm="a\"b""#, bearer("a\"b", None, None)),
            (r#"Bearer realm="a"#, None),
            ("Bearer service=s", None),
            ("Negotiate", None),
            ("=,=", None),
            ("", None),
        ] {
            assert_eq!(Challenge::read([header].into_iter()), expected, "{header}");
        }
        let both = ["Basic realm=x", "Bearer realm=y"];
        assert_eq!(Challenge::read(both.into_iter()), bearer("y", None, None));
    }
}
