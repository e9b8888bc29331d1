//! A stranger's installer writes to `deps/` and to nothing else.

mod common;

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::time::{Duration, Instant};

use common::sandbox;
use edgemaxx_engine::{InstallError, InstallSpec, Installed, Limits, install};

fn run(
    folder: &Path,
    script: &str,
    change: impl Fn(&mut InstallSpec),
) -> Option<Result<Installed, InstallError>> {
    use std::os::unix::fs::PermissionsExt as _;
    // A sandbox that starts engines as somebody else must be able to look into the folder.
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).unwrap();
    let mut spec = InstallSpec {
        command: ["sh", "-c", script].map(Into::into).into(),
        folder: folder.to_owned(),
        limits: Limits { processes: 64, ..Limits::default() },
        timeout: Duration::from_secs(20),
        bytes: 4 << 20,
        sandbox: sandbox()?,
    };
    change(&mut spec);
    Some(install(&spec))
}

#[test]
fn it_has_a_network_and_nothing_of_ours() {
    let folder = tempfile::tempdir().unwrap();
    let other = tempfile::tempdir().unwrap();
    fs::write(other.path().join("secret"), "mine").unwrap();
    fs::write(folder.path().join("given"), "yours").unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let script = format!(
        "cat given > deps/read; \
         cat {}/secret > deps/secret 2>/dev/null; \
         echo x > own 2>/dev/null; echo x > /etc/x 2>/dev/null; \
         ls -d ~/.bittensor /root/.bittensor /home/* > deps/homes 2>/dev/null; \
         env > deps/env; \
         python3 -c 'import socket; socket.create_connection((\"127.0.0.1\", {})).send(b\"x\")' && echo yes > deps/network; true",
        other.path().display(),
        listener.local_addr().unwrap().port()
    );
    let Some(found) = run(folder.path(), &script, |_| ()) else { return };
    let found = found.unwrap();
    let read = |name: &str| fs::read_to_string(folder.path().join("deps").join(name)).unwrap();
    assert_eq!((read("read").as_str(), read("secret").as_str(), read("homes").as_str()), ("yours", "", ""));
    assert_eq!(read("network").trim(), "yes", "installers have a network");
    assert!(!read("env").contains("CARGO"), "nothing of our environment");
    assert!(!folder.path().join("own").exists(), "its folder is read-only but for deps");
    assert!(found.files >= 5 && found.bytes > 0, "{found:?}");
}

#[test]
fn its_bounds_hold() {
    let folder = tempfile::tempdir().unwrap();
    let failed = |script: &str, change: fn(&mut InstallSpec)| Some(run(folder.path(), script, change)?.err());
    let began = Instant::now();
    let Some(late) = failed("sleep 300 & sleep 300", |spec| spec.timeout = Duration::from_secs(1)) else {
        return;
    };
    assert!(late.unwrap().to_string().contains("after 1 s") && began.elapsed() < Duration::from_secs(15));
    let large = failed("i=0; while :; do i=$((i+1)); head -c 1000000 /dev/zero > deps/$i; done", |_| ());
    assert!(large.flatten().unwrap().to_string().contains("more than 4 MiB"));
    // What that left is too large for another, and is not there any more.
    let script = r"printf 'fetched 3%%\rfetched 9%%\n\033[1mno such package\n'; exit 3";
    let status = failed(script, |_| ()).flatten().unwrap().to_string();
    assert!(status.ends_with("exited with status 3; it printed last: [1mno such package"), "{status}");
    assert_eq!(fs::read_dir(folder.path().join("deps")).unwrap().count(), 0);
}

#[test]
fn links_that_lead_out_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    for (script, words) in [
        ("ln -s /etc/passwd deps/link", "leads out"),
        ("ln -s . deps/link", "leads out"),
        ("ln -s nowhere deps/link", "a link to nothing"),
        ("mkfifo deps/pipe", "neither a file"),
    ] {
        let Some(found) = run(folder.path(), script, |_| ()) else { return };
        let error = found.expect_err(script).to_string();
        assert!(error.contains(words), "{script}: {error}");
    }
    let fine = "mkdir deps/a; echo 1 > deps/a/b; ln -s a deps/c; ln -s /usr/bin/env deps/env";
    assert_eq!(run(folder.path(), fine, |_| ()).unwrap().unwrap().files, 1);
}

#[test]
fn what_is_left_is_the_owners_and_makes_nobody_somebody_else() {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
    let folder = tempfile::tempdir().unwrap();
    let script = "umask 077; mkdir -p deps/bin deps/pkg/__pycache__; cp /bin/true deps/bin/tool; chmod 6755 deps/bin/tool; \
                  chmod 2770 deps/bin; date +%N > deps/pkg/__pycache__/a.pyc; echo 1 > deps/pkg/a.py";
    let found = || {
        let Some(found) = run(folder.path(), script, |_| ()) else { return false };
        assert_eq!(found.unwrap().files, 2, "no compiled Python");
        true
    };
    // Once more over what is there.
    if !found() || !found() {
        return;
    }
    let owner = fs::metadata(folder.path()).unwrap().uid();
    for (name, mode) in [("bin", 0o755), ("bin/tool", 0o755), ("pkg/a.py", 0o644)] {
        let data = fs::metadata(folder.path().join("deps").join(name)).unwrap();
        assert_eq!((data.permissions().mode() & 0o7777, data.uid()), (mode, owner), "{name}");
    }
}
