use crate::{
    config,
    exit::{Exit, Failure, OrExit},
};

/// Prints the JSON Schema of the configuration file.
pub(super) fn run() -> Result<(), Failure> {
    say!("{}", serde_json::to_string_pretty(&config::schema()).or_exit(Exit::Failed)?);
    Ok(())
}
