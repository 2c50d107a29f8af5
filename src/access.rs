//! [`AccessRules`]: which hosts a request may name, and which pages it may come from.
//!
//! A page of any site can make the browser of whoever looks at it send requests to a server on that machine, and
//! by rebinding a name of its own to a loopback address even read the answers. What it can't do is choose the
//! `Host` and `Origin` that the browser sends. So both are held against a list, on every path and method.

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use crate::ConfigError;
use crate::http1::parse_authority;

/// Which `Host` and `Origin` are let in.
///
/// ```
/// use sansio_sse::{AccessError, AccessRules};
///
/// let rules = AccessRules::loopback().allow_host("mcp.example")?.allow_origin("https://app.example")?;
/// let check = |host, origin: Option<&str>| rules.check(Some(host), origin.map(str::as_bytes).into_iter());
///
/// assert_eq!(check("LocalHost:4444", None), Ok(()), "no Origin: not a browser");
/// assert_eq!(check("mcp.example", Some("https://app.example")), Ok(()));
/// assert_eq!(check("evil.example", None), Err(AccessError::Host));
/// assert_eq!(check("localhost:4444", Some("http://evil.example")), Err(AccessError::Origin));
/// # Ok::<(), sansio_sse::ConfigError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessRules {
    hosts: Vec<Authority>,
    any_host: bool,
    origins: Vec<Origin>,
}

/// A host, in lower case, and a port, or any port.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Authority {
    host: String,
    port: Option<u16>,
}

impl Authority {
    fn parse(text: &str) -> Option<Authority> {
        parse_authority(text.as_bytes())
            .map(|(host, port)| Authority { host: host.to_ascii_lowercase(), port })
    }

    /// Whether this rule covers what a request asks for, in any letter case.
    fn covers(&self, host: &str, port: Option<u16>) -> bool {
        self.host.eq_ignore_ascii_case(host) && (self.port.is_none() || self.port == port)
    }
}

/// `scheme://host[:port]` (RFC 6454 §6.1), the port always there.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Origin {
    scheme: String,
    host: String,
    port: u16,
}

impl Origin {
    fn parse(text: &str) -> Option<Origin> {
        let (scheme, rest) = text.split_once("://")?;
        let scheme = scheme.to_ascii_lowercase();
        let default = default_port(&scheme)?;
        let Authority { host, port } = Authority::parse(rest)?;
        Some(Origin { scheme, host, port: port.unwrap_or(default) })
    }
}

fn default_port(scheme: &str) -> Option<u16> {
    match scheme {
        "http" => Some(80),
        "https" => Some(443),
        _ => None,
    }
}

/// Why a request is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AccessError {
    /// It names no host: 400.
    NoHost,
    /// It names a host that is not on the list: 403.
    Host,
    /// It comes from a page of an origin that is not allowed: 403.
    Origin,
    /// It names more than one origin: 403.
    RepeatedOrigin,
}

impl fmt::Display for AccessError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            AccessError::NoHost => "a Host is required",
            AccessError::Host => "this Host is not allowed",
            AccessError::Origin => "this Origin is not allowed",
            AccessError::RepeatedOrigin => "more than one Origin",
        })
    }
}

impl core::error::Error for AccessError {}

impl AccessRules {
    /// `localhost`, `127.0.0.1` and `[::1]`, at any port. What means the same and is spelt otherwise (`127.1`,
    /// `0.0.0.0`, `localhost.`, mapped addresses) is not let in: no honest client sends it.
    #[must_use]
    pub fn loopback() -> AccessRules {
        let host = |host: &str| Authority { host: host.to_owned(), port: None };
        let hosts = [host("localhost"), host("127.0.0.1"), host("[::1]")].into();
        AccessRules { hosts, any_host: false, origins: Vec::new() }
    }

    /// Lets in a host too, at one port or, without one, at any.
    ///
    /// # Errors
    /// [`ConfigError`] unless it is `host[:port]`.
    pub fn allow_host(mut self, host: &str) -> Result<AccessRules, ConfigError> {
        let refused = || ConfigError::new("allow_host", alloc::format!("{host:?}"), "host or host:port");
        self.hosts.push(Authority::parse(host).ok_or_else(refused)?);
        Ok(self)
    }

    /// Lets in every host. Then a page of any site can reach the server by rebinding its name: only for servers
    /// that check who asks by other means.
    #[must_use]
    pub fn any_host(mut self) -> AccessRules {
        self.any_host = true;
        self
    }

    /// Lets in the pages of an origin, and answers their browsers' CORS questions.
    ///
    /// # Errors
    /// [`ConfigError`] unless it is `http(s)://host[:port]`.
    pub fn allow_origin(mut self, origin: &str) -> Result<AccessRules, ConfigError> {
        let refused =
            || ConfigError::new("allow_origin", alloc::format!("{origin:?}"), "http(s)://host[:port]");
        self.origins.push(Origin::parse(origin).ok_or_else(refused)?);
        Ok(self)
    }

    /// Checks a request. A request without `Origin` does not come from a page; one from a page of the server
    /// itself (same host and port, and the host is let in by name) is let in.
    ///
    /// # Errors
    /// [`AccessError`].
    pub fn check<'a>(
        &self,
        authority: Option<&str>,
        mut origins: impl Iterator<Item = &'a [u8]>,
    ) -> Result<(), AccessError> {
        let authority = authority.filter(|authority| !authority.is_empty()).ok_or(AccessError::NoHost)?;
        let (host, port) = parse_authority(authority.as_bytes()).ok_or(AccessError::Host)?;
        let listed = self.hosts.iter().any(|rule| rule.covers(host, port));
        if !listed && !self.any_host {
            return Err(AccessError::Host);
        }
        let Some(origin) = origins.next() else { return Ok(()) };
        if origins.next().is_some() {
            return Err(AccessError::RepeatedOrigin);
        }
        let origin = core::str::from_utf8(origin).ok().and_then(Origin::parse).ok_or(AccessError::Origin)?;
        let same = listed
            && origin.host.eq_ignore_ascii_case(host)
            && Some(origin.port) == port.or_else(|| default_port(&origin.scheme));
        if same || self.origins.contains(&origin) { Ok(()) } else { Err(AccessError::Origin) }
    }

    /// Whether CORS answers are due to this origin: only to one that was configured.
    #[must_use]
    pub fn cors_origin(&self, origin: &str) -> bool {
        Origin::parse(origin).is_some_and(|origin| self.origins.contains(&origin))
    }
}
