//! The commands, one a file; a command's doc comment is its help.

mod attached;
mod build;
mod commit;
mod completion;
mod create;
mod each;
mod exec;
mod image;
mod images;
mod import;
mod in_use;
mod info;
mod inspect;
mod kill;
mod load;
mod login;
mod logout;
mod logs;
mod manifest;
mod network;
mod pod;
mod port;
mod ps;
mod pull;
mod push;
mod rm;
mod rmi;
mod run;
mod save;
mod search;
mod start;
mod stop;
mod system;
mod tag;
mod version;
mod wait;

use clap::{Subcommand, ValueEnum};

use crate::cli::Exit;
use crate::context::Context;
use crate::failure::{OWN_FAILURE, Result};

/// What can be done.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Run(Box<run::Run>),
    Create(Box<create::Create>),
    Start(start::Start),
    Stop(stop::Stop),
    Kill(kill::Kill),
    Rm(rm::Rm),
    Wait(wait::Wait),
    Exec(exec::Exec),
    Logs(logs::Logs),
    Ps(ps::Ps),
    Inspect(inspect::Inspect),
    Pod(pod::Pod),
    Port(port::Port),
    Network(network::Network),
    Build(Box<build::Build>),
    Pull(pull::Pull),
    Push(push::Push),
    Load(load::Load),
    Save(save::Save),
    Import(import::Import),
    Commit(commit::Commit),
    Images(images::Images),
    Rmi(rmi::Rmi),
    Tag(tag::Tag),
    Manifest(manifest::Manifest),
    Login(login::Login),
    Logout(logout::Logout),
    Search(search::Search),
    Image(image::Image),
    System(system::System),
    Info(info::Info),
    Version(version::Version),
    Completion(completion::Completion),
}

impl Command {
    /// The exit code of failures of Sandbar's own.
    pub(crate) const fn code_of_failure(&self) -> u8 {
        match self {
            Self::Run(_) | Self::Create(_) | Self::Start(_) | Self::Exec(_) => OWN_FAILURE,
            _ => 1,
        }
    }

    /// Does it.
    pub(crate) fn execute(self, context: &Context) -> Result<Exit> {
        match self {
            Self::Run(command) => command.execute(context),
            Self::Create(command) => command.execute(context),
            Self::Start(command) => command.execute(context),
            Self::Stop(command) => command.execute(context),
            Self::Kill(command) => command.execute(context),
            Self::Rm(command) => command.execute(context),
            Self::Wait(command) => command.execute(context),
            Self::Exec(command) => command.execute(context),
            Self::Logs(command) => command.execute(context),
            Self::Ps(command) => command.execute(context),
            Self::Inspect(command) => command.execute(context),
            Self::Pod(command) => command.execute(context),
            Self::Port(command) => command.execute(context),
            Self::Network(command) => command.execute(context),
            Self::Build(command) => command.execute(context),
            Self::Pull(command) => command.execute(context),
            Self::Push(command) => command.execute(context),
            Self::Load(command) => command.execute(context),
            Self::Save(command) => command.execute(context),
            Self::Import(command) => command.execute(context),
            Self::Commit(command) => command.execute(context),
            Self::Images(command) => command.execute(context),
            Self::Rmi(command) => command.execute(context),
            Self::Tag(command) => command.execute(context),
            Self::Manifest(command) => command.execute(context),
            Self::Login(command) => command.execute(),
            Self::Logout(command) => command.execute(),
            Self::Search(command) => command.execute(),
            Self::Image(command) => command.execute(context),
            Self::System(command) => command.execute(context),
            Self::Info(command) => command.execute(context),
            Self::Version(command) => command.execute(),
            Self::Completion(command) => command.execute(),
        }
    }
}

/// How a list is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    #[default]
    Table,
    /// For programs.
    Json,
}

/// How something single is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum TextFormat {
    /// For people.
    #[default]
    Text,
    /// For programs.
    Json,
}
