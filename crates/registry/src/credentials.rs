//! Who we are to registries, and the [`Keyring`] that knows: Docker's and Podman's files, and helper programs.

mod file;
mod helper;
mod keyring;

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

pub use keyring::Keyring;

use crate::error::{Error, ErrorKind, Result};

/// What proves to a registry who asks. Never shown: not even its [`Debug`](fmt::Debug) form tells the secret.
#[derive(Clone, PartialEq, Eq)]
pub enum Credentials {
    /// A user's name and password, or a token in place of the password.
    Password {
        /// The user's name, which may hold no colon.
        user: String,
        /// The password.
        password: String,
    },
    /// What a registry's token service once gave out in place of a password (an OAuth2 refresh token).
    IdentityToken(String),
}

/// The user's name that stands for an identity token in Docker's files and with its helpers.
const TOKEN_USER: &str = "<token>";

impl Credentials {
    /// A user's name and password.
    ///
    /// # Errors
    /// [`ErrorKind::Credentials`] for a name with a colon, which the protocol can't tell from the password, or none.
    pub fn password(user: impl Into<String>, password: impl Into<String>) -> Result<Self> {
        let user = user.into();
        if user.is_empty() || user.contains(':') {
            let message = "a user's name at a registry is not empty and holds no colon";
            return Err(Error::new(ErrorKind::Credentials, message));
        }
        Ok(Self::Password { user, password: password.into() })
    }

    /// `user:password` in Base64, as both HTTP's Basic scheme and the files have it.
    pub(crate) fn encoded(&self) -> String {
        match self {
            Self::Password { user, password } => STANDARD.encode(format!("{user}:{password}")),
            Self::IdentityToken(_) => STANDARD.encode(format!("{TOKEN_USER}:")),
        }
    }

    /// The reverse of [`Credentials::encoded`].
    fn decode(encoded: &str) -> Option<Self> {
        let bytes = STANDARD.decode(encoded.trim()).ok()?;
        let text = String::from_utf8(bytes).ok()?;
        // Docker once padded what it wrote with zero bytes.
        let (user, password) = text.trim_end_matches('\0').split_once(':')?;
        Some(Self::from_pair(user, password))
    }

    /// What a helper gives out.
    fn from_pair(user: &str, secret: &str) -> Self {
        if user == TOKEN_USER {
            Self::IdentityToken(secret.to_owned())
        } else {
            Self::Password { user: user.to_owned(), password: secret.to_owned() }
        }
    }

    /// What a helper is given.
    fn pair(&self) -> (&str, &str) {
        match self {
            Self::Password { user, password } => (user, password),
            Self::IdentityToken(token) => (TOKEN_USER, token),
        }
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Password { user, .. } => write!(f, "Password({user}:…)"),
            Self::IdentityToken(_) => f.write_str("IdentityToken(…)"),
        }
    }
}

fn unusable(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Credentials, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_secret_is_shown() {
        let password = Credentials::password("me", "hunter2").unwrap();
        let token = Credentials::IdentityToken("hunter2".to_owned());
        assert!(!format!("{password:?} {token:?}").contains("hunter2"));
        Credentials::password("a:b", "c").unwrap_err();
        Credentials::password("", "c").unwrap_err();
    }

    #[test]
    fn credentials_survive_being_written_and_read() {
        let password = Credentials::password("me", "a:b").unwrap();
        assert_eq!(Credentials::decode(&password.encoded()), Some(password));
        assert_eq!(
            Credentials::decode("bWU6eAA="),
            Some(Credentials::password("me", "x").unwrap())
        );
        assert_eq!(Credentials::decode("???"), None);
    }
}
