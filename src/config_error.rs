//! [`ConfigError`]: a setting that is out of its range, of whichever builder.

use alloc::format;
use alloc::string::String;
use core::fmt;

/// A setting that is out of its range: which, the value it was given, and what is allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    setting: &'static str,
    value: String,
    allowed: String,
}

impl ConfigError {
    /// A setting, the value that it was given, and what is allowed.
    #[must_use]
    pub fn new(setting: &'static str, value: impl Into<String>, allowed: impl Into<String>) -> ConfigError {
        ConfigError { setting, value: value.into(), allowed: allowed.into() }
    }

    /// Checks that a value is from `min` to `max`.
    pub(crate) fn check<T: PartialOrd + fmt::Debug>(
        setting: &'static str,
        value: T,
        min: T,
        max: T,
    ) -> Result<(), ConfigError> {
        if (&min..=&max).contains(&&value) {
            return Ok(());
        }
        Err(ConfigError::new(setting, format!("{value:?}"), format!("{min:?} to {max:?}")))
    }

    /// The setting's name, as its method is called.
    #[must_use]
    pub fn setting(&self) -> &'static str {
        self.setting
    }

    /// The value that was refused, as text.
    #[must_use]
    pub fn value(&self) -> &str {
        &self.value
    }

    /// What is allowed.
    #[must_use]
    pub fn allowed(&self) -> &str {
        &self.allowed
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is {}: {} is allowed", self.setting, self.value, self.allowed)
    }
}

impl core::error::Error for ConfigError {}
