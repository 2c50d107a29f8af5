//! rmcp's streamable HTTP server in axum, as its documentation shows it: a session for each client, and a tool that
//! sends its messages as notifications of progress.

use std::{error::Error, net::TcpListener, sync::Arc};

use axum::{Router, serve::ListenerExt};
use rmcp::{
    ErrorData, ServerHandler,
    model::{
        CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, ProgressNotificationParam,
        ServerCapabilities, ServerConfig,
    },
    service::{RequestContext, RoleServer},
    transport::streamable_http_server::{
        StreamableHttpServerConfig, StreamableHttpService, session::local::LocalSessionManager,
    },
};

use super::hub::runtime;
use crate::contract::message;

pub fn serve(listener: TcpListener, threads: usize) -> Result<(), Box<dyn Error>> {
    runtime(threads)?.block_on(async {
        let sessions = Arc::new(LocalSessionManager::default());
        let service =
            StreamableHttpService::new(|| Ok(Tools), sessions, StreamableHttpServerConfig::default());
        let app = Router::new().nest_service("/mcp", service);
        let listener = tokio::net::TcpListener::from_std(listener)?.tap_io(|socket| {
            let _ = socket.set_nodelay(true); // It is gone then, which is seen elsewhere.
        });
        Ok(axum::serve(listener, app).await?)
    })
}

struct Tools;

impl ServerHandler for Tools {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let token = context.meta.get_progress_token();
        let token = token.ok_or_else(|| ErrorData::invalid_params("no progress token", None))?;
        let arguments = request.arguments.unwrap_or_default();
        let number = |key: &str| arguments.get(key).and_then(serde_json::Value::as_u64).unwrap_or(0);
        let (n, size) = (number("n"), number("size") as usize);
        for seq in 1..=n {
            let progress = ProgressNotificationParam::new(token.clone(), seq as f64);
            let sent = context.peer.notify_progress(progress.with_message(message(seq, size))).await;
            sent.map_err(|error| ErrorData::internal_error(error.to_string(), None))?;
        }
        Ok(CallToolResult::success(vec![ContentBlock::text("done")]).into())
    }
}
