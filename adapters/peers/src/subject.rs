//! The servers that can be measured, and how each is started.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use clap::ValueEnum;

use crate::{load::Failure, process::Program};

/// A column of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Subject {
    /// A bare epoll loop.
    Floor,
    /// sansio-sse on tokio.
    OursTokio,
    /// sansio-sse on smol.
    OursSmol,
    /// A task a connection on tokio, and nothing else.
    Bare,
    /// axum's `Sse`.
    Axum,
    /// hyper, by hand.
    Hyper,
    /// actix-web.
    Actix,
    /// rmcp's streamable HTTP server.
    Rmcp,
}

impl Subject {
    /// Its name above the column.
    pub fn title(self) -> &'static str {
        match self {
            Self::Floor => "floor",
            Self::OursTokio => "ours, tokio",
            Self::OursSmol => "ours, smol",
            Self::Bare => "bare tokio",
            Self::Axum => "axum `Sse`",
            Self::Hyper => "hyper by hand",
            Self::Actix => "actix-web",
            Self::Rmcp => "rmcp",
        }
    }

    /// The runtime, where it is ours.
    fn runtime(self) -> Option<&'static str> {
        match self {
            Self::OursTokio => Some("tokio"),
            Self::OursSmol => Some("smol"),
            Self::Floor | Self::Bare | Self::Axum | Self::Hyper | Self::Actix | Self::Rmcp => None,
        }
    }

    /// Whether it is ours.
    pub fn is_ours(self) -> bool {
        self.runtime().is_some()
    }

    /// How it is started with so many threads; ours is at `load_server`.
    pub fn program(self, threads: usize, load_server: Option<&Path>) -> Result<Program, Failure> {
        let threads = ["--threads".into(), threads.to_string().into()];
        if let Some(runtime) = self.runtime() {
            let file = load_server.ok_or("there is no load_server")?.to_owned();
            let after = ["--runtime".into(), runtime.into()].into_iter().chain(threads).collect();
            return Ok(Program { file, before: Vec::new(), after });
        }
        let file = std::env::current_exe().map_err(|error| error.to_string())?;
        let kind = format!("{self:?}").to_lowercase();
        Ok(Program { file, before: vec!["serve".into(), kind.into()], after: threads.into() })
    }
}

/// Builds the example `load_server`, and says where it is.
pub fn build_load_server() -> Result<PathBuf, Failure> {
    let adapters = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    if !adapters.join("examples/load_server.rs").exists() && !adapters.join("examples/load_server").exists() {
        return Err("there is no example load_server".into());
    }
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["build", "--release", "--features", "tokio", "--example", "load_server"]);
    command.args(["--message-format", "json-render-diagnostics", "--manifest-path"]);
    command.arg(adapters.join("Cargo.toml")).stderr(Stdio::inherit());
    let output = command.output().map_err(|error| format!("cargo does not start: {error}"))?;
    if !output.status.success() {
        return Err("load_server does not build".into());
    }
    let lines = String::from_utf8_lossy(&output.stdout);
    let messages = lines.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let mut built = messages.filter(|message| message["target"]["name"] == "load_server");
    let file = built.find_map(|message| message["executable"].as_str().map(PathBuf::from));
    file.ok_or_else(|| "cargo does not say where load_server is".into())
}
