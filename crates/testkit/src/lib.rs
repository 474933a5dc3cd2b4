//! Package builder, scenarios and assertions for tests (development only).
