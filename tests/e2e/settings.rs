//! Settings that change what the real engine is asked for.

use crate::engine::On;
use crate::lab::Lab;
use crate::look::assert_nothing_left;
use crate::packages::built;

#[test]
fn images_are_built_from_dockerfiles_inside_packages() {
    let Some(lab) = Lab::new(On::Docker) else { return };
    lab.image(&["example/base:1"]);
    let server = lab.serve(&["--build-images"]);
    // The second one's image takes the tag of the first one's.
    let services = ["one", "two"].map(|word| (server.upload(&built(&lab, word)), word));
    for (service, word) in services {
        let instance = server.instantiate(&service);
        assert_eq!(lab.docker(&["exec", "mn.Web.vdu01.0", "cat", "/proof"]).trim(), word);
        assert_eq!(lab.docker(&["inspect", "-f", "{{.Config.Image}}", "mn.Web.vdu01.0"]).trim(), "web.vdu01");
        server.terminate(&instance);
    }
    assert_nothing_left(&server);
}
