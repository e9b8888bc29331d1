//! Copies of the tiny SDXL's UNet, made on the fly, and what must not be called one.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use edgemaxx_candle::copies::{CopyFound, Entry, Fingerprint, compare, find_copies};
use edgemaxx_candle::gguf::Gguf;
use edgemaxx_candle::weights::Weights;
use edgemaxx_candle::{DType, Device};
use safetensors::tensor::{Dtype, TensorView};

/// Shape and values by name.
type Tensors = BTreeMap<String, (Vec<usize>, Vec<f32>)>;

/// Noise of the value with that index.
fn noise(index: usize, seed: u64) -> u64 {
    let z = (index as u64).wrapping_add(seed << 32).wrapping_add(0x9E37_79B9_7F4A_7C15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

fn models() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/models")
}

fn read(folder: &str) -> Tensors {
    let weights =
        Weights::open_dir(&models().join(folder), "diffusion_pytorch_model", DType::F32, &Device::Cpu)
            .unwrap();
    let names: Vec<String> = weights.names().filter(|n| !n.ends_with(".scale")).map(str::to_owned).collect();
    let tensor = |name: String| {
        let shape = weights.info(&name).unwrap().1.to_vec();
        let values = weights.values(&shape, &name).unwrap();
        (name, (shape, values))
    };
    names.into_iter().map(tensor).collect()
}

fn write(path: &Path, tensors: &Tensors, dtype: Dtype) {
    let bytes = |values: &[f32]| -> Vec<u8> {
        match dtype {
            Dtype::F32 => values.iter().flat_map(|v| v.to_le_bytes()).collect(),
            // Truncated, as the cheapest of converters does.
            Dtype::BF16 => values.iter().flat_map(|v| [v.to_le_bytes()[2], v.to_le_bytes()[3]]).collect(),
            other => panic!("{other:?}"),
        }
    };
    let stored: BTreeMap<&str, (&[usize], Vec<u8>)> =
        tensors.iter().map(|(n, (s, v))| (n.as_str(), (s.as_slice(), bytes(v)))).collect();
    let views = stored.iter().map(|(n, (s, b))| (*n, TensorView::new(dtype, s.to_vec(), b).unwrap()));
    safetensors::serialize_to_file(views, None, path).unwrap();
}

/// Standard normal deviates, repeatable.
fn normal(index: usize, seed: u64) -> f32 {
    let uniform = |i: usize| (noise(i, seed) >> 11) as f64 / (1u64 << 53) as f64;
    ((-2.0 * (1.0 - uniform(2 * index)).ln()).sqrt() * (std::f64::consts::TAU * uniform(2 * index + 1)).cos())
        as f32
}

/// Adds noise of that share of each tensor's deviation.
fn noisy(mut tensors: Tensors, sigma: f32, seed: u64) -> Tensors {
    for (i, (shape, values)) in tensors.values_mut().enumerate() {
        if shape.len() > 1 {
            let mean = values.iter().sum::<f32>() / values.len() as f32;
            let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f32>() / values.len() as f32;
            let scale = sigma * variance.sqrt();
            values.iter_mut().enumerate().for_each(|(j, v)| *v += scale * normal(j, seed + i as u64));
        }
    }
    tensors
}

/// Reverses the heads of every attention: rows of q, k and v in blocks, columns of the output.
fn permuted_heads(mut tensors: Tensors) -> Tensors {
    for (name, (shape, values)) in &mut tensors {
        let block = 32;
        if [".to_q.weight", ".to_k.weight", ".to_v.weight"].iter().any(|e| name.ends_with(e)) {
            let rows: Vec<f32> = values.rchunks(block * shape[1]).flatten().copied().collect();
            *values = rows;
        } else if name.ends_with(".to_out.0.weight") {
            for row in values.chunks_mut(shape[1]) {
                let columns: Vec<f32> = row.rchunks(block).flatten().copied().collect();
                row.copy_from_slice(&columns);
            }
        }
    }
    tensors
}

/// Scales rows of v and divides the matching columns of the output.
fn compensated(mut tensors: Tensors) -> Tensors {
    let factor = |i: usize| 0.25 + (i % 7) as f32;
    for (name, (shape, values)) in &mut tensors {
        let columns = shape.last().copied().unwrap_or(1);
        if name.ends_with(".to_v.weight") {
            values.iter_mut().enumerate().for_each(|(i, v)| *v *= factor(i / columns));
        } else if name.ends_with(".to_out.0.weight") {
            values.iter_mut().enumerate().for_each(|(i, v)| *v /= factor(i % columns));
        }
    }
    tensors
}

fn renamed(tensors: Tensors) -> Tensors {
    tensors.into_values().enumerate().map(|(i, t)| (format!("t{:04}", (i * 7919) % 10_007), t)).collect()
}

/// Writes a checkpoint of one file or of several, and fingerprints it.
fn fingerprint(tensors: &Tensors, dtype: Dtype, shards: usize) -> Fingerprint {
    let dir = tempfile::tempdir().unwrap();
    for shard in 0..shards {
        let part: Tensors = tensors
            .iter()
            .enumerate()
            .filter(|(i, _)| i % shards == shard)
            .map(|(_, (n, t))| (n.clone(), t.clone()))
            .collect();
        write(&dir.path().join(format!("model-{shard}.safetensors")), &part, dtype);
    }
    Fingerprint::of(dir.path(), 5).unwrap()
}

#[test]
fn copies_are_found_and_the_fine_tune_is_not() {
    let teacher = read("emoji-sdxl/unet");
    let student = read("emoji-sdxl-student/unet");
    let original = fingerprint(&student, Dtype::F32, 1);
    let all = |t: Tensors| permuted_heads(compensated(renamed_last(noisy(t, 0.003, 3))));
    let disguises = [
        ("same", fingerprint(&student, Dtype::F32, 1)),
        ("bf16", fingerprint(&student, Dtype::BF16, 1)),
        ("renamed, 4 shards", fingerprint(&renamed(student.clone()), Dtype::F32, 4)),
        ("noise .003", fingerprint(&noisy(student.clone(), 0.003, 1), Dtype::F32, 1)),
        ("noise .01", fingerprint(&noisy(student.clone(), 0.01, 2), Dtype::F32, 1)),
        ("noise .03", fingerprint(&noisy(student.clone(), 0.03, 2), Dtype::F32, 1)),
        ("heads permuted", fingerprint(&permuted_heads(student.clone()), Dtype::F32, 1)),
        ("scaled and compensated", fingerprint(&compensated(student.clone()), Dtype::F32, 1)),
        ("all at once", fingerprint(&all(student.clone()), Dtype::BF16, 3)),
        ("int8 as shipped", Fingerprint::of(&models().join("emoji-sdxl-student/unet"), 5).unwrap()),
    ];
    for (name, copy) in &disguises {
        let share = compare(&original, copy).copied_share().unwrap();
        assert!(share > 0.9, "{name}: {share}");
    }
    let base = fingerprint(&teacher, Dtype::F32, 1);
    for (name, other) in [
        ("the fine-tune's teacher", &base),
        ("another component", &Fingerprint::of(&models().join("emoji-sdxl/vae"), 5).unwrap()),
    ] {
        let share = compare(&original, other).copied_share().unwrap();
        // A copy is called from one half on; the teacher shares 0.36.
        assert!(share < 0.5, "{name}: {share}");
    }

    let mut entries: Vec<Entry<'_>> =
        disguises.iter().map(|(name, f)| Entry { name, block: 20, fingerprint: f }).collect();
    entries.push(Entry { name: "original", block: 10, fingerprint: &original });
    let teacher_again = fingerprint(&teacher, Dtype::BF16, 1);
    entries.push(Entry { name: "baseline in bf16", block: 30, fingerprint: &teacher_again });
    entries.push(Entry { name: "baseline", block: 1, fingerprint: &base });
    let copies = find_copies(&entries, &base);
    assert_eq!(copies.len(), disguises.len(), "{copies:?}");
    assert!(copies.iter().all(|c: &CopyFound| c.original == "original" && c.share > 0.5), "{copies:?}");
}

/// Keeps the ends of names, which [`permuted_heads`] and [`compensated`] look for.
fn renamed_last(tensors: Tensors) -> Tensors {
    tensors.into_iter().map(|(n, t)| (format!("zz.{n}"), t)).collect()
}

#[test]
fn another_salt_reads_other_weights_with_the_same_verdict() {
    let dir = models().join("emoji-sdxl/unet");
    let [a, b] = [1, 99].map(|salt| Fingerprint::of(&dir, salt).unwrap());
    assert_eq!(a.elements(), b.elements());
    for f in [&a, &b] {
        assert_eq!(compare(f, f).copied_share(), Some(1.0));
    }
}

#[test]
fn broken_checkpoints_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let message = |p: &Path| Fingerprint::of(p, 0).err().unwrap().to_string();
    assert!(message(dir.path()).contains("no .safetensors or .gguf file"));
    let path = dir.path().join("model.safetensors");
    let whole = std::fs::read(models().join("emoji-sdxl/vae/diffusion_pytorch_model.safetensors")).unwrap();
    for cut in [4, 100, whole.len() - 1] {
        std::fs::write(&path, &whole[..cut]).unwrap();
        assert!(message(dir.path()).contains("model.safetensors"));
    }
    std::fs::write(&path, [&5u64.to_le_bytes()[..], b"oops!"].concat()).unwrap();
    assert!(message(dir.path()).contains("malformed header"));
    // No numbers, in rows that nobody could count.
    let header = r#"{"x":{"dtype":"F32","shape":[0,4294967296,4294967296],"data_offsets":[0,0]}}"#;
    std::fs::write(&path, [&(header.len() as u64).to_le_bytes()[..], header.as_bytes()].concat()).unwrap();
    assert_eq!(Fingerprint::of(dir.path(), 0).unwrap().elements(), 0);
}

/// What a file is, its beginning says; what nobody can read is named, and hides behind nothing that can be read.
#[test]
fn no_name_hides_weights_and_what_is_unread_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let unet = folder.path().join("unet");
    for (component, file) in [("unet", "diffusion_pytorch_model"), ("vae", "diffusion_pytorch_model")] {
        let (from, to) = (models().join("emoji-sdxl").join(component), folder.path().join(component));
        std::fs::create_dir(&to).unwrap();
        for name in [format!("{file}.safetensors"), "config.json".to_owned()] {
            std::fs::copy(from.join(&name), to.join(&name)).unwrap();
        }
    }
    let whole = Fingerprint::of(folder.path(), 3).unwrap();
    assert_eq!(whole.unread(), [""; 0]);
    // The same weights for another program are no component, where the index does not name them.
    std::fs::create_dir(folder.path().join("vae_decoder")).unwrap();
    std::fs::write(folder.path().join("vae_decoder/config.json"), "{}").unwrap();
    assert!(Fingerprint::of(folder.path(), 3).unwrap().unread()[0].contains("vae_decoder"));
    for (index, unread) in [("{}", 1), (r#"{"unet": [], "vae": []}"#, 0)] {
        std::fs::write(folder.path().join("model_index.json"), index).unwrap();
        assert_eq!(Fingerprint::of(folder.path(), 3).unwrap().unread().len(), unread, "{index}");
    }
    let mut named = unet.join("diffusion_pytorch_model.safetensors");
    for name in ["weights.SAFETENSORS", "weights.bin", "readme"] {
        let other = unet.join(name);
        std::fs::rename(&named, &other).unwrap();
        let found = Fingerprint::of(folder.path(), 3).unwrap();
        assert_eq!((found.elements(), found.unread()), (whole.elements(), &[][..]), "{name}");
        named = other;
    }
    // Nothing that tells what it is: the component is named, whatever else can be read.
    let bytes: Vec<u8> = std::fs::read(&named).unwrap().into_iter().map(|byte| byte ^ 0x35).collect();
    std::fs::write(&named, bytes).unwrap();
    let said = |found: &Fingerprint| {
        let [unread] = found.unread() else { panic!("{:?}", found.unread()) };
        assert!(found.elements() > 0 && found.elements() < whole.elements());
        unread.clone()
    };
    let found = said(&Fingerprint::of(folder.path(), 3).unwrap());
    assert!(found.contains("unet: no weights that can be read in it"), "{found}");
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n";
    std::fs::write(unet.join("a.safetensors"), pointer).unwrap();
    let strict = Fingerprint::of(folder.path(), 3).err().unwrap().to_string();
    let found = said(&Fingerprint::of_readable(folder.path(), 3).unwrap());
    assert!(found == strict && found.contains("a.safetensors: a git-lfs pointer"), "{found}");
}

/// One tensor for all that a checkpoint holds, as numbers or as bytes, behind a byte of something else.
#[test]
fn shape_and_type_hide_no_copy() {
    let folder = tempfile::tempdir().unwrap();
    let teacher = Fingerprint::of(&models().join("emoji-sdxl/unet"), 3).unwrap();
    let student = read("emoji-sdxl-student/unet");
    let plain = folder.path().join("plain.safetensors");
    write(&plain, &student, Dtype::F32);
    let original = Fingerprint::of(&plain, 3).unwrap();
    let all: Vec<u8> =
        student.values().flat_map(|(_, values)| values.iter().flat_map(|v| v.to_le_bytes())).collect();
    let half: Vec<u8> = all.chunks_exact(4).flat_map(|v| [v[2], v[3]]).collect();
    let shifted = [[0x55].as_slice(), &half].concat();
    for (name, dtype, data) in [
        ("flat", Dtype::F32, &all),
        ("half", Dtype::BF16, &half),
        ("bytes", Dtype::U8, &all),
        ("shifted", Dtype::U8, &shifted),
    ] {
        let path = folder.path().join(format!("{name}.safetensors"));
        let size = match dtype {
            Dtype::F32 => 4,
            Dtype::BF16 => 2,
            _ => 1,
        };
        let view = TensorView::new(dtype, vec![data.len() / size], data).unwrap();
        safetensors::serialize_to_file([("all", view)], None, &path).unwrap();
        let copy = Fingerprint::of(&path, 3).unwrap();
        let entries = [
            Entry { name: "late", block: 2, fingerprint: &copy },
            Entry { name: "early", block: 1, fingerprint: &original },
        ];
        let found = find_copies(&entries, &teacher);
        assert_eq!(found.len(), 1, "{name}");
        assert_eq!((found[0].copy.as_str(), found[0].original.as_str()), ("late", "early"), "{name}");
        // And the other way round.
        let entries = [
            Entry { name: "late", block: 2, fingerprint: &original },
            Entry { name: "early", block: 1, fingerprint: &copy },
        ];
        assert!(find_copies(&entries, &teacher).iter().all(|found| found.original == "early"), "{name}");
    }
}

/// A language model in GGUF is the one in safetensors that it was made of, and says the same of copies.
#[test]
fn a_gguf_file_is_the_checkpoint_that_it_was_made_of() {
    let folder = tempfile::tempdir().unwrap();
    let gguf = |kind: u32| {
        let path = folder.path().join(kind.to_string());
        std::fs::create_dir(&path).unwrap();
        crate::gguf::model(kind).write(&path)
    };
    let of = |path: &Path| Fingerprint::of(path, 5).unwrap();
    let share = |a: &Fingerprint, b: &Fingerprint| compare(a, b).copied_share().unwrap();
    // The numbers that a file of each kind stands for, as bf16 in safetensors.
    for kind in [0, 1, 2, 3, 8, 12, 14] {
        let path = gguf(kind);
        let file = Gguf::open(&path).unwrap();
        let tensors: Tensors = file
            .names()
            .map(|name| {
                let shape = file.info(name).unwrap().shape.clone();
                (format!("model.{name}"), (shape, file.values_of(name).unwrap()))
            })
            .collect();
        let (stored, widened) = (of(&path), fingerprint(&tensors, Dtype::BF16, 2));
        assert_eq!(stored.elements(), widened.elements(), "type {kind}");
        assert!(share(&stored, &widened) > 0.9, "type {kind}: {}", share(&stored, &widened));
        assert!(share(&widened, &stored) > 0.9, "type {kind}: {}", share(&widened, &stored));
    }
    let [single, half] = [0, 1].map(|kind| of(&folder.path().join(kind.to_string())));
    assert!(share(&single, &half) > 0.9 && share(&half, &single) > 0.9);
    let other = of(&models().join("stories-llama"));
    assert_eq!(share(&single, &other), 0.0);

    std::fs::write(folder.path().join("0/broken.gguf"), "GGUF").unwrap();
    let message = Fingerprint::of(&folder.path().join("0"), 5).err().unwrap().to_string();
    assert!(message.contains("broken.gguf"), "{message}");
    let readable = Fingerprint::of_readable(&folder.path().join("0"), 5).unwrap();
    assert_eq!(readable.elements(), single.elements());
    std::fs::remove_file(folder.path().join("0/model.gguf")).unwrap();
    assert!(Fingerprint::of_readable(&folder.path().join("0"), 5).is_err());
}
