//! `edgemaxx copies` on the fixtures.

use crate::common::{edgemaxx, failure, repository};

#[test]
fn the_later_of_two_equal_checkpoints_is_the_copy() {
    let models = repository("fixtures/models");
    let teacher = models.join("emoji-sdxl/unet");
    let student = models.join("emoji-sdxl-student/unet");
    let copied = tempfile::tempdir().unwrap();
    let file = "diffusion_pytorch_model.safetensors";
    std::fs::copy(student.join(file), copied.path().join("other-name.safetensors")).unwrap();

    let output = edgemaxx()
        .args(["copies", "--json", "--baseline"])
        .args([&teacher, &student, &copied.path().to_owned(), &teacher])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stderr));
    let found: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(found[0]["copy"].is_null() && found[2]["copy"].is_null(), "{found}");
    assert_eq!(found[1]["copy"]["original"], student.to_str().unwrap());
    assert!(found[2]["baseline_share"].as_f64().unwrap() > 0.99, "{found}");
    assert!(found[0]["baseline_share"].as_f64().unwrap() < 0.5, "{found}");

    edgemaxx().args(["copies", "--baseline"]).args([&teacher, &student]).assert().success();
}

#[test]
fn what_cannot_be_read_is_named() {
    let empty = tempfile::tempdir().unwrap();
    let (code, message) =
        failure(edgemaxx().args(["copies", "--baseline"]).arg(empty.path()).arg(empty.path()));
    assert_eq!(code, 2, "{message}");
    assert!(message.contains("no .safetensors or .gguf file found"), "{message}");
}

#[test]
fn nobody_is_called_no_copy_whose_weights_were_not_read() {
    let teacher = repository("fixtures/models/emoji-sdxl");
    let hidden = tempfile::tempdir().unwrap();
    for component in ["unet", "vae"] {
        std::fs::create_dir(hidden.path().join(component)).unwrap();
        let config = format!("{component}/config.json");
        std::fs::copy(teacher.join(&config), hidden.path().join(&config)).unwrap();
    }
    let vae = "vae/diffusion_pytorch_model.safetensors";
    std::fs::copy(teacher.join(vae), hidden.path().join(vae)).unwrap();
    let mut command = edgemaxx();
    let command = command.args(["copies", "--json", "--baseline"]).arg(&teacher).arg(hidden.path());
    let (code, message) = failure(command);
    assert!(code == 2 && message.contains("unet: no weights that can be read in it"), "{code}: {message}");
    let found: serde_json::Value = serde_json::from_slice(&command.output().unwrap().stdout).unwrap();
    assert!(found[0]["baseline_share"].is_null() && found[0]["copy"].is_null(), "{found}");
    assert!(found[0]["unread"][0].as_str().unwrap().contains("unet"), "{found}");
}
