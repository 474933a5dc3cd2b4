//! The one table of errors: code, HTTP status, meaning, remedy.
//!
//! Everything that speaks of an error is made from it: the mapping of the life-cycle's errors (exhaustive, so
//! that a new one does not compile until it has a line here), the status of a reply, and `docs/errors.md`.
//! A code, once published, keeps its meaning; what the statuses mean is RFC 9110, section 15.

use llcm_lifecycle::ErrorCode;

/// A line of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// The word that programs branch on.
    pub code: &'static str,
    /// The HTTP status of a reply with it.
    pub status: u16,
    /// When it happens.
    pub meaning: &'static str,
    /// What the client can do.
    pub remedy: &'static str,
}

macro_rules! catalogue {
    (
        lifecycle { $($of_lifecycle:ident $code:literal $status:literal $meaning:literal $remedy:literal;)* }
        http { $($of_http:ident $http_code:literal $http_status:literal $http_meaning:literal $http_remedy:literal;)* }
    ) => {
        /// Every error that a reply can carry.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Code {
            $(#[doc = $meaning] $of_lifecycle,)*
            $(#[doc = $http_meaning] $of_http,)*
        }

        impl Code {
            /// All, in the order of the documentation.
            pub const ALL: &[Self] = &[$(Self::$of_lifecycle,)* $(Self::$of_http,)*];

            /// The code's line of the table.
            #[must_use]
            pub const fn row(self) -> Row {
                match self {
                    $(Self::$of_lifecycle => {
                        Row { code: $code, status: $status, meaning: $meaning, remedy: $remedy }
                    })*
                    $(Self::$of_http => Row {
                        code: $http_code,
                        status: $http_status,
                        meaning: $http_meaning,
                        remedy: $http_remedy,
                    },)*
                }
            }
        }

        impl From<ErrorCode> for Code {
            fn from(code: ErrorCode) -> Self {
                match code {
                    $(ErrorCode::$of_lifecycle => Self::$of_lifecycle,)*
                }
            }
        }
    };
}

catalogue! {
    lifecycle {
        NotAPackage "not-a-package" 400
            "The upload is not a service package: not a zip archive, damaged, or with entries that no package may have."
            "Upload the `.tgo` or `.son` file as the packager wrote it; the message names the entry.";
        TooLarge "too-large" 413
            "The request's body, the package or something in it is larger than the server's limits allow."
            "Make it smaller, or raise the limit that the message names.";
        InvalidPackage "invalid-package" 422
            "The package was read, and its descriptors have errors."
            "Correct what `details.diagnostics` lists; `llcm validate` shows the same without a server.";
        ServiceNotFound "service-not-found" 404
            "No on-boarded service has that id or package name."
            "`GET /packages` lists the services.";
        NoService "no-service" 404
            "No service is on-boarded."
            "Upload a package first.";
        InstanceNotFound "instance-not-found" 404
            "No instance has that id; instances that were terminated are forgotten."
            "`GET /instantiations` lists the instances.";
        RequestNotFound "request-not-found" 404
            "No request has that id."
            "`GET /api/v3/requests` lists the requests.";
        ContainerNotFound "container-not-found" 404
            "The instance has no container of that name."
            "`GET /api/llcm/v1/instances/{id}` lists the instance's containers.";
        LinkNotFound "link-not-found" 404
            "No link between data centers has that name."
            "`GET /api/llcm/v1/links` lists the links.";
        DatacenterNotFound "datacenter-not-found" 404
            "No data center has that name."
            "`GET /api/llcm/v1/datacenters` lists the data centers.";
        ScheduleNotFound "schedule-not-found" 404
            "No schedule has that id; one that has ended is forgotten some time later."
            "`GET /api/llcm/v1/schedules` lists the schedules.";
        InvalidChange "invalid-change" 422
            "A change of a link, a new link or data center, or a schedule has errors, or makes no sense with what the link is."
            "Correct what the message names, or what `details.diagnostics` lists.";
        TopologyConflict "topology-conflict" 409
            "Links or data centers cannot be changed like that as things stand: a name is taken, something runs in the data center, running interfaces are larger than the link's MTU would be, or another schedule has the link. A server ends with it at its start when its topology lacks data centers in which something runs."
            "`details.others` lists what forbids it; at a start the message does.";
        NotEmulated "not-emulated" 409
            "The host cannot emulate links as asked. Nothing was changed or begun."
            "`details.others` lists what it cannot; `llcm doctor` says what would help. A server with the setting `best_effort` leaves it out, with a warning.";
        ChainNotFound "chain-not-found" 404
            "The instance has no chain of that number."
            "`GET /api/llcm/v1/instances/{id}/chains` lists the instance's chains.";
        InvalidChain "invalid-chain" 422
            "What was asked of a chain makes no sense: its match cannot be understood, or an end is no interface of the instance."
            "The message names the column of the match, or the interfaces that there are; [chains.md](chains.md) has the fields of a match.";
        ChainExists "chain-exists" 409
            "Another chain takes the same frames of the same interface with the same priority."
            "Remove the one that the message names, or give another priority.";
        TooManyChains "too-many-chains" 409
            "The instance has as many chains as an instance can have."
            "Remove some first.";
        PointNotFound "point-not-found" 404
            "There is no such interface of the instance, or no such link or end of one; or there was, and it went while it was captured."
            "The message lists those there are, or says what has gone.";
        ServiceInUse "service-in-use" 409
            "The service has instances."
            "Terminate them first.";
        WrongState "wrong-state" 409
            "The instance is in a state that does not allow the operation."
            "Wait until what goes on is done, then try again.";
        CannotPlan "cannot-plan" 409
            "The service cannot be planned as things stand: a data center has too little room, a port is taken, an address pool is exhausted, the host policy refuses something, or the container engine cannot run one of its containers here."
            "The message names the resource, and the setting where there is one.";
        ImageUnavailable "image-unavailable" 502
            "A container image cannot be had."
            "Check the image's name in the VNFD and that the registry answers, or load the image into the engine.";
        StepFailed "step-failed" 500
            "A step of instantiating or terminating failed. A failed instantiation has been taken down again."
            "The message names the step and its cause.";
        Stuck "stuck" 500
            "Taking down did not finish; what is left is still recorded."
            "Remove the cause that the message names, then terminate the instance again.";
        EngineUnavailable "engine-unavailable" 503
            "The container engine does not answer, or refuses."
            "Check that the engine runs and that the server may use it, then try again.";
        Unsupported "unsupported" 501
            "The engine or the emulated network cannot do what was asked."
            "Use an engine that can; the message names the power that is missing.";
        StoreFailed "store-failed" 500
            "The server's store cannot be read or written."
            "Check the disk of the data directory.";
        TooBusy "too-busy" 429
            "As many instances are being made as the server makes at a time, and too many wait or this one waited too long; or as many captures go on as there may be. Nothing was begun."
            "Try again after the seconds in the header `Retry-After`; the settings are `instantiations`, `instantiation_queue` and `instantiation_wait`.";
        TooManyInstances "too-many-instances" 409
            "There are as many instances as the server may have. Nothing was begun."
            "Terminate one, or raise the setting `max_instances`.";
        DiskFull "disk-full" 507
            "The disk of the data directory is full, or the upload would leave too little room on it. Nothing of the request is kept, and what runs goes on."
            "Make room, then try again: nothing has to be restarted. The room that uploads leave is the setting `min_free_disk`.";
        ShuttingDown "shutting-down" 503
            "The server shuts down and takes no new work."
            "Try again when it is up again.";
    }
    http {
        BadRequest "bad-request" 400
            "The request cannot be understood: malformed JSON, a field of the wrong kind, a bad query."
            "The message tells the place.";
        NoFile "no-file" 400
            "The upload holds no file."
            "Send the package in the multipart field `package`, or as the request's body.";
        UploadInterrupted "upload-interrupted" 400
            "The upload ended before it was complete. Nothing of it is kept."
            "Upload again.";
        UploadTimeout "upload-timeout" 408
            "Nothing more of the upload came for too long. Nothing of it is kept."
            "Upload again.";
        TooManyUploads "too-many-uploads" 503
            "As many uploads as the server takes at a time are going on."
            "Try again after the seconds in the header `Retry-After`.";
        BodyTimeout "body-timeout" 408
            "The request's body did not come in time."
            "Send it without pauses.";
        Unauthorized "unauthorized" 401
            "The server wants a token, and none was sent."
            "Send `Authorization: Bearer TOKEN`; `llcm token create` makes one, and client commands take it by `--token-file` or `LLCM_TOKEN`.";
        BadToken "bad-token" 401
            "The token is none of this server's, or was removed."
            "Ask whoever runs the server for another one.";
        ReadOnlyToken "read-only-token" 403
            "The token is for reading, and the request changes something or reads what tells about others."
            "Use a token that was made without `--read-only`.";
        TokensUnreadable "tokens-unreadable" 503
            "The server's file of tokens cannot be read, so that nobody is let in."
            "The message tells what is wrong with the file.";
        AuditUnavailable "audit-unavailable" 503
            "The audit log cannot be written. Nothing was changed, and nothing will be until it can."
            "Look at the disk of the data directory; the message tells the cause.";
        NotFound "not-found" 404
            "There is nothing at this URL."
            "`docs/rest.md` lists the routes.";
        MethodNotAllowed "method-not-allowed" 405
            "The resource does not know this method."
            "The header `Allow` and `details.allow` list those it knows.";
        ForeignOrigin "foreign-origin" 403
            "A web page of another origin tried to change something, or to read what is not for such pages."
            "Use a client that is not a web page, or allow the page's origin with the setting `allowed_origins`.";
        ForeignHost "foreign-host" 403
            "The header `Host` names neither the loopback interface, nor an address of the server, nor a host name that is configured."
            "Use `localhost` or the server's address, or allow the host name with the setting `allowed_hosts`.";
        Internal "internal" 500
            "The server met an error of its own."
            "The server's log has the cause; please report it.";
    }
}

impl std::fmt::Display for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.row().code)
    }
}

/// The page `docs/errors.md`.
#[must_use]
pub fn markdown() -> String {
    let mut page = String::from(
        "# Errors of the REST interface\n\n\
         Every reply that is not a success carries JSON: `error` tells people what is wrong and what to do, `code` is \
         one of the words below, for programs, and `details` is an object with what there is more: `diagnostics` \
         (findings about a package, each with its place), `others` (further errors of the same operation), `allow`, \
         `instance`, `request`. Two groups of replies keep the form that clients of the emulators expect: a failed \
         `POST /packages` has `service_uuid`, `size`, `sha1` beside `error`, `code` and `diagnostics`, and an unknown \
         service in `/instantiations` is the plain JSON text `\"Service not found\"`.\n\n\
         This page is made from the table in `crates/api/src/codes.rs`; a test compares them.\n\n\
         | code | status | meaning | what to do |\n|---|---|---|---|\n",
    );
    for code in Code::ALL {
        let Row { code, status, meaning, remedy } = code.row();
        page.push_str(&format!("| `{code}` | {status} | {meaning} | {remedy} |\n"));
    }
    page
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use llcm_access::AccessError;

    use super::*;

    #[test]
    fn the_page_is_the_table() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/errors.md");
        if std::env::var_os("LLCM_UPDATE_DOCS").is_some() {
            std::fs::create_dir_all(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs")).unwrap();
            std::fs::write(path, markdown()).unwrap();
        }
        let page = std::fs::read_to_string(path).unwrap();
        assert_eq!(page, markdown(), "run `LLCM_UPDATE_DOCS=1 cargo test -p llcm-api the_page_is_the_table`");
    }

    /// The audit log has both, and this page says what they mean.
    #[test]
    fn codes_of_commands_on_tokens_are_in_the_table() {
        let file = |operation, kind: std::io::ErrorKind| AccessError::File {
            operation,
            path: "tokens".into(),
            source: kind.into(),
        };
        let garbled = AccessError::Garbled { path: "tokens".into(), problem: String::new() };
        for (error, code) in [
            (file("write", std::io::ErrorKind::StorageFull), Code::DiskFull),
            (file("open", std::io::ErrorKind::PermissionDenied), Code::TokensUnreadable),
            (file("write", std::io::ErrorKind::PermissionDenied), Code::Internal),
            (AccessError::Exposed { path: "tokens".into(), mode: 0o644 }, Code::TokensUnreadable),
            (garbled, Code::TokensUnreadable),
            (AccessError::BadName(String::new()), Code::BadRequest),
            (AccessError::NameTaken("ci".to_owned()), Code::BadRequest),
            (AccessError::NoSuchToken("ci".to_owned()), Code::NotFound),
            (AccessError::TooMany(1), Code::BadRequest),
        ] {
            assert_eq!(error.code(), code.to_string(), "{error}");
        }
    }

    #[test]
    fn codes_are_unique_words_with_error_statuses() {
        let words: BTreeSet<_> = Code::ALL.iter().map(|code| code.row().code).collect();
        assert_eq!(words.len(), Code::ALL.len());
        for code in Code::ALL {
            let row = code.row();
            assert!((400..600).contains(&row.status), "{code}");
            assert!(row.code.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'), "{code}");
        }
    }
}
