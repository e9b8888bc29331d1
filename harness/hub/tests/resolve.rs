//! Folders and caches resolve to digests; whatever could escape, change or run code does not.

use edgemaxx_files::WalkError;
use edgemaxx_hub::{Cache, HubError, Resolved, Rules, Source, resolve_offline};
use proptest::prelude::*;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

fn write(root: &Path, path: &str, content: &[u8]) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

fn resolve(root: &Path, rules: &Rules) -> Result<Resolved, HubError> {
    resolve_offline(&Source::Path(root.to_owned()), &Cache::at("/nowhere"), rules)
}

fn checkpoint() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "model_index.json", b"{}");
    write(folder.path(), "unet/diffusion_pytorch_model.safetensors", b"abc");
    write(folder.path(), "unet/diffusion_pytorch_model.bin", b"pickle");
    write(folder.path(), "preview.png", b"png");
    write(folder.path(), ".git/config", b"[core]");
    folder
}

#[test]
fn a_folder_is_its_files_in_order_with_their_digests() {
    let folder = checkpoint();
    let resolved = resolve(folder.path(), &Rules::default()).unwrap();
    let paths: Vec<_> = resolved.files.iter().map(|f| (f.path.as_str(), f.size)).collect();
    assert_eq!(paths, [("model_index.json", 2), ("unet/diffusion_pytorch_model.safetensors", 3)]);
    // sha256sum of the three bytes `abc` (FIPS 180-2, appendix B.1)
    assert_eq!(
        resolved.files[1].digest.to_string(),
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    );
    assert_eq!(resolved.skipped, ["preview.png", "unet/diffusion_pytorch_model.bin"]);
    assert_eq!(resolved.total_bytes(), 5);
}

#[test]
fn the_identity_follows_every_byte_and_name_and_nothing_else() {
    let folder = checkpoint();
    let first = resolve(folder.path(), &Rules::default()).unwrap().digest;
    write(folder.path(), "preview.png", b"another picture");
    assert_eq!(resolve(folder.path(), &Rules::default()).unwrap().digest, first);
    write(folder.path(), "unet/diffusion_pytorch_model.safetensors", b"abd");
    let changed = resolve(folder.path(), &Rules::default()).unwrap().digest;
    assert_ne!(changed, first);
    write(folder.path(), "unet/diffusion_pytorch_model.safetensors", b"abc");
    fs::rename(folder.path().join("model_index.json"), folder.path().join("model.json")).unwrap();
    assert_ne!(resolve(folder.path(), &Rules::default()).unwrap().digest, first);
}

#[test]
fn links_out_of_the_checkpoint_are_refused_and_links_within_are_not() {
    let outside = tempfile::tempdir().unwrap();
    write(outside.path(), "secret.json", b"{}");
    for (target, name) in
        [(outside.path().join("secret.json"), "leak.json"), (outside.path().to_owned(), "leak")]
    {
        let folder = checkpoint();
        symlink(target, folder.path().join(name)).unwrap();
        assert!(matches!(
            resolve(folder.path(), &Rules::default()),
            Err(HubError::Folder(WalkError::Escape { .. }))
        ));
    }
    let folder = checkpoint();
    symlink("model_index.json", folder.path().join("copy.json")).unwrap();
    assert_eq!(resolve(folder.path(), &Rules::default()).unwrap().files.len(), 3);
    symlink(".", folder.path().join("loop")).unwrap();
    assert!(matches!(
        resolve(folder.path(), &Rules::default()),
        Err(HubError::Folder(WalkError::NotAFile { .. }))
    ));
}

#[test]
fn limits_are_exact_and_checked_before_reading() {
    let folder = checkpoint();
    let rules = |files, file, total| Rules {
        max_files: files,
        max_file_bytes: file,
        max_total_bytes: total,
        programs: false,
    };
    assert!(resolve(folder.path(), &rules(4, 3, 5)).is_ok());
    for (limits, expected) in [
        (rules(3, 3, 5), "files"),
        (rules(4, 2, 5), "size in bytes"),
        (rules(4, 3, 4), "total size in bytes"),
    ] {
        match resolve(folder.path(), &limits) {
            Err(HubError::Folder(WalkError::Limit { what, .. })) => assert_eq!(what, expected),
            other => panic!("{other:?}"),
        }
    }
    // A sparse file far beyond memory and patience is refused by its size alone.
    fs::File::create(folder.path().join("huge.safetensors")).unwrap().set_len(1 << 42).unwrap();
    assert!(matches!(
        resolve(folder.path(), &Rules::default()),
        Err(HubError::Folder(WalkError::Limit { .. }))
    ));
}

#[test]
fn nothing_usable_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "model.bin", b"pickle");
    assert!(matches!(resolve(folder.path(), &Rules::default()), Err(HubError::Empty { .. })));
    assert!(matches!(
        resolve(&folder.path().join("no"), &Rules::default()),
        Err(HubError::Folder(WalkError::Io { .. }))
    ));
}

#[test]
fn a_repository_comes_from_the_cache_by_commit_or_branch() {
    let cache = tempfile::tempdir().unwrap();
    let repository = cache.path().join("models--miner--fast");
    write(&repository, "blobs/aa11", b"abc");
    write(&repository, "refs/main", COMMIT.as_bytes());
    let snapshot = repository.join("snapshots").join(COMMIT).join("unet");
    fs::create_dir_all(&snapshot).unwrap();
    symlink("../../../blobs/aa11", snapshot.join("model.safetensors")).unwrap();
    let at = Cache::at(cache.path());
    for source in ["hf:miner/fast", "hf:miner/fast@main", &format!("hf:miner/fast@{COMMIT}")] {
        let source: Source = source.parse().unwrap();
        let resolved = resolve_offline(&source, &at, &Rules::default()).unwrap();
        assert_eq!(resolved.revision.as_deref(), Some(COMMIT));
        assert_eq!(resolved.files[0].path, "unet/model.safetensors");
    }
    let other: Source = "hf:miner/fast@v2".parse().unwrap();
    let error = resolve_offline(&other, &at, &Rules::default()).unwrap_err();
    assert!(error.to_string().contains("hf download miner/fast --revision v2"), "{error}");
    // A snapshot that links to another repository's blobs, or to anything else, is refused.
    write(cache.path(), "models--other--x/blobs/bb", b"abc");
    symlink("../../../../models--other--x/blobs/bb", snapshot.join("b.safetensors")).unwrap();
    let main: Source = "hf:miner/fast".parse().unwrap();
    assert!(matches!(
        resolve_offline(&main, &at, &Rules::default()),
        Err(HubError::Folder(WalkError::Escape { .. }))
    ));
}

#[test]
fn the_cache_is_where_hugging_face_keeps_it() {
    let with = |pairs: &'static [(&str, &str)]| {
        Cache::from_env(move |name| pairs.iter().find(|p| p.0 == name).map(|p| p.1.to_owned()))
    };
    assert_eq!(with(&[("HF_HUB_CACHE", "/a"), ("HF_HOME", "/b")]), Cache::at("/a"));
    assert_eq!(with(&[("HF_HOME", "/b"), ("HOME", "/c")]), Cache::at("/b/hub"));
    assert_eq!(with(&[("XDG_CACHE_HOME", "/x"), ("HOME", "/c")]), Cache::at("/x/huggingface/hub"));
    assert_eq!(with(&[("HF_HOME", ""), ("HOME", "/c")]), Cache::at("/c/.cache/huggingface/hub"));
}

#[test]
fn sources_parse_and_say_whether_they_are_pinned() {
    let pinned: Source = format!("hf:a/b@{COMMIT}").parse().unwrap();
    assert!(pinned.is_pinned());
    assert!(!"hf:a/b@main".parse::<Source>().unwrap().is_pinned());
    assert!(!"path:models/x".parse::<Source>().unwrap().is_pinned());
    for bad in [
        "",
        "path:",
        "hf:",
        "hf:a",
        "hf:a/b/c",
        "hf:../b",
        "hf:a/..",
        "hf:a/b@",
        "hf:a/b@../../x",
        "hf:a/b@-x",
        "hf:a--b/c",
    ] {
        assert!(matches!(bad.parse::<Source>(), Err(HubError::Source { .. })), "{bad}");
    }
}

proptest! {
    #[test]
    fn a_parsed_source_never_leaves_the_cache(text in "hf:[a-z./@-]{0,40}") {
        if let Ok(source @ Source::Hub { .. }) = text.parse::<Source>() {
            let Source::Hub { repository, revision } = &source else { unreachable!() };
            let folder = Cache::at("/cache").repository(repository);
            prop_assert!(folder.parent() == Some(Path::new("/cache")));
            prop_assert!(!revision.as_deref().unwrap_or("").split('/').any(|p| p == ".." || p.is_empty() && revision.is_some()));
            prop_assert_eq!(source.to_string().parse::<Source>().unwrap(), source);
        }
    }
}

#[test]
fn a_git_mirror_is_cloned_at_one_commit_with_its_large_files() {
    let (mirror, cache) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let git = |words: &[&str]| {
        let identity = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"];
        let mut command = std::process::Command::new("git");
        command.args(identity).args(words).current_dir(mirror.path()).env("GIT_CONFIG_GLOBAL", "/dev/null");
        let done = command.output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).unwrap().trim().to_owned()
    };
    git(&["init", "--quiet", "--initial-branch=main"]);
    // sha256 of `abc`, as git-lfs stores it.
    let oid = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    let pointer = format!("version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize 3\n");
    write(mirror.path(), "model_index.json", b"{}");
    write(mirror.path(), "unet/model.safetensors", pointer.as_bytes());
    git(&["add", "."]);
    git(&["commit", "--quiet", "-m", "one"]);
    let first = git(&["rev-parse", "HEAD"]);
    let at = Cache::at(cache.path());
    let source: Source = format!("file+git:{}@main", mirror.path().display()).parse().unwrap();
    assert_eq!(source.to_string().parse::<Source>().unwrap(), source);

    // The pointed-at file is missing, then wrong, then there.
    let missing = resolve_offline(&source, &at, &Rules::default()).unwrap_err();
    assert!(missing.to_string().contains("git lfs fetch"), "{missing}");
    let object = format!(".git/lfs/objects/ba/78/{oid}");
    write(mirror.path(), &object, b"abd");
    assert!(matches!(resolve_offline(&source, &at, &Rules::default()), Err(HubError::Damaged { .. })));
    write(mirror.path(), &object, b"abc");
    let resolved = resolve_offline(&source, &at, &Rules::default()).unwrap();
    assert_eq!(resolved.revision.as_deref(), Some(first.as_str()));
    assert_eq!(resolved.files[1].digest.to_string(), oid);

    // The branch moves on; the commit does not.
    write(mirror.path(), "model_index.json", b"{\"a\":1}");
    git(&["commit", "--quiet", "-am", "two"]);
    let moved = resolve_offline(&source, &at, &Rules::default()).unwrap();
    assert_ne!(moved.digest, resolved.digest);
    let pinned: Source = format!("file+git:{}@{first}", mirror.path().display()).parse().unwrap();
    assert!(pinned.is_pinned() && !source.is_pinned());
    assert_eq!(resolve_offline(&pinned, &at, &Rules::default()).unwrap().digest, resolved.digest);
    let unknown: Source = format!("file+git:{}@nothing", mirror.path().display()).parse().unwrap();
    assert!(matches!(resolve_offline(&unknown, &at, &Rules::default()), Err(HubError::Git { .. })));
}
