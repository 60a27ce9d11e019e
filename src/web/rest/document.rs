//! The API's document: OpenAPI as JSON and YAML, and Swagger UI around it.

use std::collections::HashMap;

use bytes::Bytes;
use poem_openapi::{OpenApi, OpenApiService};

/// Paths of the document that have no trailing slash of their own.
const BARE: [&str; 2] = ["/healthz", "/readyz"];

/// What poem-openapi adds to JSON's media type; in the document, clients look for the bare type.
const CHARSET: &str = "; charset=utf-8";

/// The document in its three forms, made once at start, and the table of routes it implies.
#[derive(Debug)]
pub struct Document {
    /// `/openapi.json`.
    pub json: Bytes,
    /// `/openapi.yaml`, and the file of that name in the repository.
    pub yaml: Bytes,
    /// `/docs`: Swagger UI with the document in it; it fetches nothing.
    pub page: Bytes,
    /// The methods of each path, as its segments; a parameter is `None`.
    routes: HashMap<Vec<Option<String>>, String>,
}

impl Document {
    /// Of a service.
    pub fn new<T: OpenApi>(service: &OpenApiService<T, ()>) -> Self {
        let plain = service.spec();
        let json = with_slashes(&plain, "    \"", "\": {").replace(CHARSET, "");
        Self {
            page: service.swagger_ui_html().replacen(&plain, &json, 1).into(),
            yaml: with_slashes(&service.spec_yaml(), "  ", ":")
                .replace(CHARSET, "")
                .into(),
            routes: routes(&json),
            json: json.into(),
        }
    }

    /// The methods that a path takes, for `Allow`; `None` when there is no such path.
    pub fn methods(&self, path: &str) -> Option<&str> {
        let asked: Vec<&str> = path.split('/').filter(|s| !s.is_empty()).collect();
        self.routes
            .iter()
            .find(|(route, _)| {
                route.len() == asked.len()
                    && route.iter().zip(&asked).all(|(segment, asked)| {
                        segment.as_deref().is_none_or(|segment| segment == *asked)
                    })
            })
            .map(|(_, methods)| methods.as_str())
    }
}

/// Writes the paths with the trailing slash that poem-openapi leaves out. Only a path's own line
/// has this indentation, a slash, and this end.
fn with_slashes(document: &str, before: &str, after: &str) -> String {
    let mut out = String::with_capacity(document.len() + 64);
    for line in document.split_inclusive('\n') {
        let path = line
            .strip_prefix(before)
            .and_then(|rest| rest.trim_end().strip_suffix(after))
            .filter(|path| path.starts_with('/') && !BARE.contains(path));
        match path {
            Some(path) => {
                out.push_str(before);
                out.push_str(path);
                out.push('/');
                out.push_str(after);
                out.push('\n');
            }
            None => out.push_str(line),
        }
    }
    out
}

fn routes(json: &str) -> HashMap<Vec<Option<String>>, String> {
    let document: serde_json::Value = serde_json::from_str(json).unwrap_or_default();
    let paths = document["paths"].as_object().into_iter().flatten();
    paths
        .map(|(path, operations)| {
            let segments = path.split('/').filter(|s| !s.is_empty());
            let segments = segments.map(|s| (!s.starts_with('{')).then(|| s.to_owned()));
            let methods = operations.as_object().into_iter().flatten();
            let mut methods: Vec<_> = methods.map(|(name, _)| name.to_uppercase()).collect();
            if methods.iter().any(|method| method == "GET") {
                methods.push("HEAD".to_owned());
            }
            methods.push("OPTIONS".to_owned());
            (segments.collect(), methods.join(", "))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_three_forms_spell_paths_alike() {
        let (_, document) = super::super::api();
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("UTF-8");
        let json: serde_json::Value = serde_json::from_slice(&document.json).expect("JSON");
        let paths = json["paths"].as_object().expect("paths");
        for path in paths.keys() {
            let bare = super::BARE.contains(&path.as_str());
            assert!(bare || path.ends_with('/'), "{path}");
            assert!(
                text(&document.yaml).contains(&format!("\n  {path}:\n")),
                "{path}"
            );
        }
        assert!(text(&document.page).contains(&text(&document.json)));
        assert_eq!(document.methods("/rooms"), Some("GET, HEAD, OPTIONS"));
        assert_eq!(document.methods("/messages/x/send/"), Some("POST, OPTIONS"));
        assert_eq!(document.methods("/nowhere"), None);
    }
}
