#!/usr/bin/env python3
"""What the clients of the originals do, with the library that they use, against a running server.

    llcm serve --engine simulated --listen tango=127.0.0.1:5000 --listen sonata=127.0.0.1:8000
    tests/clients/clients.py http://127.0.0.1:5000 http://127.0.0.1:8000 SERVICE.tgo SERVICE.son

The server must hold no service yet. Prints a line per client; the exit status is 1 when one of them does not find
what it looks for. Needs Python 3.9 and `requests`.
"""

import json
import os
import sys

import requests

TIMEOUT = 60


class Failed(Exception):
    """Something is not as a client expects it."""


def expect(what, found, expected):
    if found != expected:
        raise Failed(f"{what}: expected {expected!r}, found {found!r}")


class Server:
    """One listener."""

    def __init__(self, url):
        self.url = url.rstrip("/")
        self.session = requests.Session()
        # No proxy of the surroundings.
        self.session.trust_env = False

    def call(self, method, path, status, **arguments):
        reply = self.session.request(method, self.url + path, timeout=TIMEOUT, **arguments)
        expect(f"status of {method} {path} ({reply.text[:200]})", reply.status_code, status)
        return reply.json() if reply.content else None

    def get(self, path):
        return self.call("GET", path, 200)


def son_access(server, package):
    """Pushes a form that calls itself a ZIP file; deploys the newest service, and one by its uuid."""
    headers = {
        "Content-Type": "application/zip",
        "Content-Disposition": "attachment; filename=" + os.path.basename(package),
    }
    with open(package, "rb") as file:
        pushed = server.call("POST", "/api/v2/packages?", 201, headers=headers, files={"package": file})
    expect("size of the package", pushed["size"], os.path.getsize(package))
    for uuid in ("latest", pushed["service_uuid"]):
        made = server.call("POST", "/api/v2/requests?", 201, json={"service_uuid": uuid})
        listed = server.get("/api/v2/requests")["service_instantiations_list"][-1]
        expect("the last instance", listed[-1], made["service_instance_uuid"])
    for uuid in listed:
        body = {"service_uuid": pushed["service_uuid"], "service_instance_uuid": uuid}
        text = server.call("DELETE", "/instantiations", 200, json=body)
        expect("reply to DELETE", text, f"service instance with uuid '{uuid}' stopped.")


def son_profile(server, package):
    """JSON without a content type."""
    with open(package, "rb") as file:
        pushed = server.call("POST", "/packages", 201, files={"package": file})
    service = pushed["service_uuid"]
    made = server.call("POST", "/instantiations", 201, data=json.dumps({"service_uuid": service}))
    instance = made["service_instance_uuid"]
    body = json.dumps({"service_uuid": service, "service_instance_uuid": instance})
    text = server.call("DELETE", "/instantiations", 200, data=body)
    expect("reply to DELETE", text, f"service instance with uuid '{instance}' stopped.")


FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def curl(server):
    """`curl -X POST ... -d '{}'`: JSON that is called a form."""
    server.call("POST", "/instantiations", 201, headers=FORM, data="{}")
    expect("instances", len(server.get("/instantiations")), 1)
    text = server.call("DELETE", "/instantiations", 200, headers=FORM, data="{}")
    expect("reply to DELETE", text, "Service(s) stopped.")
    expect("instances", server.get("/instantiations"), [])


def curl_sonata(server, package):
    """The same before SONATA's routes, with several services: what `{}` starts, `{}` stops."""
    with open(package, "rb") as file:
        pushed = server.call("POST", "/packages", 201, files={"package": file})
    services = server.get("/packages")["service_uuid_list"]
    expect("the last service", services[-1], pushed["service_uuid"])
    expect("whether there are several", len(services) > 1, True)
    for body in ("{}", '{"service_uuid": "latest"}'):
        made = server.call("POST", "/instantiations", 201, headers=FORM, data=body)
        uuid = made["service_instance_uuid"]
        expect("instances of the newest", server.get("/instantiations")["service_instantiations_list"][-1], [uuid])
        text = server.call("DELETE", "/instantiations", 200, headers=FORM, data="{}")
        expect("reply to DELETE", text, f"service instance with uuid '{uuid}' stopped.")
    text = server.call("DELETE", "/instantiations", 404, headers=FORM, data="{}")
    expect("reply to DELETE", text, "Service not found")


def tng_bench(server, package):
    """A form whose file is called as its field; stops by the instance's uuid alone."""
    server.get("/packages")
    with open(package, "rb") as file:
        pushed = server.call("POST", "/packages", 201, files={"package": file.read()})
    body = {"service_uuid": pushed["service_uuid"]}
    instance = server.call("POST", "/instantiations", 201, json=body)["service_instance_uuid"]
    for container in server.get("/api/llcm/v1/instances/" + instance)["containers"]:
        name = f"mn.{container['vnf_id']}.{container['du_id']}.0"
        expect("name of the container", container["engine_name"], name)
    text = server.call("DELETE", "/instantiations", 200, json={"service_instance_uuid": instance})
    expect("reply to DELETE", text, "Service(s) stopped.")
    server.call("DELETE", "/packages/" + pushed["service_uuid"], 204)


def tng_cli(server, package):
    """The lists of version 3; instances by requests."""
    with open(package, "rb") as file:
        pushed = server.call(
            "POST", "/api/v3/packages", 201, files={"package": (os.path.basename(package), file)}
        )
    service = pushed["service_uuid"]
    for path, key in (("packages", "pd"), ("services", "nsd"), ("functions", "vnfd")):
        listed = server.get("/api/v3/" + path)
        expect(f"whether there are {path}", bool(listed), True)
        for entry in listed:
            fields = {"uuid", "created_at"} | (set() if key == "pd" else {"platform"})
            expect(f"fields of {path}", fields - set(entry), set())
            expect(f"fields of {key}", {"name", "version"} - set(entry[key]), set())
    body = {"service_uuid": service, "request_type": "CREATE_SERVICE"}
    request = server.call("POST", "/api/v3/requests", 201, json=body)["id"]
    record = server.get("/api/v3/requests/" + request)
    expect("status of the request", (record["request_type"], record["status"]), ("CREATE_SERVICE", "READY"))
    expect("the last request", server.get("/api/v3/requests")[-1], record)
    expect("service of the request", record["service_uuid"], service)
    expect("where time begins", record["created_at"][10], "T")
    instance = record["instance_uuid"]
    records = server.get("/api/v3/records/services")
    expect("instances", [entry["uuid"] for entry in records], [instance])
    expect("fields of records", {"instance_name", "status", "created_at"} - set(records[0]), set())
    body = {"instance_uuid": instance, "request_type": "TERMINATE_SERVICE"}
    request = server.call("POST", "/api/v3/requests", 201, json=body)["id"]
    record = server.get("/api/v3/requests")[-1]
    expect("the last request", (record["id"], record["request_type"]), (request, "TERMINATE_SERVICE"))
    expect("its end", (record["status"], record["instance_uuid"]), ("READY", instance))
    expect("instances", server.get("/api/v3/records/services"), [])
    server.call("DELETE", "/api/v3/packages/" + service, 204)


def main(arguments):
    if len(arguments) != 4:
        print(__doc__, file=sys.stderr)
        return 2
    tango, sonata = Server(arguments[0]), Server(arguments[1])
    tgo, son = arguments[2:]
    for name, client in (
        ("son-access", lambda: son_access(sonata, son)),
        ("son-profile", lambda: son_profile(sonata, son)),
        ("curl", lambda: curl(tango)),
        ("curl-sonata", lambda: curl_sonata(sonata, son)),
        ("tng-bench", lambda: tng_bench(tango, tgo)),
        ("tng-cli", lambda: tng_cli(tango, tgo)),
    ):
        try:
            client()
        except (Failed, LookupError, TypeError, ValueError, requests.RequestException) as error:
            print(f"{name}: {error!r}", file=sys.stderr)
            return 1
        print(f"{name}: ok")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
