//! `mcp-sse serve`: from the settings to a running server, and through its end.

use std::error::Error;
use std::ffi::OsStr;
use std::fmt::Display;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use async_io::Timer;
use async_signal::{Signal, Signals};
use futures_channel::oneshot;
use futures_util::future::{Either, FutureExt, select};
use futures_util::stream::{Stream, StreamExt};
use sansio_sse_adapters::{Mcp, Runtime, Server, Service, SmolRuntime};
use tracing::{info, warn};
use tracing_subscriber::EnvFilter;

use crate::bridge::Bridge;
use crate::demo::Demo;
use crate::options::{InForce, LogFormat, RuntimeName, ServeOptions, Settings, Stateless};
use crate::shared::{self, Shared};

type Failed = Box<dyn Error>;

/// The exit code after a second signal, as shells count an interrupted program.
const INTERRUPTED: u8 = 130;

/// Signals this close together are one.
const SAME_SIGNAL: Duration = Duration::from_millis(100);

/// How long aborted tasks have to let go of what they hold.
const ABORT_WITHIN: Duration = Duration::from_secs(1);

pub(crate) fn serve(options: ServeOptions) -> Result<ExitCode, Failed> {
    // What is wrong with the settings is said before anything is opened.
    let settings = options.settings(options.listen)?;
    if options.print_config {
        say(InForce { options: &options, settings: &settings });
        return Ok(ExitCode::SUCCESS);
    }
    start_log(&options)?;
    match options.runtime {
        RuntimeName::Smol => smol::block_on(run::<SmolRuntime>(&options)),
        RuntimeName::Tokio => on_tokio(&options),
    }
}

#[cfg(feature = "tokio")]
fn on_tokio(options: &ServeOptions) -> Result<ExitCode, Failed> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(run::<sansio_sse_adapters::TokioRuntime>(options))
}

#[cfg(not(feature = "tokio"))]
fn on_tokio(_: &ServeOptions) -> Result<ExitCode, Failed> {
    Err("--runtime tokio: this build is without it; build with --features tokio".into())
}

/// Standard output may be closed; that is no reason to stop.
fn say(what: impl Display) {
    let mut out = io::stdout();
    let _ = write!(out, "{what}").and_then(|()| out.flush());
}

fn start_log(options: &ServeOptions) -> Result<(), Failed> {
    let filter =
        EnvFilter::try_new(&options.log).map_err(|error| format!("--log {:?}: {error}", options.log))?;
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    let log = log.with_ansi(io::stderr().is_terminal());
    match options.log_format {
        LogFormat::Human => log.init(),
        LogFormat::Json => log.json().init(),
    }
    Ok(())
}

async fn run<R: Runtime>(options: &ServeOptions) -> Result<ExitCode, Failed> {
    if let Some(program) = options.command.first().filter(|program| find_program(program).is_none()) {
        return Err(format!("no such command: {}", program.display()).into());
    }
    let mut signals = Signals::new([Signal::Int, Signal::Term])?;
    let cannot = |error| format!("can't listen on {}: {error}", options.listen);
    let listener = R::bind(options.listen).await.map_err(cannot)?;
    let addr = R::local_addr(&listener)?;
    let (service, shared) = service(options, options.settings(addr)?)?;
    let server = Server::<R>::on(listener, service)?;
    if !addr.ip().is_loopback() {
        warn!(%addr, "reachable from other machines, and nothing here asks who calls");
    }
    let mcp = if options.no_mcp { String::new() } else { format!(" and http://{addr}{}", options.mcp_path) };
    say(format_args!("mcp-sse: listening on http://{addr}/sse{mcp}\ntry it:  curl -N http://{addr}/sse\n"));

    let handle = server.handle();
    let (ask, asked) = oneshot::channel::<()>();
    let running = pin!(server.run(async {
        // The other half is never dropped before it has asked.
        let _ = asked.await;
    }));
    let signalled = pin!(async {
        signal(&mut signals).await;
        info!("stopping; once more stops at once");
        let _ = ask.send(());
        // Supervisors such as `timeout` send the same signal twice in a row, and mean it once.
        Timer::after(SAME_SIGNAL).await;
        while let Some(Some(Ok(_))) = signals.next().now_or_never() {}
        signal(&mut signals).await;
    });
    let stopped = async {
        running.await;
        // What served those without a session ends behind them all.
        if let Some(shared) = &shared {
            shared.end().await;
        }
    };
    match select(pin!(stopped), signalled).await {
        Either::Left(((), _)) => Ok(ExitCode::SUCCESS),
        Either::Right(((), running)) => {
            warn!("stopped at once");
            handle.abort();
            let gone = pin!(handle.gone());
            select(gone, select(running, Timer::after(ABORT_WITHIN))).await;
            if let Some(shared) = &shared {
                shared.kill().await;
            }
            Ok(ExitCode::from(INTERRUPTED))
        }
    }
}

/// Waits for a signal. That none can be read is none: it is still there when the next look is taken.
async fn signal(signals: &mut (impl Stream<Item = io::Result<Signal>> + Unpin)) {
    while let Some(Err(error)) = signals.next().await {
        warn!(%error, "can't look for signals");
        Timer::after(SAME_SIGNAL).await;
    }
}

/// The demo, or one child a session.
fn service(options: &ServeOptions, settings: Settings) -> Result<(Service, Option<Arc<Shared>>), Failed> {
    let mcp_path = (!options.no_mcp).then_some(&options.mcp_path);
    let mut service = Service::builder()
        .access(settings.access)
        .connection(settings.connection)
        .sessions(settings.sessions)
        .max_connections(settings.max_connections);
    let Some((program, arguments)) = options.command.split_first() else {
        let demo = Demo::new(settings.streamable.revisions)?;
        if let Some(path) = mcp_path {
            service = service.mcp(path, Demo::settings(settings.streamable), demo.mcp());
        }
        let service =
            service.http_sse("/sse", settings.http_sse, move |session| Arc::clone(&demo).serve(session));
        return Ok((service.build()?, None));
    };
    let bridge = Arc::new(Bridge {
        program: program.clone(),
        arguments: arguments.to_vec(),
        max_line_bytes: settings.max_line_bytes.get(),
    });
    let mut shared = None;
    if let Some(path) = mcp_path {
        let bridge = Arc::clone(&bridge);
        let mut config = settings.streamable;
        let mut application = Mcp::messages({
            let bridge = Arc::clone(&bridge);
            move |session| {
                let bridge = Arc::clone(&bridge);
                async move { bridge.run(session).await }
            }
        });
        if options.stateless == Stateless::Shared {
            config.subscriptions = Some(shared::OFFER);
            let child = Arc::new(Shared::new(bridge, config.revisions));
            shared = Some(Arc::clone(&child));
            application = application.stateless(move |call| {
                let child = Arc::clone(&child);
                async move { child.answer(call).await }
            });
        }
        service = service.mcp(path, config, application);
    }
    let service = service.http_sse("/sse", settings.http_sse, move |session| {
        let bridge = Arc::clone(&bridge);
        async move { bridge.run(session).await }
    });
    Ok((service.build()?, shared))
}

/// Where the command is: by its path, or along `PATH`. Each session starts it anew; that it is there at all is
/// better known before the first.
fn find_program(program: &OsStr) -> Option<PathBuf> {
    let is_file = |path: &PathBuf| path.is_file();
    if Path::new(program).components().count() > 1 {
        return Some(PathBuf::from(program)).filter(is_file);
    }
    std::env::split_paths(&std::env::var_os("PATH")?).map(|folder| folder.join(program)).find(is_file)
}

#[cfg(test)]
mod tests {
    use futures_util::stream;

    use super::{FutureExt, Signal, StreamExt, io, signal};

    #[test]
    fn signal_that_cannot_be_read_stops_nothing() {
        let mut signals = stream::iter([Err(io::ErrorKind::Interrupted.into()), Ok(Signal::Term)]);
        smol::block_on(signal(&mut signals));
        assert!(
            matches!(signals.next().now_or_never(), Some(None)),
            "it has waited for the one that could be"
        );
    }
}
