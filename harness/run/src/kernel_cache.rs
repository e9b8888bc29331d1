//! What the GPU's driver compiles for the built-in engine: kept for each pipeline, compiled once.

use std::path::{Path, PathBuf};

use edgemaxx_contract::contest::{DeviceKind, EngineSpec};
use edgemaxx_contract::plan::{PipelinePlan, Plan};
use edgemaxx_engine::{Codec, Launcher, null};
use edgemaxx_files::{Bounds, files_of};

use crate::error::{InFile as _, Result, RunError};
use crate::folder::{RunFolder, own_folder};
use crate::progress::Observer;

/// The folder that a pipeline's processes may write to, made where it is missing: none can leave another anything. `None`: its
/// engine has no need of one.
///
/// # Errors
/// It cannot be made.
pub fn own(folder: &RunFolder, plan: &Plan, pipeline: &PipelinePlan) -> Result<Option<PathBuf>> {
    if plan.device.kind != DeviceKind::Cuda || pipeline.engine != EngineSpec::Native {
        return Ok(None);
    }
    let kernels = folder.file(&format!("kernels/{}", own_folder(pipeline)));
    std::fs::create_dir_all(&kernels).in_file(&kernels)?;
    Ok(Some(kernels.canonicalize().in_file(&kernels)?))
}

/// Has the baseline answer once before anything is measured, and gives each other pipeline a copy of what the driver compiled
/// for it: which takes longer than many a session, and would be done anew for every pipeline. Who needs other kernels still
/// compiles those. Without effect where the baseline's engine is not the built-in one, or has compiled before.
///
/// # Errors
/// A folder cannot be read or written. A baseline that fails is only told: measuring will say more.
pub fn compile(
    folder: &RunFolder,
    plan: &Plan,
    codec: &dyn Codec,
    launcher: &mut dyn Launcher,
    observer: &dyn Observer,
) -> Result<()> {
    let baseline = plan.baseline();
    let Some(compiled) = own(folder, plan, baseline)? else { return Ok(()) };
    // A compilation that was cut off left a part; no pipeline's folder has this name.
    let done = folder.file("kernels/+done");
    if done.exists() {
        return Ok(());
    }
    observer.note("compiling the built-in engine's kernels for this card");
    let answered = launcher
        .launch(baseline)
        .and_then(|mut launched| null::answered_ns(launched.engine.as_mut(), &launched.load, codec, plan, 1));
    if let Err(failure) = answered {
        observer.note(&format!("warning: the baseline {failure}"));
        return Ok(());
    }
    for pipeline in plan.pipelines.iter().filter(|pipeline| pipeline.name != baseline.name) {
        match own(folder, plan, pipeline)? {
            Some(own) if is_empty(&own)? => {
                // Whole or not at all, wherever this is cut off; no pipeline's folder has this name, either.
                let part = folder.file("kernels/+part");
                if part.exists() {
                    std::fs::remove_dir_all(&part).in_file(&part)?;
                }
                copy(&compiled, &part)?;
                std::fs::rename(&part, &own).in_file(&own)?;
            }
            _ => {}
        }
    }
    std::fs::write(&done, "").in_file(&done)
}

fn is_empty(folder: &Path) -> Result<bool> {
    Ok(std::fs::read_dir(folder).in_file(folder)?.next().is_none())
}

/// Copies what is below a folder.
fn copy(from: &Path, to: &Path) -> Result<()> {
    let files =
        files_of(from, from, &Bounds::CHECKPOINT).map_err(|error| RunError::input(error.to_string()))?;
    for file in files {
        let place = to.join(&file.name);
        let parent = place.parent().unwrap_or(to);
        std::fs::create_dir_all(parent).in_file(parent)?;
        std::fs::copy(from.join(&file.name), &place).in_file(&place)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use edgemaxx_contract::sample::Failure;
    use edgemaxx_engine::{FakeClock, Launched, MockLauncher, MockScript};

    use super::*;
    use crate::example;
    use crate::progress::Silent;
    use crate::task::kit;

    /// Its processes leave a file each where their driver compiles.
    struct Compiles<'a> {
        mocks: MockLauncher,
        folder: &'a RunFolder,
        launched: Vec<String>,
    }

    impl Launcher for Compiles<'_> {
        fn launch(&mut self, pipeline: &PipelinePlan) -> Result<Launched, Failure> {
            self.launched.push(pipeline.name.clone());
            let own = self.folder.file(&format!("kernels/{}/a", pipeline.name));
            std::fs::create_dir_all(&own).unwrap();
            std::fs::write(own.join("compiled"), &pipeline.name).unwrap();
            self.mocks.launch(pipeline)
        }
    }

    #[test]
    fn what_the_baseline_compiled_is_everybodys_who_has_compiled_nothing() {
        let (_kept, folder) = example::run();
        let mut plan = folder.plan().unwrap();
        plan.device.kind = DeviceKind::Cuda;
        let names: Vec<String> = plan.candidates().iter().map(|pipeline| pipeline.name.clone()).collect();
        let [compiled, foreign, new, ..] = names.as_slice() else { panic!("{names:?}") };
        let of_foreign = plan.pipelines.iter_mut().find(|pipeline| pipeline.name == *foreign).unwrap();
        of_foreign.engine = EngineSpec::CandleTransformers;
        let place = |name: &str| folder.file(&format!("kernels/{name}/a/compiled"));
        std::fs::create_dir_all(place(compiled).parent().unwrap()).unwrap();
        std::fs::write(place(compiled), "its own").unwrap();

        let mut mocks = MockLauncher::new(FakeClock::default());
        mocks.insert("teacher", vec![MockScript::default()]);
        let mut launcher = Compiles { mocks, folder: &folder, launched: Vec::new() };
        // An attempt that was cut off while the baseline compiled.
        std::fs::create_dir_all(folder.file("kernels/teacher/a")).unwrap();
        // One that was cut off while what it compiled was copied.
        std::fs::create_dir_all(folder.file("kernels/+part")).unwrap();
        std::fs::write(folder.file("kernels/+part/half"), "half").unwrap();
        for _ in 0..2 {
            compile(&folder, &plan, kit(plan.task).unwrap().codec(), &mut launcher, &Silent).unwrap();
        }
        assert_eq!(launcher.launched, ["teacher"]);
        assert_eq!(std::fs::read_to_string(place(compiled)).unwrap(), "its own");
        assert_eq!(std::fs::read_to_string(place(new)).unwrap(), "teacher");
        assert!(
            !folder.file("kernels/+part").exists() && !folder.file(&format!("kernels/{new}/half")).exists()
        );
        assert!(!place(foreign).exists());

        plan.device.kind = DeviceKind::Cpu;
        std::fs::remove_dir_all(folder.file("kernels")).unwrap();
        compile(&folder, &plan, kit(plan.task).unwrap().codec(), &mut launcher, &Silent).unwrap();
        assert_eq!(launcher.launched, ["teacher"]);
    }
}
