//! Building images from a package's directory.

use std::sync::Mutex;

use llcm_runtime::{BuildSpec, ContainerDriver, ErrorKind, Progress, ProgressEvent};

use crate::bed::{BARE, Bed, docker};

#[derive(Default)]
struct Heard(Mutex<Vec<String>>);

impl Progress for Heard {
    fn report(&self, event: ProgressEvent) {
        self.0.lock().unwrap().push(event.status);
    }
}

fn spec(bed: &Bed, files: &[(&str, &str)]) -> BuildSpec {
    let context = bed.home.path().join("context");
    for (name, text) in files {
        let path = context.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let tag = format!("llcm-driver-test:{}-built", bed.owner.installation);
    BuildSpec { context, dockerfile: "Dockerfile".to_owned(), tag }
}

#[tokio::test]
async fn files_of_the_directory_get_into_the_image_with_progress() {
    let Some(bed) = Bed::make().await else { return };
    let large = "x".repeat(1 << 20);
    let dockerfile = format!("FROM {BARE}\nCOPY sub /sub\nENV A=b\nRUN echo built on `cat /sub/file`\n");
    let spec = spec(&bed, &[("Dockerfile", &dockerfile), ("sub/file", "purpose\n"), ("sub/large", &large)]);
    let heard = Heard::default();
    let image = bed.driver.build_image(&spec, &heard).await.unwrap();
    assert_eq!(image.environment["A"], "b");
    assert_eq!(image.id, docker(&["inspect", "--format", "{{.Id}}", &spec.tag]).trim());
    let heard = heard.0.into_inner().unwrap();
    assert!(heard.iter().any(|status| status == "built on purpose"), "{heard:?}");
    bed.forget_image(&spec.tag);
}

#[tokio::test]
async fn a_step_that_fails_is_told_with_its_output() {
    let Some(bed) = Bed::make().await else { return };
    let spec = spec(&bed, &[("Dockerfile", &format!("FROM {BARE}\nRUN echo the reason; exit 3\n"))]);
    let error = bed.driver.build_image(&spec, &()).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Failed, "{error}");
    let says = |text: &str| error.message.contains(text);
    assert!(says("returned a non-zero code: 3") || says("exit status 3"), "{error}");
    assert!(error.message.lines().any(|line| line == "the reason"), "{error}");
    let broken = BuildSpec { dockerfile: "absent".to_owned(), ..spec.clone() };
    assert_eq!(bed.driver.build_image(&broken, &()).await.unwrap_err().kind, ErrorKind::Failed);
    std::fs::write(spec.context.join("Dockerfile"), "NONSENSE\n").unwrap();
    let error = bed.driver.build_image(&spec, &()).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Failed, "{error}");
}

/// A link to a file outside of the directory is sent as a link: the engine finds nothing at its end.
#[tokio::test]
async fn nothing_outside_of_the_directory_is_sent() {
    let Some(bed) = Bed::make().await else { return };
    let spec = spec(&bed, &[("Dockerfile", &format!("FROM {BARE}\nCOPY link /link\n"))]);
    std::fs::write(bed.home.path().join("secret"), "secret").unwrap();
    std::os::unix::fs::symlink(bed.home.path().join("secret"), spec.context.join("link")).unwrap();
    let error = bed.driver.build_image(&spec, &()).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Failed, "{error}");
}

#[tokio::test]
async fn what_is_no_file_is_refused_by_name() {
    let Some(bed) = Bed::make().await else { return };
    let spec = spec(&bed, &[("Dockerfile", &format!("FROM {BARE}\nCOPY . /all\n"))]);
    let made = std::process::Command::new("mkfifo").arg(spec.context.join("pipe")).status();
    assert!(made.unwrap().success());
    let error = bed.driver.build_image(&spec, &()).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Failed, "{error}");
    assert!(error.message.contains("pipe is neither a file"), "{error}");
}
