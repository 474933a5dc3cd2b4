//! The REST interfaces, on actix-web.
