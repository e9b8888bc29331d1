//! The client against a hub that is good, slow, cut off, or lying.

mod server;

use edgemaxx_contract::digest::Digest;
use edgemaxx_files::WalkError;
use edgemaxx_hub::{
    Cache, CheckpointFile, FilesUpload, Hub, HubError, Patience, Resolved, Rules, Source, Step, Upload,
    resolve_offline,
};
use server::{Faults, Files, Server};
use std::fs;
use std::path::Path;
use std::time::Duration;

const UNET: &str = "unet/diffusion_pytorch_model.safetensors";

fn files() -> Files {
    let tensor: Vec<u8> = (0..700_000u32).map(|i| (i * 7) as u8).collect();
    [
        ("model_index.json", b"{}".to_vec()),
        (UNET, tensor),
        ("unet/x.bin", b"pickle".to_vec()),
        ("README.md", b"#".to_vec()),
    ]
    .into_iter()
    .map(|(path, content)| (path.to_owned(), content))
    .collect()
}

fn hub(server: &Server, home: &Path, token: &str) -> Hub {
    let (url, home, token) = (server.url.clone(), home.display().to_string(), token.to_owned());
    let get = move |name: &str| match name {
        "HF_ENDPOINT" => Some(url.clone()),
        "HF_HOME" => Some(home.clone()),
        "HF_TOKEN" => Some(token.clone()),
        _ => None,
    };
    let patience = Patience {
        connect: Duration::from_secs(5),
        read: Duration::from_secs(5),
        attempts: 3,
        pause: Duration::from_millis(10),
        ..Patience::default()
    };
    Hub::from_env(get, patience).unwrap()
}

fn fetch(hub: &Hub, source: &str) -> Result<Resolved, HubError> {
    hub.resolve(&source.parse().unwrap(), &Rules::default(), &mut |_| {})
}

#[test]
fn a_repository_is_fetched_once_and_read_offline_afterwards() {
    let (server, home) = (Server::start(), tempfile::tempdir().unwrap());
    let commit = server.state().push(files());
    let hub = hub(&server, home.path(), "hf_token");
    let mut bytes = 0;
    let mut watch = |step: Step<'_>| {
        if let Step::Bytes(n) = step {
            bytes += n;
        }
    };
    let source: Source = "hf:miner/fast".parse().unwrap();
    let first = hub.resolve(&source, &Rules::default(), &mut watch).unwrap();
    assert_eq!((bytes, first.revision.as_deref()), (700_002, Some(commit.as_str())));
    let paths: Vec<_> = first.files.iter().map(|f| f.path.as_str()).collect();
    assert_eq!(paths, ["model_index.json", UNET], "neither the pickle nor the card was fetched");
    assert_eq!(server.state().leaks, 0, "the token went to the hub only");
    assert!(server.state().log.iter().filter(|l| !l.contains("/cdn/")).all(|l| l.ends_with("true")));

    // What is there is not fetched again; the cache is what Hugging Face's own tools would have made.
    server.faults(Faults::default());
    assert_eq!(fetch(&hub, &format!("hf:miner/fast@{commit}")).unwrap(), first);
    let log = server.state().log.clone();
    assert!(log.is_empty(), "a full revision that is whole is not even asked for: {log:?}");
    let offline = resolve_offline(&source, &Cache::at(home.path().join("hub")), &Rules::default()).unwrap();
    assert_eq!(offline, first);

    // Placed as plain files, once.
    let place = home.path().join("placed/here");
    for _ in 0..2 {
        first.place(&place).unwrap();
        let plain = resolve_offline(&Source::Path(place.clone()), &Cache::at("/nowhere"), &Rules::default());
        assert_eq!(plain.unwrap().digest, first.digest);
        assert!(fs::symlink_metadata(place.join(UNET)).unwrap().is_file());
        // What does not belong there goes.
        fs::write(place.join("extra.json"), "{}").unwrap();
    }

    // A damaged cache is noticed.
    let blob = fs::canonicalize(first.root.join(UNET)).unwrap();
    let mut content = fs::read(&blob).unwrap();
    content[5] ^= 1;
    fs::write(&blob, content).unwrap();
    assert!(matches!(fetch(&hub, "hf:miner/fast"), Err(HubError::Damaged { .. })));
}

/// A repository may vanish once it was fetched: a full revision that is whole in the cache is not asked for again.
#[test]
fn a_pinned_revision_that_is_whole_needs_no_hub() {
    let (server, home) = (Server::start(), tempfile::tempdir().unwrap());
    let commit = server.state().push(files());
    let hub = hub(&server, home.path(), "hf_token");
    let source = format!("hf:owner/name@{commit}");
    let first = fetch(&hub, &source).unwrap();
    let asked = server.state().count("");
    assert_eq!(fetch(&hub, &source).unwrap().digest, first.digest);
    assert_eq!(server.state().count(""), asked, "nothing was asked");
    // The name of a branch may have another meaning by now.
    fetch(&hub, "hf:owner/name@main").unwrap();
    assert!(server.state().count("") > asked);
    // What is damaged is fetched again.
    let asked = server.state().count("");
    let file = first.root.join(UNET);
    let blob = fs::canonicalize(&file).unwrap();
    fs::remove_file(&blob).unwrap();
    assert_eq!(fetch(&hub, &source).unwrap().digest, first.digest);
    assert!(server.state().count("") > asked);
}

#[test]
fn an_interrupted_download_goes_on_where_it_stopped() {
    for ignore_range in [false, true] {
        let (server, home) = (Server::start(), tempfile::tempdir().unwrap());
        server.state().push(files());
        let hub = hub(&server, home.path(), "");
        // More cuts than attempts without progress are allowed; here there is progress.
        server.faults(Faults { cut_downloads: 2, cut_at: 300_000, ignore_range, ..Faults::default() });
        let resolved = fetch(&hub, "hf:miner/fast").unwrap();
        assert_eq!(resolved.total_bytes(), 700_002);
        let state = server.state();
        let ranges: Vec<_> =
            state.log.iter().filter(|l| l.contains("/cdn/")).map(|l| l.split(' ').nth(2).unwrap()).collect();
        assert_eq!(ranges[..2], ["-", "bytes=300000-"]);
    }
}

#[test]
fn a_killed_download_is_continued_by_the_next_process() {
    let (server, home) = (Server::start(), tempfile::tempdir().unwrap());
    server.state().push(files());
    server.faults(Faults { cut_downloads: 100, cut_at: 0, ..Faults::default() });
    let error = fetch(&hub(&server, home.path(), ""), "hf:miner/fast").unwrap_err();
    assert!(matches!(error, HubError::Network { .. }), "{error}");
    assert!(!error.to_string().contains("secret"), "{error}");
    server.faults(Faults { cut_downloads: 1, cut_at: 1000, ..Faults::default() });
    // Half of the file, then everything fails.
    let _ = fetch(&hub(&server, home.path(), ""), "hf:miner/fast").unwrap();
    server.faults(Faults::default());
    fetch(&hub(&server, home.path(), ""), "hf:miner/fast").unwrap();
    assert_eq!(server.state().count("GET /cdn"), 0);
}

#[test]
fn a_lying_hub_is_refused_and_leaves_nothing_behind() {
    let lies = [
        (Faults { flip: true, ..Faults::default() }, "digest"),
        (Faults { grow: true, ..Faults::default() }, "size"),
        (Faults { lie_size: true, ..Faults::default() }, "size"),
        (Faults { other_commit: true, ..Faults::default() }, "commit"),
        (Faults { evil_name: Some("../../evil.json".into()), ..Faults::default() }, "file name"),
        (Faults { evil_name: Some("/etc/evil.json".into()), ..Faults::default() }, "file name"),
        (Faults { evil_name: Some("model_index.json".into()), ..Faults::default() }, "files"),
    ];
    for (faults, expected) in lies {
        let (server, home) = (Server::start(), tempfile::tempdir().unwrap());
        let commit = server.state().push(files());
        server.faults(faults.clone());
        match fetch(&hub(&server, home.path(), ""), &format!("hf:miner/fast@{commit}")) {
            Err(HubError::Lie { what, .. }) => assert_eq!(what, expected, "{faults:?}"),
            other => panic!("{faults:?}: {other:?}"),
        }
        let blobs = home.path().join("hub/models--miner--fast/blobs");
        let kept = fs::read_dir(blobs)
            .map_or(0, |d| d.filter(|e| e.as_ref().unwrap().metadata().unwrap().len() > 700_000).count());
        assert_eq!(kept, 0);
    }
}

#[test]
fn limits_are_checked_before_anything_is_fetched() {
    let (server, home) = (Server::start(), tempfile::tempdir().unwrap());
    server.state().push(files());
    server.faults(Faults::default());
    let rules = Rules { max_file_bytes: 699_999, ..Rules::default() };
    let source = "hf:miner/fast".parse().unwrap();
    let error = hub(&server, home.path(), "").resolve(&source, &rules, &mut |_| {}).unwrap_err();
    assert!(matches!(error, HubError::Folder(WalkError::Limit { what: "size in bytes", .. })), "{error}");
    assert_eq!(server.state().log.len(), 1);
}

#[test]
fn trouble_that_passes_is_waited_out_and_a_no_is_not() {
    let (server, home) = (Server::start(), tempfile::tempdir().unwrap());
    server.state().push(files());
    let hub = hub(&server, home.path(), "");
    server.faults(Faults { refuse: 2, status: 503, ..Faults::default() });
    fetch(&hub, "hf:miner/fast").unwrap();
    for (status, asked) in [(403, 1), (404, 1), (429, 3)] {
        server.faults(Faults { refuse: 99, status, ..Faults::default() });
        let error = fetch(&hub, "hf:miner/fast").unwrap_err();
        assert!(matches!(&error, HubError::Status { status: s, .. } if *s == status), "{error}");
        assert_eq!(server.state().log.len(), asked);
    }
}

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (path, content) in files() {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    folder
}

fn upload(folder: &Path) -> Upload<'_> {
    Upload { repository: "miner/fast", folder, message: "Faster", private: false }
}

#[test]
fn a_folder_is_published_once_and_comes_back_the_same() {
    for part_bytes in [None, Some(200_000)] {
        let (server, home, folder) = (Server::start(), tempfile::tempdir().unwrap(), folder());
        let hub = hub(&server, home.path(), "hf_token");
        server.faults(Faults { cut_uploads: 1, part_bytes, lose_commit: true, ..Faults::default() });
        let first = hub.publish(&upload(folder.path()), &Rules::default(), &mut |_| {}).unwrap();
        assert_eq!((first.already, first.sent_bytes), (false, 700_000));
        assert_eq!(
            server.state().count("POST /api/models/miner/fast/commit"),
            1,
            "a lost answer is no second commit"
        );
        assert_eq!(server.state().leaks, 0);
        let theirs = server.state().commits[&first.revision].clone();
        assert!(theirs.contains_key("README.md") && !theirs.contains_key("unet/x.bin"));

        let back = fetch(&hub, &format!("hf:miner/fast@{}", first.revision)).unwrap();
        assert_eq!(back.digest, first.digest, "every machine finds the same checkpoint");

        // Again: nothing to do. Changed: only the change travels, and what is gone is gone.
        let again = hub.publish(&upload(folder.path()), &Rules::default(), &mut |_| {}).unwrap();
        assert_eq!((again.already, &again.revision), (true, &first.revision));
        fs::write(folder.path().join("model_index.json"), b"{\"a\":1}").unwrap();
        fs::write(folder.path().join("edgemaxx.toml"), b"").unwrap();
        let second = hub.publish(&upload(folder.path()), &Rules::default(), &mut |_| {}).unwrap();
        assert_eq!((second.already, second.sent_bytes), (false, 0));
        fs::remove_file(folder.path().join("edgemaxx.toml")).unwrap();
        let third = hub.publish(&upload(folder.path()), &Rules::default(), &mut |_| {}).unwrap();
        assert!(!server.state().commits[&third.revision].contains_key("edgemaxx.toml"));
    }
}

#[test]
fn an_interrupted_upload_sends_nothing_twice() {
    let (server, home, folder) = (Server::start(), tempfile::tempdir().unwrap(), folder());
    fs::write(folder.path().join("a.safetensors"), vec![1; 1000]).unwrap();
    let hub = hub(&server, home.path(), "hf_token");
    server.faults(Faults::default());
    // The first file arrives, the second never does.
    let mut seen = 0;
    let mut watch = |step: Step<'_>| {
        if matches!(step, Step::File(_)) {
            seen += 1;
            server.state().faults.cut_uploads = if seen == 2 { 99 } else { 0 };
        }
    };
    let error = hub.publish(&upload(folder.path()), &Rules::default(), &mut watch).unwrap_err();
    assert!(error.is_transient(), "{error}");
    server.faults(Faults::default());
    let done = hub.publish(&upload(folder.path()), &Rules::default(), &mut |_| {}).unwrap();
    assert_eq!(done.sent_bytes, 700_000, "the first file was there already");
    assert_eq!(server.state().count("PUT /store"), 1);
}

#[test]
fn anothers_commit_is_never_overwritten() {
    let (server, home, folder) = (Server::start(), tempfile::tempdir().unwrap(), folder());
    let hub = hub(&server, home.path(), "hf_token");
    server.faults(Faults { intrude: true, ..Faults::default() });
    let error = hub.publish(&upload(folder.path()), &Rules::default(), &mut |_| {}).unwrap_err();
    assert!(matches!(error, HubError::Status { status: 412, .. }), "{error}");
    let state = server.state();
    assert!(state.commits[&state.main].contains_key("theirs.json"));
}

#[test]
fn publishing_needs_a_token_and_the_network() {
    let (server, home, folder) = (Server::start(), tempfile::tempdir().unwrap(), folder());
    let error = hub(&server, home.path(), "").publish(&upload(folder.path()), &Rules::default(), &mut |_| {});
    assert!(matches!(error, Err(HubError::NoToken)));
    let offline = |name: &str| (name == "HF_HUB_OFFLINE").then(|| "1".to_owned());
    let hub = Hub::from_env(offline, Patience::default()).unwrap();
    let error = hub.publish(&upload(folder.path()), &Rules::default(), &mut |_| {});
    assert!(matches!(error, Err(HubError::Offline)));
    assert!(matches!(fetch(&hub, "hf:miner/fast"), Err(HubError::NotCached { .. })));
    assert_eq!(server.state().log.len(), 0);
}

/// A sealed day: its files, the manifest last.
fn sealed(folder: &Path, day: &[(&str, &str)]) -> Vec<CheckpointFile> {
    let file = |(path, text): &(&str, &str)| {
        let to = folder.join(path);
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::write(&to, text).unwrap();
        CheckpointFile { path: (*path).to_owned(), size: text.len() as u64, digest: Digest::of(text) }
    };
    day.iter().map(file).collect()
}

#[test]
fn a_day_goes_to_a_dataset_its_manifest_last_and_nothing_twice() {
    let (server, home) = (Server::start(), tempfile::tempdir().unwrap());
    let hub = hub(&server, home.path(), "hf_token");
    let folder = home.path().join("day");
    // Named as the server wants large files to be.
    let files = sealed(
        &folder,
        &[("images/a.safetensors", "picture"), ("report.html", "<p>"), ("manifest.json", "{}")],
    );
    let day = |place: &'static str| FilesUpload {
        repository: "owner/days",
        folder: &folder,
        place,
        files: &files,
        message: "a day",
        private: false,
    };
    // The first try ends before the manifest: nobody takes what is there for whole.
    server.faults(Faults { cut_uploads: 9, ..Faults::default() });
    assert!(hub.publish_files(&day("2026-11-22"), &mut |_| {}).is_err());
    assert!(server.state().count("POST /api/repos/create") == 1);
    assert!(!server.state().commits.values().any(|files| files.contains_key("2026-11-22/manifest.json")));

    // The next one sends the rest; the second commit's answer is lost.
    server.faults(Faults { lose_commit: true, ..Faults::default() });
    let first = hub.publish_files(&day("2026-11-22"), &mut |_| {}).unwrap();
    assert_eq!((first.already, first.sent_bytes), (false, 7));
    let held = |server: &Server| -> Vec<String> {
        let state = server.state();
        state.commits[&state.main].keys().cloned().collect()
    };
    let all = [
        "2026-11-22/images/a.safetensors",
        "2026-11-22/manifest.json",
        "2026-11-22/report.html",
        "README.md",
    ];
    assert_eq!(held(&server), all);
    assert_eq!(server.state().count("POST /api/datasets/owner/days/commit"), 2);
    assert_eq!(server.state().leaks, 0, "the token went to the hub only");

    // Again: nothing is sent. Another day: the first one stays. A file that is none of the day's goes.
    server.faults(Faults::default());
    assert!(hub.publish_files(&day("2026-11-22"), &mut |_| {}).unwrap().already);
    assert!(server.state().log.iter().all(|line| line.starts_with("GET")));
    hub.publish_files(&day("2026-11-23"), &mut |_| {}).unwrap();
    assert_eq!(server.state().count("PUT"), 0, "the store has the picture");
    assert_eq!(held(&server).len(), 7);
    {
        let mut state = server.state();
        let mut stray = state.commits[&state.main].clone();
        stray.insert("2026-11-22/stray".to_owned(), b"x".to_vec());
        state.push(stray);
    }
    hub.publish_files(&day("2026-11-22"), &mut |_| {}).unwrap();
    assert_eq!(held(&server).len(), 7);

    let refused = |status| {
        server.faults(Faults { refuse: 9, status, ..Faults::default() });
        hub.publish_files(&day("2026-11-24"), &mut |_| {}).unwrap_err()
    };
    for status in [401, 403, 503] {
        let error = refused(status);
        assert!(error.is_remote() && !error.to_string().contains("hf_token"), "{error}");
    }
}

#[test]
fn a_commit_leaves_the_cache_with_what_only_it_used() {
    let (server, home) = (Server::start(), tempfile::tempdir().unwrap());
    let hub = hub(&server, home.path(), "hf_token");
    let old = server.state().push(files());
    let mut changed = files();
    changed.insert("model_index.json".to_owned(), b"{\"changed\":1}".to_vec());
    let new = server.state().push(changed);
    let first = fetch(&hub, &format!("hf:miner/fast@{old}")).unwrap();
    let second = fetch(&hub, &format!("hf:miner/fast@{new}")).unwrap();
    let cache = Cache::at(home.path().join("hub"));
    let placed = cache.repository("miner/fast").join("edgemaxx").join(&old);
    first.place(&placed).unwrap();

    // The other commit's files stay; a killed removal is finished.
    assert_eq!(cache.remove("miner/fast", &old).unwrap(), 2, "the UNet is the other one's, too");
    assert!(!first.root.exists() && !placed.exists());
    assert_eq!(fetch(&hub, &format!("hf:miner/fast@{new}")).unwrap(), second);
    let trash = second.root.with_file_name(format!(".{new}.removed"));
    fs::rename(&second.root, &trash).unwrap();
    assert_eq!(cache.remove("miner/fast", &new).unwrap(), 700_013);
    assert!(!trash.exists());
    assert_eq!(
        fs::read_dir(cache.repository("miner/fast").join("blobs"))
            .unwrap()
            .filter(|entry| {
                !entry.as_ref().unwrap().file_name().to_string_lossy().ends_with(".incomplete")
            })
            .count(),
        0
    );
    for commit in [&old, &new] {
        assert_eq!(cache.remove("miner/fast", commit).unwrap(), 0, "nothing is left to remove");
    }
    assert_eq!(cache.remove("nobody/none", &old).unwrap(), 0);
    // What is wanted again is fetched again.
    assert_eq!(fetch(&hub, &format!("hf:miner/fast@{old}")).unwrap().digest, first.digest);
}
