//! Host names: a request that was sent to another name than ours is not answered.

use poem::Request;
use poem::http::header;

/// The names that the server answers to, as Django's `ALLOWED_HOSTS` has them.
#[derive(Debug)]
pub struct Hosts(Vec<String>);

impl Hosts {
    /// `*` is any name, `.example.org` is that name and all below it.
    pub fn new(names: Vec<String>) -> Self {
        Self(names)
    }

    /// Whether the request was sent to one of the names.
    pub fn allow(&self, request: &Request) -> bool {
        host(request).is_some_and(|host| self.has(&host))
    }

    fn has(&self, host: &str) -> bool {
        let name = without_port(host).trim_end_matches('.');
        self.0
            .iter()
            .any(|allowed| match allowed.strip_prefix('.') {
                _ if allowed == "*" => true,
                Some(domain) => {
                    let below = name.strip_suffix(domain);
                    below.is_some_and(|below| below.is_empty() || below.ends_with('.'))
                }
                None => name == allowed,
            })
    }
}

/// The host and port that the request was sent to, in lower case.
pub fn host(request: &Request) -> Option<String> {
    let mut all = request.headers().get_all(header::HOST).iter();
    let host = match (request.uri().authority(), all.next(), all.next()) {
        (Some(authority), ..) => authority.as_str(),
        (None, Some(host), None) => host.to_str().ok()?,
        _ => return None,
    };
    Some(host.to_ascii_lowercase())
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        // `[::1]` has colons of its own.
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) && !name.is_empty() => name,
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_match_as_in_django() {
        let hosts = Hosts::new(
            ["chat.example.org", ".example.net", "[::1]"]
                .map(str::to_owned)
                .to_vec(),
        );
        for yes in [
            "chat.example.org",
            "chat.example.org:8000",
            "chat.example.org.",
            "example.net",
            "a.b.example.net:1",
            "[::1]:8000",
            "[::1]",
        ] {
            assert!(hosts.has(yes), "{yes}");
        }
        for no in [
            "",
            "example.org",
            "xexample.net",
            "chat.example.org.evil",
            "evil:80",
            "::1",
        ] {
            assert!(!hosts.has(no), "{no}");
        }
        assert!(Hosts::new(vec!["*".to_owned()]).has("anything"));
    }
}
