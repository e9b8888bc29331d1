//! Names of a UNet's tensors in single files, as Stability's own code (`sgm`) has them.

/// What stands before a UNet's names in a single file of a whole pipeline.
pub(super) const PREFIX: &str = "model.diffusion_model.";

/// The name in a single file of the tensor that diffusers calls `name`; `layers` are the residual blocks of each level on
/// the way down. `None` where there is none.
pub(super) fn name_of(name: &str, layers: &[usize]) -> Option<String> {
    const WHOLE: [(&str, &str); 8] = [
        ("time_embedding.linear_1.", "time_embed.0."),
        ("time_embedding.linear_2.", "time_embed.2."),
        ("add_embedding.linear_1.", "label_emb.0.0."),
        ("add_embedding.linear_2.", "label_emb.0.2."),
        ("conv_in.", "input_blocks.0.0."),
        ("conv_norm_out.", "out.0."),
        ("conv_out.", "out.2."),
        ("time_embedding.cond_proj.", "time_embed.cond_proj."),
    ];
    if let Some((ours, theirs)) = WHOLE.iter().find(|(ours, _)| name.starts_with(ours)) {
        return Some(name.replacen(ours, theirs, 1));
    }
    let parts: Vec<&str> = name.split('.').collect();
    let number = |i: usize| parts.get(i)?.parse::<u16>().ok().map(usize::from);
    let rest = |from: usize| parts.get(from..).map(|rest| rest.join("."));
    Some(match (*parts.first()?, *parts.get(1)?) {
        ("mid_block", "resnets") => format!("middle_block.{}.{}", 2 * number(2)?, resnet(&rest(3)?)),
        ("mid_block", "attentions") => format!("middle_block.1.{}", rest(3)?),
        ("down_blocks", _) => {
            let (level, kind, i) = (number(1)?, *parts.get(2)?, number(3)?);
            // the first is `conv_in`; each level before has one more for going down
            let first = 1 + layers.get(..level)?.iter().map(|layers| layers + 1).sum::<usize>();
            match kind {
                "resnets" => format!("input_blocks.{}.0.{}", first + i, resnet(&rest(4)?)),
                "attentions" => format!("input_blocks.{}.1.{}", first + i, rest(4)?),
                "downsamplers" => {
                    let parameter = rest(4)?.replacen("conv.", "op.", 1);
                    format!("input_blocks.{}.0.{parameter}", first + layers.get(level)?)
                }
                _ => return None,
            }
        }
        ("up_blocks", _) => {
            let (level, kind, i) = (number(1)?, *parts.get(2)?, number(3)?);
            let going_up: Vec<usize> = layers.iter().rev().map(|layers| layers + 1).collect();
            let first: usize = going_up.get(..level)?.iter().sum();
            match kind {
                "resnets" => format!("output_blocks.{}.0.{}", first + i, resnet(&rest(4)?)),
                "attentions" => format!("output_blocks.{}.1.{}", first + i, rest(4)?),
                // after the attention where there is one; the caller tries both
                "upsamplers" => format!("output_blocks.{}.2.{}", first + going_up.get(level)? - 1, rest(4)?),
                _ => return None,
            }
        }
        _ => return None,
    })
}

/// The same of a residual block's tensor.
fn resnet(name: &str) -> String {
    const PARTS: [(&str, &str); 6] = [
        ("norm1", "in_layers.0"),
        ("conv1", "in_layers.2"),
        ("time_emb_proj", "emb_layers.1"),
        ("norm2", "out_layers.0"),
        ("conv2", "out_layers.3"),
        ("conv_shortcut", "skip_connection"),
    ];
    let (part, parameter) = name.split_once('.').unwrap_or((name, ""));
    let theirs = PARTS.iter().find(|(ours, _)| *ours == part).map_or(part, |(_, theirs)| theirs);
    format!("{theirs}.{parameter}")
}

#[cfg(test)]
mod tests {
    use super::name_of;

    /// Names of `sd_xl_base_1.0.safetensors` and of the same model in diffusers' layout.
    #[test]
    fn names_of_sdxl() {
        for (ours, theirs) in [
            ("conv_in.weight", "input_blocks.0.0.weight"),
            ("add_embedding.linear_2.bias", "label_emb.0.2.bias"),
            ("down_blocks.0.resnets.1.conv1.weight", "input_blocks.2.0.in_layers.2.weight"),
            ("down_blocks.0.downsamplers.0.conv.bias", "input_blocks.3.0.op.bias"),
            ("down_blocks.1.resnets.0.conv_shortcut.weight", "input_blocks.4.0.skip_connection.weight"),
            (
                "down_blocks.2.attentions.1.transformer_blocks.9.attn2.to_out.0.bias",
                "input_blocks.8.1.transformer_blocks.9.attn2.to_out.0.bias",
            ),
            ("mid_block.resnets.1.norm2.weight", "middle_block.2.out_layers.0.weight"),
            ("mid_block.attentions.0.proj_in.weight", "middle_block.1.proj_in.weight"),
            ("up_blocks.0.upsamplers.0.conv.weight", "output_blocks.2.2.conv.weight"),
            ("up_blocks.1.attentions.2.norm.bias", "output_blocks.5.1.norm.bias"),
            ("up_blocks.2.resnets.0.time_emb_proj.weight", "output_blocks.6.0.emb_layers.1.weight"),
            ("conv_out.bias", "out.2.bias"),
        ] {
            assert_eq!(name_of(ours, &[2, 2, 2]).as_deref(), Some(theirs), "{ours}");
        }
        assert_eq!(name_of("encoder_hid_proj.weight", &[2, 2, 2]), None);
    }
}
