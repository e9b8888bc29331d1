//! Numbers made into groups that share a scale, as llama.cpp's reference quantisers make them.
use super::block::TensorType;
use crate::cpu::Group;
use half::f16;

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
}
