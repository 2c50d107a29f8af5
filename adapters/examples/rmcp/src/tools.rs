//! [`Tools`]: a service as rmcp's users write them.

use std::time::Duration;

use rmcp::handler::server::wrapper::Parameters;
use rmcp::model::ProgressNotificationParam;
use rmcp::schemars::{self, JsonSchema};
use rmcp::service::{RequestContext, RoleServer, ServiceError};
use rmcp::{ErrorData, ServerHandler, tool, tool_handler, tool_router};
use serde::Deserialize;
use tokio::time::sleep;

/// How long a number takes. With none, clients that hear of a response first, and then of what came with it in one
/// read, have no use for the progress any more.
const STEP: Duration = Duration::from_millis(10);

/// Two tools to try a client with.
#[derive(Clone, Copy, Debug)]
pub struct Tools;

#[derive(Deserialize, JsonSchema)]
struct Echo {
    /// What to say again.
    message: String,
}

#[derive(Deserialize, JsonSchema)]
struct Count {
    /// The last number, up to 255.
    to: u8,
}

#[tool_router]
impl Tools {
    /// Says the message again.
    #[tool]
    fn echo(&self, Parameters(Echo { message }): Parameters<Echo>) -> String {
        message
    }

    /// Counts from one, and tells each number as progress to a client that asks for it.
    #[tool]
    async fn count(
        &self,
        Parameters(Count { to }): Parameters<Count>,
        context: RequestContext<RoleServer>,
    ) -> Result<String, ErrorData> {
        for number in 1..=to {
            if let Some(token) = context.meta.get_progress_token() {
                let progress = ProgressNotificationParam::new(token, number.into()).with_total(to.into());
                context.peer.notify_progress(progress).await.map_err(gone)?;
            }
            tokio::select! {
                () = sleep(STEP) => {}
                // rmcp sends nothing more for a request that is cancelled, whatever this is.
                () = context.ct.cancelled() => break,
            }
        }
        Ok(format!("counted to {to}"))
    }
}

#[tool_handler(name = "rmcp-server")]
impl ServerHandler for Tools {}

fn gone(error: ServiceError) -> ErrorData {
    ErrorData::internal_error(error.to_string(), None)
}
