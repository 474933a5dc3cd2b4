//! Resources with the methods they know, as a value: registered with actix-web, listed in tests.
//!
//! A resource answers every other method with 405, `Allow` and JSON, and `OPTIONS` with `Allow`.

use actix_web::dev::AppService;
use actix_web::dev::HttpServiceFactory;
use actix_web::http::{Method, header};
use actix_web::{FromRequest, Handler, HttpRequest, HttpResponse, Resource, Responder, guard, web};

use crate::codes::Code;
use crate::error::ApiError;

/// A resource and the methods it knows.
pub(crate) struct Entry {
    path: String,
    methods: Vec<Method>,
    resource: Resource,
}

impl Entry {
    /// A resource at a path (actix-web's pattern).
    pub(crate) fn at(path: impl Into<String>) -> Self {
        let path = path.into();
        Self { resource: web::resource(path.clone()), path, methods: Vec::new() }
    }

    /// Answers `GET`, and `HEAD` likewise without the body.
    pub(crate) fn get<F, Args>(mut self, handler: F) -> Self
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        self.methods.extend([Method::GET, Method::HEAD]);
        let either = guard::Any(guard::Get()).or(guard::Head());
        Self { resource: self.resource.route(web::route().guard(either).to(handler)), ..self }
    }

    /// Answers `GET` only: a reply without an end.
    pub(crate) fn stream<F, Args>(self, handler: F) -> Self
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        self.on(Method::GET, handler)
    }

    /// Answers a method.
    pub(crate) fn on<F, Args>(mut self, method: Method, handler: F) -> Self
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        self.methods.push(method.clone());
        Self { resource: self.resource.route(web::method(method).to(handler)), ..self }
    }

    /// The path.
    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// The methods, as `Allow` lists them.
    pub(crate) fn allow(&self) -> String {
        let words: Vec<_> = self.methods.iter().map(Method::as_str).chain(["OPTIONS"]).collect();
        words.join(", ")
    }
}

impl HttpServiceFactory for Entry {
    fn register(self, config: &mut AppService) {
        let allow = self.allow();
        let other = move |request: HttpRequest| {
            let allow = allow.clone();
            async move { other_method(&request, &allow) }
        };
        self.resource.default_service(web::to(other)).register(config);
    }
}

fn other_method(request: &HttpRequest, allow: &str) -> Result<HttpResponse, ApiError> {
    if *request.method() == Method::OPTIONS {
        return Ok(HttpResponse::NoContent().insert_header((header::ALLOW, allow)).finish());
    }
    let message = format!("{} is not possible on {}; try {allow}", request.method(), request.path());
    Err(ApiError::new(Code::MethodNotAllowed, message).detail("allow", allow))
}

/// The reply to a URL that no resource has.
pub(crate) async fn unknown(request: HttpRequest) -> Result<HttpResponse, ApiError> {
    Err(ApiError::new(Code::NotFound, format!("there is nothing at {}", request.path())))
}
