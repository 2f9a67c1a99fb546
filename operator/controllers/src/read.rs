//! A read from the API server that failed, with what was to be read: one word for it in every controller.

use std::borrow::Cow;

use crate::report::{Failure, Retry};

/// The API server did not answer a read, or refused it.
#[derive(Debug, thiserror::Error)]
#[error("failed to read {what}")]
pub struct ReadError {
    what: Cow<'static, str>,
    source: kube::Error,
}

/// What was read, or nothing where the API server does not know the kind: objects end with their definition, and what still refers to one
/// must be able to go.
pub(crate) fn unless_undefined<T: Default>(read: Result<T, kube::Error>) -> Result<T, kube::Error> {
    match read {
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(T::default()),
        read => read,
    }
}

impl ReadError {
    /// For `map_err` on a read of `what`, for example `the CustomKeyStore`.
    pub(crate) fn of(what: impl Into<Cow<'static, str>>) -> impl FnOnce(kube::Error) -> Self {
        move |source| Self { what: what.into(), source }
    }
}

impl Failure for ReadError {
    fn reason(&self) -> &'static str {
        match &self.source {
            kube::Error::Api(status) if status.is_forbidden() => "ApiForbidden",
            _ => "ApiUnavailable",
        }
    }

    fn retry(&self) -> Retry {
        Retry::Backoff
    }
}
