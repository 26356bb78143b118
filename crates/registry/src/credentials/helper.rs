//! Programs that keep credentials: `docker-credential-NAME get|store|erase|list`
//! ([docker-credential-helpers](https://github.com/docker/docker-credential-helpers#development)).

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::process::{Command, Stdio};

use serde::{Deserialize, Serialize};

use super::{Credentials, unusable};
use crate::error::{Result, shown};

/// The longest answer of a helper, in bytes.
const LONGEST: u64 = 1024 * 1024;

/// What a helper answers when it has nothing, in all of its implementations.
const NOT_FOUND: &str = "credentials not found";

/// One such program.
pub(super) struct Helper(String);

#[derive(Serialize, Deserialize)]
struct Message {
    #[serde(rename = "ServerURL", default)]
    server: String,
    #[serde(rename = "Username")]
    user: String,
    #[serde(rename = "Secret")]
    secret: String,
}

impl Helper {
    /// The helper of that name, which becomes part of a program's: so it is one word.
    pub(super) fn new(name: &str) -> Result<Self> {
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if name.is_empty() || !name.chars().all(fits) {
            return Err(unusable(format!("\"{}\" is not a credential helper's name", shown(name))));
        }
        Ok(Self(format!("docker-credential-{name}")))
    }

    pub(super) fn get(&self, server: &str) -> Result<Option<Credentials>> {
        match self.run("get", server)? {
            Ok(answer) => {
                let message: Message = serde_json::from_str(&answer).map_err(|e| {
                    unusable(format!("{}: bad answer for {server}", self.0)).because(e)
                })?;
                if message.user.is_empty() {
                    return Ok(None);
                }
                Ok(Some(Credentials::from_pair(&message.user, &message.secret)))
            }
            Err(why) if why.contains(NOT_FOUND) => Ok(None),
            Err(why) => Err(self.failed("get", server, &why)),
        }
    }

    pub(super) fn store(&self, server: &str, credentials: &Credentials) -> Result<()> {
        let (user, secret) = credentials.pair();
        let message =
            Message { server: server.to_owned(), user: user.to_owned(), secret: secret.to_owned() };
        let message = serde_json::to_string(&message)
            .map_err(|e| unusable(format!("{}: nothing to store", self.0)).because(e))?;
        self.run("store", &message)?.map(drop).map_err(|why| self.failed("store", server, &why))
    }

    /// Whether there was something to erase.
    pub(super) fn erase(&self, server: &str) -> Result<bool> {
        match self.run("erase", server)? {
            Ok(_) => Ok(true),
            Err(why) if why.contains(NOT_FOUND) => Ok(false),
            Err(why) => Err(self.failed("erase", server, &why)),
        }
    }

    /// The servers that it keeps credentials for.
    pub(super) fn list(&self) -> Result<Vec<String>> {
        let answer = self.run("list", "")?.map_err(|why| self.failed("list", "all", &why))?;
        let users: BTreeMap<String, String> = serde_json::from_str(&answer)
            .map_err(|e| unusable(format!("{}: bad list of servers", self.0)).because(e))?;
        Ok(users.into_keys().collect())
    }

    fn failed(&self, action: &str, server: &str, why: &str) -> crate::Error {
        unusable(format!("{} {action} failed for {server}: {}", self.0, shown(why)))
    }

    /// What the helper prints; as an error, if it fails.
    fn run(&self, action: &str, input: &str) -> Result<std::result::Result<String, String>> {
        let failed = |what: &str, e| unusable(format!("{} {action}: {what}", self.0)).because(e);
        let mut child = Command::new(&self.0)
            .arg(action)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|e| failed("the credential helper can't be started", e))?;
        let written =
            child.stdin.take().map_or(Ok(()), |mut stdin| stdin.write_all(input.as_bytes()));
        let mut answer = String::new();
        let read = child
            .stdout
            .take()
            .map_or(Ok(0), |stdout| stdout.take(LONGEST).read_to_string(&mut answer));
        let status = child.wait().map_err(|e| failed("waiting for it failed", e))?;
        read.map_err(|e| failed("its answer can't be read", e))?;
        if !status.success() {
            return Ok(Err(answer));
        }
        written.map_err(|e| failed("it did not read what it was given", e))?;
        Ok(Ok(answer))
    }
}
