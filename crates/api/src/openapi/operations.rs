//! What each operation takes and gives.

/// A method of a resource.
pub(super) struct Operation {
    /// What it does, in a line.
    pub(super) summary: &'static str,
    /// Query parameters: name, JSON type, meaning.
    pub(super) query: &'static [(&'static str, &'static str, &'static str)],
    /// The request's body.
    pub(super) takes: Takes,
    /// The status of success and its reply.
    pub(super) gives: (u16, Gives),
    /// Other replies: status or `default`, and the response's name in the components.
    pub(super) errors: &'static [(&'static str, &'static str)],
}

/// A request's body; names are those of schemas.
#[derive(Clone, Copy)]
pub(super) enum Takes {
    Nothing,
    Json(&'static str),
    /// YAML, or JSON, which is YAML, too.
    Yaml(&'static str),
    Package,
}

/// A reply's body; names are those of schemas.
#[derive(Clone, Copy)]
pub(super) enum Gives {
    Nothing,
    Json(&'static str),
    List(&'static str),
    Lines(&'static str),
}

impl Operation {
    const fn new(summary: &'static str, status: u16, gives: Gives) -> Self {
        let errors = &[("default", "Error")];
        Self { summary, query: &[], takes: Takes::Nothing, gives: (status, gives), errors }
    }

    const fn takes(self, takes: Takes) -> Self {
        Self { takes, ..self }
    }

    const fn query(self, query: &'static [(&'static str, &'static str, &'static str)]) -> Self {
        Self { query, ..self }
    }

    const fn errors(self, errors: &'static [(&'static str, &'static str)]) -> Self {
        Self { errors, ..self }
    }
}

/// The operation of a method at a path; a test fails for a route that has none.
pub(super) fn find(method: &str, path: &str) -> Option<Operation> {
    if path == super::PATH {
        return (method == "GET").then(|| Operation::new("This document", 200, Gives::Json("Document")));
    }
    match path.strip_prefix(crate::native::PREFIX) {
        Some(route) => native(method, route),
        None => {
            let prefixes = ["/api/v2", "/api/v3"];
            let route = prefixes.into_iter().find_map(|prefix| path.strip_prefix(prefix)).unwrap_or(path);
            tango(method, route)
        }
    }
}

fn native(method: &str, route: &str) -> Option<Operation> {
    let operation =
        match (method, route) {
            ("GET", "/version") => Operation::new("Program and engine", 200, Gives::Json("Version")),
            ("GET", "/health") => Operation::new("Whether the server works", 200, Gives::Json("Health")),
            ("POST", "/packages") => {
                Operation::new("On-boards a package", 201, Gives::Json("Service")).takes(Takes::Package)
            }
            ("GET", "/services") => Operation::new("All services", 200, Gives::List("Service")),
            ("GET", "/services/{id}") => Operation::new("A service", 200, Gives::Json("Service")),
            ("DELETE", "/services/{id}") => {
                Operation::new("Forgets a service without instances", 204, Gives::Nothing)
            }
            ("GET", "/instances") => Operation::new("All instances", 200, Gives::List("Instance"))
                .query(&[("ended", "boolean", "Also those that failed lately.")]),
            ("POST", "/instances") => {
                Operation::new("Begins to instantiate a service", 202, Gives::Json("Request"))
                    .takes(Takes::Json("NewInstance"))
            }
            ("GET", "/instances/{id}") => {
                Operation::new("An instance, its containers asked now", 200, Gives::Json("Instance"))
            }
            ("DELETE", "/instances/{id}") => {
                Operation::new("Begins to terminate an instance", 202, Gives::Json("Request"))
            }
            ("GET", "/instances/{id}/plan") => {
                Operation::new("The plan of an instance", 200, Gives::Json("Plan"))
            }
            ("GET", "/instances/{id}/chains") => Operation::new(
                "The chains of an instance",
                200,
                Gives::List("Chain"),
            )
            .query(&[("cookie", "integer", "Only those of this cookie.")]),
            ("POST", "/instances/{id}/chains") => {
                Operation::new("Adds a chain between two interfaces", 201, Gives::Json("Chain"))
                    .takes(Takes::Json("NewChain"))
            }
            ("DELETE", "/instances/{id}/chains") => Operation::new(
                "Removes all chains of a cookie",
                200,
                Gives::List("Chain"),
            )
            .query(&[("cookie", "integer", "Which ones; it has to be given.")]),
            ("DELETE", "/instances/{id}/chains/{chain}") => {
                Operation::new("Removes a chain", 204, Gives::Nothing)
            }
            ("POST", "/instances/{id}/containers/{name}/exec") => {
                Operation::new("Runs a command in a container", 200, Gives::Lines("OutputLine"))
                    .takes(Takes::Json("Command"))
            }
            ("GET", "/instances/{id}/containers/{name}/logs") => {
                Operation::new("A container's output", 200, Gives::Lines("OutputLine")).query(&[
                    ("follow", "boolean", "Go on while the container runs."),
                    ("tail", "integer", "Only that many last lines."),
                    ("timestamps", "boolean", "With the time before each line."),
                ])
            }
            ("GET", "/requests") => Operation::new("All requests", 200, Gives::List("Request")),
            ("GET", "/requests/{id}") => Operation::new("A request", 200, Gives::Json("Request")).query(&[(
                "wait",
                "integer",
                "Seconds to wait for its end, at most 60.",
            )]),
            ("GET", "/graph") => {
                Operation::new("Data centers, links, and the instances on them", 200, Gives::Json("Graph"))
            }
            ("GET", "/audit") => Operation::new("Who changed what", 200, Gives::List("AuditEvent")).query(&[
                ("about", "string", "Only what is about the instance, service or request of this id."),
                ("since", "string", "Only what was asked for at this time (RFC 3339) or later."),
                ("limit", "integer", "The newest so many, at most 10000; 1000 unless told."),
            ]),
            ("GET", "/events") => Operation::new("What happens from now on", 200, Gives::Lines("Event")),
            _ => return traffic(method, route).or_else(|| topology(method, route)),
        };
    Some(operation)
}

/// Counters and captures.
fn traffic(method: &str, route: &str) -> Option<Operation> {
    let operation = match (method, route) {
        ("GET", "/instances/{id}/stats") => {
            Operation::new("What flowed at an instance's interfaces", 200, Gives::List("InterfaceStats"))
        }
        ("GET", "/stats/links") => {
            Operation::new("What flowed over the links", 200, Gives::List("LinkStats"))
        }
        ("POST", "/captures") => Operation::new("Frames as they pass", 200, Gives::Lines("CaptureLine"))
            .takes(Takes::Json("NewCapture")),
        _ => return None,
    };
    Some(operation)
}

/// Links, data centers and schedules.
fn topology(method: &str, route: &str) -> Option<Operation> {
    let operation = match (method, route) {
        ("GET", "/links") => {
            Operation::new("The links between data centers", 200, Gives::List("DatacenterLink"))
        }
        ("POST", "/links") => {
            Operation::new("Adds a link", 201, Gives::Json("DatacenterLink")).takes(Takes::Yaml("NewLink"))
        }
        ("GET", "/links/{name}") => Operation::new("A link", 200, Gives::Json("DatacenterLink")),
        ("PATCH", "/links/{name}") => Operation::new(
            "Changes properties of a link, sets it down or up",
            200,
            Gives::Json("DatacenterLink"),
        )
        .takes(Takes::Yaml("LinkChange")),
        ("DELETE", "/links/{name}") => Operation::new("Removes a link", 204, Gives::Nothing),
        ("GET", "/datacenters") => Operation::new("The data centers", 200, Gives::List("Datacenter")),
        ("POST", "/datacenters") => Operation::new("Adds a data center", 201, Gives::Json("Datacenter"))
            .takes(Takes::Yaml("NewDatacenter")),
        ("GET", "/datacenters/{name}") => Operation::new("A data center", 200, Gives::Json("Datacenter")),
        ("DELETE", "/datacenters/{name}") => {
            Operation::new("Removes a data center in which nothing runs, and its links", 204, Gives::Nothing)
        }
        ("GET", "/schedules") => Operation::new(
            "Schedules that run or ran lately, without their changes",
            200,
            Gives::List("Schedule"),
        ),
        ("POST", "/schedules") => {
            Operation::new("Begins to change links over time", 201, Gives::Json("Schedule"))
                .takes(Takes::Yaml("NewSchedule"))
        }
        ("GET", "/schedules/{id}") => {
            Operation::new("A schedule and what came of its changes", 200, Gives::Json("Schedule"))
                .query(&[("wait", "integer", "Seconds to wait for its end, at most 60.")])
        }
        ("DELETE", "/schedules/{id}") => Operation::new(
            "Stops a schedule that runs, forgets one that has ended",
            200,
            Gives::Json("Schedule"),
        ),
        _ => return None,
    };
    Some(operation)
}

/// Unknown services are plain JSON texts.
const OR_TEXT: &[(&str, &str)] = &[("404", "NotFoundText"), ("default", "Error")];

fn tango(method: &str, route: &str) -> Option<Operation> {
    let operation = match (method, route) {
        ("POST", "/packages") => Operation::new("On-boards a package", 201, Gives::Json("TangoUploaded"))
            .takes(Takes::Package)
            .errors(&[
                ("401", "Error"),
                ("403", "Error"),
                ("503", "ErrorOrRefusedUpload"),
                ("default", "TangoRefusedUpload"),
            ]),
        ("GET", "/packages") => Operation::new("All packages", 200, Gives::List("TangoPackage")),
        ("GET", "/packages/{uuid}") => Operation::new("A package", 200, Gives::Json("TangoPackage")),
        ("DELETE", "/packages/{uuid}") => {
            Operation::new("Forgets a package without instances", 204, Gives::Nothing)
        }
        ("GET", "/services") => Operation::new("The packages' services", 200, Gives::List("TangoService")),
        ("GET", "/functions") => Operation::new("The packages' functions", 200, Gives::List("TangoFunction")),
        ("GET", "/instantiations" | "/records/services") => {
            Operation::new("All instances", 200, Gives::List("TangoInstance"))
        }
        ("POST", "/instantiations") => Operation::new(
            "Instantiates a service and waits until it runs",
            201,
            Gives::Json("TangoInstantiated"),
        )
        .takes(Takes::Json("TangoInstantiate"))
        .errors(OR_TEXT),
        ("DELETE", "/instantiations") => {
            Operation::new("Terminates instances and waits until they are gone", 200, Gives::Json("Text"))
                .takes(Takes::Json("TangoStop"))
                .errors(OR_TEXT)
        }
        ("GET", "/requests") => Operation::new("All requests", 200, Gives::List("TangoRequest")),
        ("GET", "/requests/{id}") => Operation::new("A request", 200, Gives::Json("TangoRequest")),
        ("POST", "/requests") => {
            Operation::new("Instantiates or terminates, and waits", 201, Gives::Json("TangoRequested"))
                .takes(Takes::Json("TangoNewRequest"))
                .errors(OR_TEXT)
        }
        ("PUT", "/emulator/exit") => {
            Operation::new("Stops all instances, then the server", 200, Gives::Json("Text"))
        }
        _ => return None,
    };
    Some(operation)
}
