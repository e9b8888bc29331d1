//! The verbs that this build was made without: each says by name what was left out.

/// A module like a verb's own, for each verb that needs a feature.
#[allow(unused_macros, reason = "a whole build leaves nothing out")]
macro_rules! left_out {
    ($($verb:ident, $shown:literal, $feature:literal;)*) => {$(
        pub(crate) mod $verb {
            /// Left out of this build.
            #[derive(Debug, clap::Args)]
            #[command(disable_help_flag = true)]
            pub(crate) struct Args {
                #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
                _words: Vec<std::ffi::OsString>,
            }

            impl Args {
                pub(crate) fn execute(&self) -> anyhow::Result<()> {
                    Err(edgemaxx_run::left_out::left_out(concat!("edgemaxx ", $shown), $feature).into())
                }
            }
        }
    )*};
}

#[cfg(not(feature = "chain"))]
left_out! {
    chain, "chain", "chain";
    weights, "weights", "chain";
    status, "miner status", "chain";
}
#[cfg(not(all(feature = "chain", feature = "hub")))]
left_out! {
    submit, "miner submit", "chain,hub";
}
#[cfg(not(feature = "fleet"))]
left_out! {
    fleet, "fleet", "fleet";
}
#[cfg(not(feature = "validator"))]
left_out! {
    validator, "validator", "validator";
}
