//! What a Dockerfile says, without touching the machine
//! ([reference](https://docs.docker.com/reference/dockerfile/)).

mod expand;
mod instruction;
mod lines;
mod mount;
mod stages;
mod words;

pub(crate) use expand::{expand, expand_document};
pub(crate) use instruction::{Command, Instruction, Origin, RunStep, Transfer};
pub(crate) use lines::Document;
pub(crate) use mount::{MountKind, MountRequest, SharingMode};
pub(crate) use stages::{Dockerfile, Stage, Step, parse_trigger};
pub(crate) use words::split;
