//! `keystore-operator crds`: the CustomResourceDefinitions as YAML, generated from the types in `operator-api`.

use std::io::Write;

use anyhow::Context;

use crate::cli::CrdOptions;

/// Prints all definitions, or writes one file per kind.
///
/// # Errors
/// When a file or stdout cannot be written.
pub(crate) fn run(options: &CrdOptions) -> anyhow::Result<()> {
    for (file, definition) in operator_api::custom_resource_definitions() {
        let text = operator_api::to_yaml(&definition).with_context(|| format!("failed to encode {file}"))?;
        match &options.out {
            Some(folder) => {
                let path = folder.join(file);
                std::fs::write(&path, text).with_context(|| format!("failed to write {}", path.display()))?;
            }
            None => write!(std::io::stdout(), "---\n{text}").context("failed to write to stdout")?,
        }
    }
    Ok(())
}
