//! `scripts/image`: the container image is built, and the command in it confines and asks an engine.

use std::path::Path;
use std::process::Command;

use crate::common::repository;
use crate::node::skipped;

/// Whether a tool is on the path.
fn here(tool: &str) -> bool {
    Command::new(tool).arg("--version").output().is_ok_and(|shown| shown.status.success())
}

#[test]
fn the_image_is_built_and_an_engine_runs_confined_in_it() {
    let missing: Vec<&str> =
        ["mmdebstrap", "umoci", "bwrap"].into_iter().filter(|tool| !here(tool)).collect();
    if !missing.is_empty() || !nix::unistd::geteuid().is_root() {
        skipped(format_args!(
            "no container image was built; install mmdebstrap, umoci and bubblewrap, and be root (missing: {})",
            missing.join(", ")
        ));
        return;
    }
    // Podman makes a name of the image's path, and names have no capitals.
    let name = format!("edgemaxx-image-{}", std::process::id());
    let folder = tempfile::Builder::new().prefix(&name).rand_bytes(0).tempdir().unwrap();
    let (image, bundle) = (folder.path().join("image"), folder.path().join("bundle"));
    let built = Command::new(repository("scripts/image/build"))
        .args([Path::new(env!("CARGO_BIN_EXE_edgemaxx")), &image])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&built.stderr);
    if built.status.code() == Some(3) {
        skipped(format_args!("no container image was built, for want of Debian's packages: {said}"));
        return;
    }
    assert!(built.status.success(), "{said}");
    let unpacked = Command::new("umoci")
        .args(["unpack", "--image", &format!("{}:edgemaxx", image.display())])
        .arg(&bundle)
        .output()
        .unwrap();
    assert!(unpacked.status.success(), "{}", String::from_utf8_lossy(&unpacked.stderr));
    // As a container engine would start it: the entry point in the image's own root, with nothing of this machine.
    let config = std::fs::read_to_string(bundle.join("config.json")).unwrap();
    assert!(config.contains("/usr/local/bin/edgemaxx"), "{config}");
    let asked = Command::new("bwrap")
        .arg("--bind")
        .arg(bundle.join("rootfs"))
        .args(["/", "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp", "--chdir", "/data", "--clearenv"])
        .args(["--setenv", "PATH", "/usr/local/bin:/usr/bin:/bin"])
        .args(["edgemaxx", "engine", "check", "--", "edgemaxx", "engine", "mock"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&asked.stdout).into_owned() + &String::from_utf8_lossy(&asked.stderr);
    if said.contains("namespace") || said.contains("Operation not permitted") {
        skipped(format_args!("the image was built, and no engine ran in it: {said}"));
        return;
    }
    assert!(asked.status.success() && said.contains("hello:"), "{said}");
    started_by_a_container_engine(folder.path(), &image);
}

/// The image as compose.yml starts it: privileged, with a namespace of control groups of its own. Its engines are confined, and
/// held by control groups.
fn started_by_a_container_engine(folder: &Path, image: &Path) {
    let missing: Vec<&str> = ["podman", "runc"].into_iter().filter(|tool| !here(tool)).collect();
    if !missing.is_empty() {
        skipped(format_args!("no container was started; missing: {}", missing.join(", ")));
        return;
    }
    let started = Command::new("podman")
        .arg("--root")
        .arg(folder.join("storage"))
        .arg("--runroot")
        .arg(folder.join("running"))
        .args(["--runtime", "runc", "--cgroup-manager", "cgroupfs", "run", "--rm", "--privileged"])
        .args(["--cgroupns", "private", "--network", "none"])
        .args(["--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1000:1000"])
        .arg(format!("oci:{}:edgemaxx", image.display()))
        .args(["engine", "check", "--", "edgemaxx", "engine", "mock"])
        .output()
        .unwrap();
    let said =
        String::from_utf8_lossy(&started.stdout).into_owned() + &String::from_utf8_lossy(&started.stderr);
    // What the engine itself says begins so; a container that could not be made has said nothing of engines.
    if said.contains("Error: ") && !said.contains("hello:") {
        skipped(format_args!("podman could not start the container here: {said}"));
        return;
    }
    assert!(started.status.success() && said.contains("bye: exited with status 0"), "{said}");
}
