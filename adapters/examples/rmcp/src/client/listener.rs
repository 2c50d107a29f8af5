//! [`Listener`]: what the server says without being asked.

use std::collections::HashMap;
use std::future::{Future, ready};
use std::sync::{Mutex, PoisonError};

use rmcp::ClientHandler;
use rmcp::model::{ProgressNotificationParam, ProgressToken};
use rmcp::service::{NotificationContext, RoleClient};
use tokio::sync::Notify;

/// Keeps what is told of progress, by token, and whether the list of tools has changed.
#[derive(Default)]
pub(super) struct Listener {
    progress: Mutex<HashMap<ProgressToken, Vec<f64>>>,
    tools: Notify,
}

impl Listener {
    /// What was told under a token so far.
    pub(super) fn told(&self, token: &ProgressToken) -> Vec<f64> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner).remove(token).unwrap_or_default()
    }

    pub(super) async fn tools_changed(&self) {
        self.tools.notified().await;
    }
}

impl ClientHandler for Listener {
    fn on_progress(
        &self,
        told: ProgressNotificationParam,
        _: NotificationContext<RoleClient>,
    ) -> impl Future<Output = ()> + Send + '_ {
        let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        progress.entry(told.progress_token).or_default().push(told.progress);
        ready(())
    }

    fn on_tool_list_changed(
        &self,
        _: NotificationContext<RoleClient>,
    ) -> impl Future<Output = ()> + Send + '_ {
        self.tools.notify_one();
        ready(())
    }
}
