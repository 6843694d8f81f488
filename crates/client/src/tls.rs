//! What of TLS made a connection fail, told apart from a server that is not there.

use std::error::Error;
use std::io;

use crate::ClientError;
use crate::error::BoxError;

/// The error for a request that was not answered: about TLS where that is in the way, else that nobody answers.
pub(crate) fn unanswered(url: String, source: BoxError) -> ClientError {
    match cause(&*source) {
        Some(rustls::Error::InvalidCertificate(_)) => ClientError::Untrusted { url, source },
        Some(_) => ClientError::NoTls { url, source },
        None => ClientError::Unreachable { url, source },
    }
}

fn cause<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e rustls::Error> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        // An `io::Error` names as its source not what it holds, but the source of that.
        next = match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(held) => Some(held),
            None => error.source(),
        };
    }
    None
}

#[cfg(test)]
mod tests {
    use rustls::CertificateError;

    use super::*;

    fn of(source: impl Into<BoxError>) -> ClientError {
        unanswered("https://x".to_owned(), source.into())
    }

    #[test]
    fn a_bad_certificate_no_tls_and_no_server_are_told_apart() {
        let unknown = rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer);
        assert!(matches!(of(io::Error::other(unknown.clone())), ClientError::Untrusted { .. }));
        let twice = io::Error::other(io::Error::other(unknown.clone()));
        assert!(matches!(of(twice), ClientError::Untrusted { .. }));
        assert!(matches!(of(unknown), ClientError::Untrusted { .. }));
        assert!(matches!(of(io::Error::other(rustls::Error::DecryptError)), ClientError::NoTls { .. }));
        assert!(matches!(of(io::Error::from(io::ErrorKind::ConnectionRefused)), ClientError::Unreachable { .. }));
    }
}
