//! Limits of whoever asks for a page.

use std::time::Duration;

/// Connections at once; further ones wait until the system gives them up.
pub const CONNECTIONS_MAX: usize = 32;

/// How long a request may take to arrive.
pub const REQUEST_TIME_MAX: Duration = Duration::from_secs(10);

/// How long all of a connection may take: the request, the page, and reading it.
pub const CONNECTION_TIME_MAX: Duration = Duration::from_secs(20);

/// Bytes of a request's line and headers.
pub const REQUEST_BYTES_MAX: usize = 8 << 10;

/// Headers of a request.
pub const REQUEST_HEADERS_MAX: usize = 64;

/// After a connection could not be accepted, most likely for want of descriptors, the next one is tried so much later.
pub const ACCEPT_PAUSE: Duration = Duration::from_secs(1);

const _: () = assert!(REQUEST_TIME_MAX.as_secs() < CONNECTION_TIME_MAX.as_secs());
