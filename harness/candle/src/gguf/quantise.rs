//! Numbers made into groups that share a scale, as llama.cpp's reference quantisers make them.
use super::block::TensorType;
use crate::cpu::Group;
use half::{bf16, f16};

/// Thirty-two numbers as a group of `to`; `None` where it is not a quantisation that is made here.
pub(crate) fn quantised(to: TensorType, values: &[f32; 32]) -> Option<Group> {
    let half = |value: f32| f16::from_f32(value).to_f32();
    let inverse = |scale: f32| if scale == 0.0 { 0.0 } else { 1.0 / scale };
    Some(match to {
        TensorType::Q8_0 => {
            let scale = values.iter().fold(0f32, |most, v| most.max(v.abs())) / 127.0;
            let by = inverse(scale);
            Group { scale: half(scale), shift: 0.0, numbers: values.map(|v| (v * by).round() as i8) }
        }
        TensorType::Q4_0 => {
            let far = values.iter().copied().fold(0f32, |far, v| if v.abs() > far.abs() { v } else { far });
            let scale = far / -8.0;
            let by = inverse(scale);
            let number = |v: f32| ((v * by + 8.5) as i8).min(15) - 8;
            Group { scale: half(scale), shift: 0.0, numbers: values.map(number) }
        }
        TensorType::Q4_1 => {
            let least = values.iter().copied().fold(f32::INFINITY, f32::min);
            let most = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let scale = (most - least) / 15.0;
            let by = inverse(scale);
            let number = |v: f32| (((v - least) * by + 0.5) as i8).min(15);
            Group { scale: half(scale), shift: half(least), numbers: values.map(number) }
        }
        _ => return None,
    })
}

/// Whether rows of `width` numbers can be rounded to a type.
pub(crate) fn rounds(to: TensorType, width: usize) -> bool {
    to.block().0 == 1 || (quantised(to, &[0.0; 32]).is_some() && width.is_multiple_of(32))
}

/// What is left of numbers that were stored as a type; [`rounds`] says whether they can be.
pub(crate) fn round(to: TensorType, numbers: &[f32]) -> Vec<f32> {
    match to {
        TensorType::F32 => numbers.to_vec(),
        TensorType::F16 => numbers.iter().map(|v| f16::from_f32(*v).to_f32()).collect(),
        TensorType::Bf16 => numbers.iter().map(|v| bf16::from_f32(*v).to_f32()).collect(),
        _ => {
            let back = |values: &[f32; 32]| {
                let group =
                    quantised(to, values).map(|g| g.numbers.map(|n| g.scale * f32::from(n) + g.shift));
                group.unwrap_or(*values)
            };
            numbers.as_chunks::<32>().0.iter().flat_map(back).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values of a group, and by how much they may be off: half a step, and what rounding scale and shift to f16 adds.
    fn check(to: TensorType, values: [f32; 32], step: f32) {
        let group = quantised(to, &values).expect("made here");
        for (v, n) in values.iter().zip(group.numbers) {
            let back = group.scale * f32::from(n) + group.shift;
            assert!((back - v).abs() <= step * 0.502 + 1e-3 * step, "{to:?}: {v} became {back}");
        }
    }

    #[test]
    fn no_number_is_further_off_than_half_a_step() {
        let values: [f32; 32] = std::array::from_fn(|i| ((i * 37 + 11) % 64) as f32 / 32.0 - 1.0);
        check(TensorType::Q8_0, values, 1.0 / 127.0);
        check(TensorType::Q4_1, values, 2.0 / 15.0);
        // The far end of the other sign is one step short: from −8 to 7.
        check(TensorType::Q4_0, values.map(|v| if v > 0.8 { 0.8 } else { v }), 1.0 / 8.0);
        for to in [TensorType::Q8_0, TensorType::Q4_0, TensorType::Q4_1] {
            assert!(quantised(to, &[0.0; 32]).is_some_and(|g| g.numbers == [0; 32] && g.scale == 0.0));
        }
        assert_eq!(quantised(TensorType::Q4K, &values), None);
    }

    #[test]
    fn numbers_are_rounded_as_they_would_be_stored() {
        let numbers: Vec<f32> = (0..64).map(|i| (i as f32 * 0.37).sin()).collect();
        for (to, most) in [
            (TensorType::F32, 0.0),
            (TensorType::F16, 3e-4),
            (TensorType::Bf16, 2.1e-3),
            (TensorType::Q8_0, 0.005),
            // The far end of the other sign is one step short.
            (TensorType::Q4_0, 0.126),
        ] {
            let rounded = round(to, &numbers);
            let off = numbers.iter().zip(&rounded).map(|(a, b)| (a - b).abs()).fold(0f32, f32::max);
            assert!(
                rounded.len() == 64 && off <= most && (most == 0.0 || off > most / 10.0),
                "{to:?}: {off}"
            );
            assert!(rounds(to, 64));
        }
        assert!(rounds(TensorType::F16, 20) && !rounds(TensorType::Q8_0, 20) && !rounds(TensorType::Q6K, 64));
    }
}
