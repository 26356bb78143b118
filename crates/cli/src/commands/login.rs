//! `sandbar login`.

use std::io::{self, Read};

use rustix::stdio::stdin;
use rustix::termios::isatty;
use sandbar_registry::{Client, Configuration, Credentials, ErrorKind};

use crate::cli::Exit;
use crate::failure::{Doing, Failure, Result};
use crate::options::RegistryAccess;
use crate::{output, terminal};

/// The longest password that is read, in bytes: a registry's token has some thousands.
const LONGEST: u64 = 64 << 10;

/// Prove who you are to a registry, and keep that for later
#[derive(Debug, clap::Args)]
pub(crate) struct Login {
    /// The user's name; asked for without it
    #[arg(short, long, value_name = "NAME")]
    username: Option<String>,
    /// The password; others on this machine can read it
    #[arg(short, long, value_name = "PASSWORD", requires = "username")]
    password: Option<String>,
    /// Read the password from standard input
    #[arg(long, requires = "username", conflicts_with = "password")]
    password_stdin: bool,
    /// Print the name that is logged in, and do nothing
    #[arg(long, conflicts_with_all = ["username", "password", "password_stdin"])]
    get_login: bool,
    #[command(flatten)]
    registry: RegistryAccess,
    /// The registry, or a part of it as in quay.io/me
    #[arg(value_name = "REGISTRY")]
    name: Option<String>,
}

impl Login {
    pub(crate) fn execute(self) -> Result<Exit> {
        let key = registry(self.name.as_deref())?;
        let action = format!("log in to {key}");
        let kept = self.kept(&key)?;
        if self.get_login {
            let kept = kept.ok_or_else(|| {
                Failure::new(format!("nobody is logged in to {key}"))
                    .hint(format!("'sandbar login {key}' logs in"))
            })?;
            output::line(name_of(&kept))?;
            return Ok(Exit::SUCCESS);
        }
        if self.password.is_some() {
            output::note("a password in a command line can be read by others: --password-stdin");
        }
        let client = self.registry.client_to_log_in(&action)?;
        // What is kept may still do, and nobody need type it again.
        if self.username.is_none()
            && let Some(kept) = kept
        {
            match client.login(&key, &kept) {
                Err(error) if error.kind() == ErrorKind::Unauthorized && isatty(stdin()) => {
                    let name = name_of(&kept);
                    output::note(&format!("{key} does not take what was kept for {name} any more"));
                }
                done => {
                    let file = done.doing(&action)?;
                    return succeeded(&format!(
                        "still as {}, by {}",
                        name_of(&kept),
                        file.display()
                    ));
                }
            }
        }
        let credentials = self.credentials(&key, &action)?;
        login(&client, &key, &credentials)
    }

    /// What is kept for the registry already.
    fn kept(&self, key: &str) -> Result<Option<Credentials>> {
        let (registry, namespace) = key.split_once('/').unwrap_or((key, ""));
        let found = self.registry.keyring().find(registry, namespace);
        found.doing(format_args!("look for credentials for {key}"))
    }

    /// What was given, and what is asked for.
    fn credentials(self, key: &str, action: &str) -> Result<Credentials> {
        let password = match (self.password, self.password_stdin) {
            (Some(password), _) => Some(password),
            (None, true) => Some(read_password(action)?),
            (None, false) => None,
        };
        if password.is_none() && !isatty(stdin()) {
            let message = format!("cannot {action}: there is no terminal to ask for a password");
            return Err(Failure::new(message).hint("pipe it in, with -u NAME --password-stdin"));
        }
        let name = match self.username {
            Some(name) => name,
            None => terminal::ask(&format!("User name at {key}: "))?,
        };
        let password = match password {
            Some(password) => password,
            None => terminal::ask_secret("Password: ")?,
        };
        Credentials::password(name, password).doing(action)
    }
}

fn login(client: &Client, key: &str, credentials: &Credentials) -> Result<Exit> {
    let refused = |error: sandbar_registry::Error| {
        let wrong = error.kind() == ErrorKind::Unauthorized;
        let failure = Failure::of(format_args!("log in to {key}"), error);
        if wrong { failure.hint("check the name and the password, or token") } else { failure }
    };
    let file = client.login(key, credentials).map_err(refused)?;
    succeeded(&format!("kept in {}", file.display()))
}

/// As Docker and Podman say it, with where it is kept.
fn succeeded(how: &str) -> Result<Exit> {
    output::line(format_args!("Login Succeeded! ({how})"))?;
    Ok(Exit::SUCCESS)
}

/// The registry that is meant: without a name, the first that short names are searched in.
pub(super) fn registry(name: Option<&str>) -> Result<String> {
    if let Some(name) = name {
        let name = name.trim_start_matches("https://").trim_end_matches('/');
        return Ok(if name.starts_with("index.docker.io") { "docker.io" } else { name }.to_owned());
    }
    let searched = Configuration::load().doing("find the usual registry")?.search_registries();
    searched.into_iter().next().ok_or_else(|| {
        Failure::new("no registry is named, and none is searched").hint("name one, as in docker.io")
    })
}

fn name_of(credentials: &Credentials) -> &str {
    match credentials {
        Credentials::Password { user, .. } => user,
        Credentials::IdentityToken(_) => "<token>",
    }
}

/// All of standard input, without the end of its line.
fn read_password(action: &str) -> Result<String> {
    let mut password = String::new();
    io::stdin().lock().take(LONGEST).read_to_string(&mut password).doing(action)?;
    let password = password.strip_suffix('\n').unwrap_or(&password);
    let password = password.strip_suffix('\r').unwrap_or(password);
    if password.is_empty() {
        return Err(Failure::new(format!("cannot {action}: standard input has no password")));
    }
    Ok(password.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registry_is_known_by_its_names() {
        for (name, expected) in [
            ("https://index.docker.io/v1/", "docker.io"),
            ("https://quay.io/", "quay.io"),
            ("quay.io/me", "quay.io/me"),
            ("localhost:5000", "localhost:5000"),
        ] {
            assert_eq!(registry(Some(name)).unwrap(), expected);
        }
    }
}
