//! [`Watched`]: the HTTP client that rmcp brings, and what it is seen to do.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use futures_util::stream::BoxStream;
use http::{HeaderName, HeaderValue};
use rmcp::model::ClientJsonRpcMessage;
use rmcp::transport::streamable_http_client::{
    SseError, StreamableHttpClient, StreamableHttpError, StreamableHttpPostResponse,
};
use sse_stream::Sse;

use super::Tally;

type Headers = HashMap<HeaderName, HeaderValue>;
type Result<T> = std::result::Result<T, StreamableHttpError<reqwest::Error>>;

/// Counts the responses that are resumed and the sessions that are deleted: rmcp keeps both to itself.
#[derive(Clone)]
pub(super) struct Watched {
    http: reqwest::Client,
    tally: Arc<Tally>,
}

impl Watched {
    pub(super) fn new(tally: Arc<Tally>) -> reqwest::Result<Watched> {
        Ok(Watched { http: reqwest::Client::builder().no_proxy().build()?, tally })
    }
}

impl StreamableHttpClient for Watched {
    type Error = reqwest::Error;

    async fn post_message(
        &self,
        uri: Arc<str>,
        message: ClientJsonRpcMessage,
        session: Option<Arc<str>>,
        token: Option<String>,
        headers: Headers,
    ) -> Result<StreamableHttpPostResponse> {
        self.http.post_message(uri, message, session, token, headers).await
    }

    async fn get_stream(
        &self,
        uri: Arc<str>,
        session: Option<Arc<str>>,
        last_event_id: Option<String>,
        token: Option<String>,
        headers: Headers,
    ) -> Result<BoxStream<'static, std::result::Result<Sse, SseError>>> {
        let resumes = last_event_id.is_some();
        let stream = self.http.get_stream(uri, session, last_event_id, token, headers).await?;
        self.tally.resumed.fetch_add(resumes.into(), Relaxed);
        Ok(stream)
    }

    async fn delete_session(
        &self,
        uri: Arc<str>,
        session: Arc<str>,
        token: Option<String>,
        headers: Headers,
    ) -> Result<()> {
        self.http.delete_session(uri, session, token, headers).await?;
        self.tally.deleted.fetch_add(1, Relaxed);
        Ok(())
    }
}
